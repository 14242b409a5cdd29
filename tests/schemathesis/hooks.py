"""What the fuzzer is told about the server: what exists, where nothing may be sent, and what an
answer may be besides what the OpenAPI document can say.
"""

import json
import os
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import schemathesis

URL = os.environ["RINGBACK_URL"]
TOKEN = os.environ["RINGBACK_TOKEN"]

# Nobody listens there: what is fuzzed must not be sent anywhere.
NOWHERE = "http://127.0.0.1:9/"

ERRORS = Path(__file__).resolve().parents[2] / "docs/errors.md"
DOCUMENTED = set(re.findall(r"^\| (\d+) \| `(\w+)` \|", ERRORS.read_text(), re.MULTILINE))


def call(method, path, body=None):
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    root = "" if path.startswith(("/ingest/", "/in/")) else "/api/v1"
    request = urllib.request.Request(URL + root + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=15) as answer:
        return json.loads(answer.read() or b"null")


def attempt(app, message):
    """The first attempt of a message, as soon as it was made."""
    for _ in range(600):
        found = call("GET", f"/app/{app}/attempt/msg/{message}")["data"]
        if found:
            return found[0]["id"]
        time.sleep(0.05)
    raise RuntimeError("no attempt was made")


def request(source):
    """A request to a source that its schema holds back."""
    call("POST", source["ingestUrl"][source["ingestUrl"].index("/in/") :], {})
    return call("GET", f"/ingest/api/v1/source/{source['id']}/request")["data"][0]["id"]


def world():
    """The names of one of each thing, by the names of parameters."""
    app = call("POST", "/app", {"name": "Fuzzed"})["id"]
    endpoint = call("POST", f"/app/{app}/endpoint", {"url": NOWHERE})["id"]
    event_type = {"name": "fuzzed", "description": "", "schemas": {"1": {"examples": [{}]}}}
    call("PUT", "/event-type/fuzzed", event_type)
    message = call("POST", f"/app/{app}/msg", {"eventType": "fuzzed", "payload": {}})["id"]
    options = {"schemas": {"*": False}, "onViolation": "quarantine"}
    source = {"name": "Fuzzed", "type": "generic-webhook", "options": options}
    source = call("POST", "/ingest/api/v1/source", source)
    return {
        "app_id": app,
        "endpoint_id": endpoint,
        "event_type_name": "fuzzed",
        "msg_id": message,
        "attempt_id": attempt(app, message),
        "source_id": source["id"],
        "request_id": request(source),
    }


EXISTING = world()


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Every other name is one that exists, as random ones never lead past the first look-up; but
    not where it would be deleted.
    """
    if path_parameters is None or context.operation.method.upper() == "DELETE":
        return path_parameters
    return {
        name: EXISTING.get(name, value) if len(str(value)) % 2 else value
        for name, value in path_parameters.items()
    }


@schemathesis.hook
def map_body(context, body):
    """No URL leads away."""
    if isinstance(body, dict) and isinstance(body.get("url"), str):
        if body["url"].lower().startswith(("http:", "https:")):
            return {**body, "url": NOWHERE}
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    """Nobody waits for what does not come."""
    wait = case.body.get("waitSeconds") if isinstance(case.body, dict) else None
    if isinstance(wait, int) and 1 < wait <= 60:
        case.body["waitSeconds"] = 1


@schemathesis.check
def errors_are_documented(context, response, case):
    """The status and the code of an error stand in `docs/errors.md`."""
    if response.status_code >= 400 and response.status_code != 422:
        code = response.json().get("code")
        assert (str(response.status_code), code) in DOCUMENTED, (response.status_code, code)
