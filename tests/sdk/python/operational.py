"""Operational-webhook endpoints: the nine operations, and what is told at them."""

from svix.api import EndpointIn, OperationalWebhookEndpointIn
from svix.exceptions import HTTPValidationError, HttpError
from svix.models import (
    OperationalWebhookEndpointHeadersIn,
    OperationalWebhookEndpointSecretIn,
    OperationalWebhookEndpointUpsertIn,
)

from harness.cases import case, equal, raises, true
from server import answered, api, application, ids, names, receiver, send, verify

told = api.operational_webhook.endpoint


@case
def operational_endpoints_are_kept():
    uid = next(names)
    made = told.create(
        OperationalWebhookEndpointIn(
            url=receiver.place().url,
            uid=uid,
            description="Tells",
            event_types=["endpoint.disabled"],
            throttle_rate=7,
            metadata={"team": "ops"},
            headers={"x-team": "ops", "authorization": "made-up"},
        )
    )
    equal((made.uid, made.event_types, made.throttle_rate), (uid, ["endpoint.disabled"], 7))
    equal((made.description, made.metadata, made.disabled), ("Tells", {"team": "ops"}, False))
    equal((told.get(uid), told.get(made.id)), (made, made))
    true(made.id in ids(told.list()), "it is in the list")
    headers = told.get_headers(uid)
    equal((headers.headers, headers.sensitive), ({"x-team": "ops"}, ["authorization"]))
    equal(told.set_headers(uid, OperationalWebhookEndpointHeadersIn(headers={"x-b": "c"})), None)
    equal(told.get_headers(uid).headers, {"x-b": "c"})
    other = receiver.place().url
    replaced = told.upsert(uid, OperationalWebhookEndpointUpsertIn(url=other, disabled=True))
    equal((replaced.id, replaced.url, replaced.event_types), (made.id, other, None))
    equal(told.delete(uid), None)
    raises(HttpError, lambda: told.get(uid), status_code=404, code="not_found")
    new = told.upsert(uid, OperationalWebhookEndpointUpsertIn(url=other))
    equal((answered[-1][2], new.uid), (201, uid))
    told.delete(new.id)


@case
def operational_secrets_rotate():
    made = told.create(OperationalWebhookEndpointIn(url=receiver.place().url))
    before = told.get_secret(made.id).key
    rotate = OperationalWebhookEndpointSecretIn(grace_period_seconds=0)
    equal(told.rotate_secret(made.id, rotate), None)
    equal(answered[-1][2], 204)
    true(told.get_secret(made.id).key != before, "another secret")
    told.delete(made.id)


@case
def what_happens_is_told_at_operational_endpoints():
    place = receiver.place()
    made = told.create(
        OperationalWebhookEndpointIn(url=place.url, event_types=["endpoint.disabled"])
    )
    app = application()
    gone = api.endpoint.create(app, EndpointIn(url=receiver.place(410).url))
    send(app)
    delivery = place.wait()[0]
    verify(delivery, told.get_secret(made.id).key)
    true(b'"endpoint.disabled"' in delivery.body, delivery.body)
    true(gone.id.encode() in delivery.body, delivery.body)
    told.delete(made.id)


@case
def wrong_operational_endpoints_are_refused():
    error = raises(
        HTTPValidationError,
        lambda: told.create(OperationalWebhookEndpointIn(url="nonsense")),
        status_code=422,
    )
    equal(error.detail[0].loc, ["body", "url"])
