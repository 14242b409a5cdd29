"""Every operation that the installed SDK has, read from the SDK, against what the server says.

What the server's OpenAPI document has is called through the SDK with things that exist, which has
to succeed, and with things that do not exist, which has to be refused in a documented way. Whatever
else the SDK has answers 501 `not_implemented`, and only what stands in `LATER` may.
"""

import inspect
import re
import typing
from datetime import datetime, timedelta, timezone
from enum import Enum

import httpx
import pydantic
from svix.api import (
    DestinationIn,
    EndpointIn,
    IngestEndpointIn,
    IngestSourceIn,
    MessageAttemptListByMsgOptions,
    MessageIn,
    OperationalWebhookEndpointIn,
)
from svix.models import EventTypeIn, RecoverIn

from harness.cases import case, equal, eventually, true
from server import TOKEN, URL, answered, api, application, connect, names, receiver

# Parts of paths that belong to features which are not built yet.
LATER = [
    "/autoconfig",
    "/connector",
    "/destination/{destination_id}/secret/rotate",
    "/environment/export",
    "/environment/import",
    "/integration",
    "/stream",
    "/sink/{sink_id}/transformation",
]

document = httpx.get(f"{URL}/api/v1/openapi.json").json()


def shape(path):
    return re.sub(r"\{\w+\}", "{}", path)


# Method and path without the names of its parameters: what the document says about it.
documented = {
    (method, shape(path)): operation
    for path, item in document["paths"].items()
    for method, operation in item.items()
}


def operations(resource=api, names=()):
    """The name, the method, the path and the function of every operation of the SDK."""
    for name, attribute in inspect.getmembers_static(type(resource)):
        if name.startswith("_"):
            continue
        if isinstance(attribute, property):
            yield from operations(getattr(resource, name), (*names, name))
        elif inspect.isfunction(attribute):
            source = inspect.getsource(attribute)
            found = re.search(r'method="(\w+)",\s*path="([^"]+)"', source)
            if found:
                method, path = found.groups()
                yield ".".join((*names, name)), method, path, getattr(resource, name)


# --- what operations are called with


def world():
    """One of each thing that a path can name."""
    app = application()
    place = receiver.place()
    made = api.endpoint.create(app, EndpointIn(url=place.url))
    event_type = next(names)
    schemas = {"1": {"type": "object", "examples": [{"n": 1}]}}
    api.event_type.create(EventTypeIn(name=event_type, description="d", schemas=schemas))
    message = api.message.create(app, MessageIn(event_type=event_type, payload={"n": 1})).id
    options = MessageAttemptListByMsgOptions()
    attempts = eventually(lambda: api.message_attempt.list_by_msg(app, message, options).data, len)
    return {
        "app_id": app,
        "endpoint_id": made.id,
        "event_type": event_type,
        "event_type_name": event_type,
        "msg_id": message,
        "ids": [message],
        "attempt_id": attempts[0].id,
    }


def things(name, path):
    """What a call of this operation can name."""
    found = world()
    if "/operational-webhook/" in path:
        wanted = OperationalWebhookEndpointIn(url=receiver.place().url)
        found["endpoint_id"] = api.operational_webhook.endpoint.create(wanted).id
    if "/ingest/" in path:
        source = api.ingest.source.create(IngestSourceIn(name="Matrix", type="generic-webhook")).id
        wanted = IngestEndpointIn(url=receiver.place().url)
        found["source_id"] = source
        found["endpoint_id"] = api.ingest.endpoint.create(source, wanted).id
    if "{destination_id}" in path:
        wanted = model(DestinationIn, found)
        found["destination_id"] = api.destination.create(found["app_id"], wanted).id
    if "{sink_id}" in path:
        wanted = DestinationIn(type="pollingEndpoint", config={})
        found["sink_id"] = api.destination.create(found["app_id"], wanted).id
    if "{task_id}" in path:
        since = datetime.now(timezone.utc) - timedelta(hours=1)
        task = api.endpoint.recover(found["app_id"], found["endpoint_id"], RecoverIn(since=since))
        found["task_id"] = task.id
    return found


def value(name, kind, things):
    """A value of this type for a field or a parameter of this name."""
    if name in things:
        return things[name]
    if typing.get_origin(kind) is typing.Union:
        return value(name, typing.get_args(kind)[0], things)
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)[0]
    if typing.get_origin(kind) in (dict, list):
        return typing.get_origin(kind)()
    if issubclass(kind, pydantic.BaseModel):
        return model(kind, things)
    if issubclass(kind, Enum):
        return next(iter(kind))
    if kind is datetime:
        return datetime.now(timezone.utc) - timedelta(hours=0 if name == "until" else 1)
    if kind is str:
        return receiver.place().url if name == "url" else next(names)
    return kind()


QUEUE = {
    "queueUrl": "https://sqs.eu-central-1.amazonaws.com/1/orders",
    "accessKeyId": "AKIDEXAMPLE",
    "secretAccessKey": "made-up",
}

# Fields that are optional one by one, but not all at once; and what goes with a type.
TOGETHER = {
    "DestinationIn": {"type": "sqs", "config": QUEUE},
    "DestinationPatch": {"type": "sqs", "config": {}},
    "EventTypeImportOpenApiIn": {"spec": {"webhooks": {"matrix.imported": {"post": {}}}}},
    "BulkExpungeContentsIn": {"ids": None},
}


def model(kind, things):
    """A body with all that is required."""
    fields = {
        name: value(name, field.annotation, things)
        for name, field in kind.model_fields.items()
        if field.is_required()
    }
    for name, given in TOGETHER.get(kind.__name__, {}).items():
        fields[name] = things[name] if given is None else given
    return kind(**fields)


def arguments(function, things):
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    required = [one for one in parameters if one.default is inspect.Parameter.empty]
    return [value(one.name, hints[one.name], things) for one in required]


# --- the checks


def check_documented(operation, status, answer):
    """The status is one that the document has, and an error has the shape of one."""
    if status < 400:
        true(str(status) in operation["responses"], (status, list(operation["responses"])))
    elif status == 422:
        true(all(one["loc"] and one["msg"] and one["type"] for one in answer["detail"]), answer)
    else:
        true(answer["code"] and answer["detail"], answer)


def raw(method, path, body=None):
    path = re.sub(r"\{\w+\}", "nothing-has-this-name", path)
    headers = {"authorization": f"Bearer {TOKEN}"}
    return httpx.request(method, URL + path, headers=headers, json=body, timeout=15)


def built(name, method, path, function):
    """What the server has: it does what it is asked for, and refuses what it is asked wrongly."""
    operation = documented[method, shape(path)]

    def check():
        found = things(name, path)
        called = leaving(found) if name == "authentication.logout" else function
        before = len(answered)
        called(*arguments(called, found))
        # A call can make more than one request of old; the last one is what it is about.
        _, _, status = answered[-1]
        true(len(answered) > before and 200 <= status < 300, answered[before:])
        check_documented(operation, status, None)
        if "{" in path:
            answer = raw(method, path, {})
            # Wrong bodies may be noticed first; a PUT creates what is missing.
            expected = (404, 422, 201) if method == "put" else (404, 422)
            true(answer.status_code in expected, (answer.status_code, answer.text))
            check_documented(operation, answer.status_code, answer.json())
        if operation.get("requestBody"):
            answer = raw(method, path, ["not an object"])
            true(answer.status_code in (404, 422), (answer.status_code, answer.text))
            check_documented(operation, answer.status_code, answer.json())

    return check


def leaving(found):
    """`logout` ends the token that it is called with, so that must not be the one of all cases."""
    hints = typing.get_type_hints(api.authentication.app_portal_access)
    access = model(hints["app_portal_access_in"], found)
    token = api.authentication.app_portal_access(found["app_id"], access).token
    return connect(token).authentication.logout


def not_built(name, method, path):
    def check():
        body = None if method in ("get", "delete") else {}
        answer = raw(method, path, body)
        equal((answer.status_code, answer.json()["code"]), (501, "not_implemented"))
        true(any(part in path for part in LATER), f"{method.upper()} {path} has to be built")

    return check


found = list(operations())
for name, method, path, function in found:
    exists = (method, shape(path)) in documented
    check = built(name, method, path, function) if exists else not_built(name, method, path)
    check.__name__ = f"matrix.{name}"
    case(check)


@case
def the_matrix_is_what_the_sdk_has():
    """The SDK's own source has no request that the matrix does not make."""
    requests = set()
    for module in {inspect.getmodule(function) for *_, function in found}:
        pairs = re.findall(r'method="(\w+)",\s*path="([^"]+)"', inspect.getsource(module))
        requests |= {(method, shape(path)) for method, path in pairs}
    equal({(method, shape(path)) for _, method, path, _ in found}, requests)
    true(len(requests) > 130, len(requests))


@case
def the_matrix_says_what_is_left():
    left = [path for _, method, path, _ in found if (method, shape(path)) not in documented]
    early = sorted({path for path in left if not any(part in path for part in LATER)})
    print(f"  {len(found)} operations, {len(left)} answer 501; to be built: {early or 'none'}")
    stale = [part for part in LATER if not any(part in path for path in left)]
    equal(stale, [])
