"""Sources with an endpoint, and what is shown of each provider with its library."""

import os
import re

import httpx

from harness.cases import case, equal, true
from harness.receiver import Receiver

URL = os.environ["RINGBACK_URL"]
TOKEN = os.environ["RINGBACK_TOKEN"]
SECRET = "it is a secret"

receiver = Receiver()
client = httpx.Client(timeout=15)

# Providers by what was shown with their libraries.
shown = {"signs": set(), "verifies": set(), "verifies_resigned": set()}


def call(method, path, body=None):
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = client.request(method, URL + path, headers=headers, json=body)
    true(answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json()


class Source:
    """A source with one endpoint, registered under a URL that is not where it runs."""

    def __init__(self, provider, config):
        self.url = f"https://hooks.example.com/in/{provider}"
        options = {"publicUrl": self.url}
        wanted = {"name": provider, "type": provider, "config": config, "options": options}
        made = call("POST", "/ingest/api/v1/source", wanted)
        self._path = f"/ingest/api/v1/source/{made['id']}"
        self._ingest = made["ingestUrl"]
        self.proof = made["proof"]
        self.place = receiver.place()
        endpoint = call("POST", f"{self._path}/endpoint", {"url": self.place.url})
        secret = call("GET", f"{self._path}/endpoint/{endpoint['id']}/secret")
        self.endpoint_secret = secret["key"]

    def post(self, headers, body, query=""):
        """The status that a request is answered with."""
        return client.post(self._ingest + query, content=body, headers=headers).status_code

    @property
    def requests(self):
        """What became of the requests, the newest first."""
        return call("GET", f"{self._path}/request")["data"]

    @property
    def statuses(self):
        return [one["status"] for one in self.requests]


def vendor(
    provider,
    text,
    sign=None,
    make=None,
    verify=None,
    resigned=None,
    config=None,
    name=None,
    type="application/json",
):
    """One provider.

    Its library signs (`sign`), or we do as it is documented (`make`): both get the text and the
    source, and answer headers, or headers and the body. What arrives at the endpoint is shown to
    the library that verifies (`verify`: with the provider's own headers; `resigned`: the provider's
    headers are those that Ringback signs anew with, so that the library is asked about what was
    sent, and about what arrived). It answers false or raises where it refuses.
    """
    config = config or {"secret": SECRET}

    def check():
        source = Source(provider, config)
        true(source.proof != "derived", "its file claims less than is shown here")
        headers = (sign or make)(text, source)
        headers, body = headers if isinstance(headers, tuple) else (headers, text)
        headers = {"content-type": type, **headers}
        status = source.post(headers, body.encode())
        true(200 <= status < 300, f"answered {status}: {source.requests[0]['reason']}")
        equal(source.statuses, ["accepted"])

        delivery = source.place.wait()[0]
        equal(delivery.body, body.encode())
        if verify:
            convinces(verify, body, delivery.headers, source)
            shown["verifies"].add(provider)
        if resigned:
            convinces(resigned, body, headers, config["secret"])
            convinces(resigned, body, delivery.headers, source.endpoint_secret)
            shown["verifies_resigned"].add(provider)

        true(source.post(headers, forged(body).encode()) >= 400, "forged and accepted")
        equal(source.statuses, ["unverified", "accepted"])
        equal(len(source.place.deliveries), 1)
        if sign:
            shown["signs"].add(provider)

    check.__name__ = name or provider
    case(check)


def convinces(verify, body, headers, known):
    """The library takes the request, and not a forgery of it."""
    true(verify(body, headers, known) is not False, "the library refuses")
    try:
        taken = verify(forged(body), headers, known) is not False
    except Exception:  # each library has exceptions of its own
        taken = False
    true(not taken, "the library takes anything")


def forged(body):
    """One digit of the amount changes; in a form whose payload is base64, one letter."""
    if "1000" in body:
        return body.replace("1000", "1001", 1)

    def other(found):
        return found[1] + ("B" if found[2] == "A" else "A")

    changed = re.sub(r"(bt_payload=.{80})(.)", other, body)
    true(changed != body, "nothing to forge")
    return changed
