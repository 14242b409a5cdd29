"""What the official CloudEvents SDK reads from what endpoints get that want CloudEvents."""

import json

from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from harness.cases import case, equal
from server import api, application, post, receiver, verify

PAYLOAD = {"n": 1.5, "text": "é \"%", "list": [1, {"a": None}]}


def event(delivery, raw=None):
    """What the SDK reads from a delivery, whose signature is proven; the SDK's event and the message."""
    app = application()
    place = receiver.place()
    wanted = {"url": place.url, "delivery": delivery}
    made = post(f"/app/{app}/endpoint", json.dumps(wanted).encode()).json()
    message = {"eventType": "order.paid", "payload": PAYLOAD}
    if raw is not None:
        content, content_type = raw
        params = {"rawPayload": content, "headers": {"content-type": content_type}}
        message = {**message, "payload": {}, "transformationsParams": params}
    sent = post(f"/app/{app}/msg", json.dumps(message).encode()).json()
    got = place.wait()[0]
    verify(got, api.endpoint.get_secret(app, made["id"]).key)
    read = from_http_event(HTTPMessage(headers=got.headers, body=got.body))
    equal(read.get_id(), sent["id"])
    equal(read.get_type(), "order.paid")
    equal(read.get_specversion(), "1.0")
    equal(read.get_time(), api.message.get(app, sent["id"]).timestamp)
    equal(read.get_source(), delivery.get("source", f"/app/{app}"))
    return read


def content(read):
    """The bytes of an event's data; the SDK gives text if they are text."""
    data = read.get_data()
    return data.encode() if isinstance(data, str) else data


@case
def cloudevents_of_json_are_read_in_both_modes():
    for mode in ("cloudevents", "cloudevents-binary"):
        for source in ({}, {"source": "https://shop.example/orders?a=%20b"}):
            read = event({"format": mode, **source})
            equal(read.get_data(), PAYLOAD)
            equal(read.get_datacontenttype(), "application/json")


@case
def cloudevents_of_text_are_read_in_both_modes():
    for mode in ("cloudevents", "cloudevents-binary"):
        read = event({"format": mode}, raw=("<a>é</a>", "application/xml; charset=utf-8"))
        equal(content(read), "<a>é</a>".encode())
        equal(read.get_datacontenttype(), "application/xml; charset=utf-8")


@case
def cloudevents_of_bytes_are_read_in_both_modes():
    for mode in ("cloudevents", "cloudevents-binary"):
        read = event({"format": mode}, raw=("a\x01b", "application/octet-stream"))
        equal(content(read), b"a\x01b")
        equal(read.get_datacontenttype(), "application/octet-stream")
