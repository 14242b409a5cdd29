"""The server under test, the client that every case uses, and what cases are made of."""

import itertools
import os

import httpx
import standardwebhooks
import svix
from svix.api import ApplicationIn, EndpointIn, MessageIn
from svix.exceptions import WebhookVerificationError

from harness.cases import equal, raises
from harness.receiver import Receiver

URL = os.environ["RINGBACK_URL"]
TOKEN = os.environ["RINGBACK_TOKEN"]

# Method, path and status of every answer so far.
answered = []


def record(response):
    answered.append((response.request.method, response.request.url.path, response.status_code))


def connect(token=TOKEN):
    client = svix.Svix(token, svix.SvixOptions(server_url=URL))
    client._httpx_client.event_hooks = {"response": [record]}
    return client


api = connect()
receiver = Receiver()
names = (f"suite-{number}" for number in itertools.count(1))


def application():
    """The id of a new application."""
    return api.application.create(ApplicationIn(name="Suite", uid=next(names))).id


def endpoint(app, place, **fields):
    return api.endpoint.create(app, EndpointIn(url=place.url, **fields))


def send(app, event_type="order.paid", payload=None, **fields):
    message = MessageIn(event_type=event_type, payload=payload or {"n": 1}, **fields)
    return api.message.create(app, message)


def post(path, content, **headers):
    """A request of exactly these bytes, without an SDK."""
    sent = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **headers}
    return httpx.post(f"{URL}/api/v1{path}", content=content, headers=sent, timeout=15)


def verify(delivery, secret):
    """Both libraries accept the delivery, each by its own family of headers."""
    standard = {k: v for k, v in delivery.headers.items() if k.startswith("webhook-")}
    branded = {k: v for k, v in delivery.headers.items() if k.startswith("svix-")}
    equal((len(standard), len(branded)), (3, 3))
    standardwebhooks.Webhook(secret).verify(delivery.body, standard, json_parse=False)
    svix.Webhook(secret).verify(delivery.body, branded)
    svix.Webhook(secret).verify(delivery.body, standard)


def refused(delivery, secret):
    raises(WebhookVerificationError, lambda: verify(delivery, secret))
    raises(
        standardwebhooks.WebhookVerificationError,
        lambda: standardwebhooks.Webhook(secret).verify(delivery.body, delivery.headers),
    )


def ids(page):
    return [item.id for item in page.data]
