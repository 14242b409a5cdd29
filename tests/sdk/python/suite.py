"""Every sending operation through the current official Python SDK, unmodified.

What is delivered is checked with two implementations that are not ours (`svix` and
`standardwebhooks`; Ed25519 with `cryptography`) and compared byte for byte with what was sent.
Run by `cargo xtask test --only python`, which starts the server.
"""

import asyncio
import base64
import importlib
import importlib.metadata
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx
import standardwebhooks
import svix
import svix.api
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from svix.api import (
    ApplicationCreateOptions,
    ApplicationIn,
    ApplicationListOptions,
    ApplicationPatch,
    EndpointCreateOptions,
    EndpointGetAttemptStatsOptions,
    EndpointGetStatsOptions,
    EndpointHeadersIn,
    EndpointHeadersPatchIn,
    EndpointIn,
    EndpointListOptions,
    EndpointPatch,
    EndpointSecretRotateIn,
    EventTypeDeleteOptions,
    EventTypeIn,
    EventTypeListOptions,
    EventTypePatch,
    MessageAttemptListAttemptedDestinationsOptions,
    MessageAttemptListAttemptedMessagesOptions,
    MessageAttemptListByEndpointOptions,
    MessageAttemptListByMsgOptions,
    MessageCreateOptions,
    MessageGetOptions,
    MessageIn,
    MessageListOptions,
)
from svix.api.message import message_in_raw
from svix.exceptions import HTTPValidationError, HttpError, WebhookVerificationError
from svix.models import (
    EndpointUpsertIn,
    EventTypeUpsertIn,
    MessageAttemptTriggerType,
    MessageStatus,
    MessageStatusText,
    Ordering,
    StatusCodeClass,
)

from harness.cases import case, equal, eventually, raises, run, true
from server import (
    TOKEN,
    URL,
    answered,
    api,
    application,
    connect,
    endpoint,
    ids,
    names,
    post,
    receiver,
    refused,
    send,
    verify,
)

SVIX = "2.9.1"
STANDARD_WEBHOOKS = "1.1.0"


# --- the tools themselves


@case
def the_pinned_versions_are_the_ones_that_run():
    equal(importlib.metadata.version("svix"), SVIX)
    equal(importlib.metadata.version("standardwebhooks"), STANDARD_WEBHOOKS)


@case
def health():
    equal(api.health.get(), None)


# --- applications


@case
def application_create_and_get_by_id_and_uid():
    made = api.application.create(
        ApplicationIn(name="Shop", uid="shop-1", metadata={"plan": "large", "é": "ü"})
    )
    true(re.fullmatch(r"app_[0-9A-Za-z]{27}", made.id), made.id)
    equal((made.name, made.uid, made.metadata), ("Shop", "shop-1", {"plan": "large", "é": "ü"}))
    equal(api.application.get(made.id), made)
    equal(api.application.get("shop-1"), made)
    plain = api.application.create(ApplicationIn(name="No uid"))
    equal((plain.uid, plain.metadata), (None, {}))


@case
def application_get_or_create_answers_the_one_that_is_there():
    made = api.application.get_or_create(ApplicationIn(name="First", uid="get-or-create"))
    same = api.application.get_or_create(ApplicationIn(name="Second", uid="get-or-create"))
    equal(same, made)
    statuses = [status for method, path, status in answered[-2:] if path == "/api/v1/app"]
    equal(statuses, [201, 200])


@case
def application_upsert_creates_then_replaces():
    made = api.application.upsert("upsert-1", ApplicationIn(name="A", uid="upsert-1"))
    equal(answered[-1][2], 201)
    changed = api.application.upsert(
        "upsert-1", ApplicationIn(name="B", uid="upsert-1", metadata={"k": "v"})
    )
    equal(answered[-1][2], 200)
    equal((changed.id, changed.name, changed.metadata), (made.id, "B", {"k": "v"}))
    true(changed.updated_at >= made.updated_at, "updatedAt went back")
    equal(changed.created_at, made.created_at)


@case
def application_patch_tells_absent_null_and_value_apart():
    app = api.application.create(ApplicationIn(name="P", uid="patch-1", metadata={"a": "1"}))
    renamed = api.application.patch("patch-1", ApplicationPatch(name="Q"))
    equal((renamed.name, renamed.uid, renamed.metadata), ("Q", "patch-1", {"a": "1"}))
    freed = api.application.patch(app.id, ApplicationPatch(uid=None))
    equal((freed.name, freed.uid), ("Q", None))
    raises(HttpError, lambda: api.application.get("patch-1"), status_code=404)
    equal(api.application.patch(app.id, ApplicationPatch(uid="patch-2")).uid, "patch-2")
    raises(
        HTTPValidationError,
        lambda: api.application.patch(app.id, ApplicationPatch(name=None)),
        status_code=422,
    )


@case
def application_delete():
    app = application()
    equal(api.application.delete(app), None)
    equal(answered[-1][2], 204)
    raises(HttpError, lambda: api.application.get(app), status_code=404, code="not_found")


@case
def application_list_pages_in_both_directions_and_orders():
    made = [application() for _ in range(5)]

    def listed(**options):
        return api.application.list(ApplicationListOptions(**options))

    up = [app.id for app in everything(listed, limit=3)]
    equal([app for app in up if app in made], made)
    down = [app.id for app in everything(listed, limit=3, order=Ordering.DESCENDING)]
    equal(down, list(reversed(up)))

    first = listed(limit=2)
    second = listed(limit=2, iterator=first.iterator)
    true(not first.done and len(first.data) == 2, first)
    true(set(ids(first)).isdisjoint(ids(second)), "a page was repeated")
    equal(ids(listed(limit=2, iterator=second.prev_iterator)), ids(first))


def everything(listed, **options):
    """All items, page after page; the iterator must advance."""
    items, iterator = [], None
    while True:
        page = listed(iterator=iterator, **options)
        items += page.data
        if page.done:
            return items
        true(page.iterator not in (None, iterator), "the iterator stands still")
        iterator = page.iterator


# --- endpoints


@case
def endpoint_create_and_get_by_uid():
    app = application()
    place = receiver.place()
    made = endpoint(
        app,
        place,
        uid="ep-uid",
        description="Main",
        channels=["a", "b"],
        metadata={"team": "x"},
        disabled=False,
    )
    true(re.fullmatch(r"ep_[0-9A-Za-z]{27}", made.id), made.id)
    equal((made.url, made.uid, made.description), (place.url, "ep-uid", "Main"))
    equal((sorted(made.channels), made.metadata), (["a", "b"], {"team": "x"}))
    equal((made.disabled, made.event_types), (False, None))
    equal(api.endpoint.get(app, "ep-uid"), made)
    equal(api.endpoint.get(api.application.get(app).uid, made.id), made)


@case
def endpoint_upsert_creates_then_replaces():
    app = application()
    one, two = receiver.place(), receiver.place()
    made = api.endpoint.upsert(app, "up", EndpointUpsertIn(url=one.url, uid="up", channels=["c"]))
    equal(answered[-1][2], 201)
    changed = api.endpoint.upsert(app, "up", EndpointUpsertIn(url=two.url, uid="up"))
    equal(answered[-1][2], 200)
    equal((changed.id, changed.url, changed.channels), (made.id, two.url, None))


@case
def endpoint_patch_tells_absent_null_and_value_apart():
    app = application()
    api.event_type.create(EventTypeIn(name="patched.endpoint", description="x"))
    one, two = receiver.place(), receiver.place()
    made = endpoint(
        app, one, uid="p", description="d", channels=["c"], event_types=["patched.endpoint"]
    )
    moved = api.endpoint.patch(app, "p", EndpointPatch(url=two.url))
    equal((moved.url, moved.uid, moved.description), (two.url, "p", "d"))
    equal((moved.channels, moved.event_types), (["c"], ["patched.endpoint"]))
    cleared = api.endpoint.patch(
        app, made.id, EndpointPatch(uid=None, channels=None, event_types=None, description="")
    )
    equal(
        (cleared.uid, cleared.channels, cleared.event_types, cleared.description),
        (None, None, None, ""),
    )
    equal(cleared.url, two.url)
    equal(api.endpoint.patch(app, made.id, EndpointPatch(metadata={"k": "v"})).metadata, {"k": "v"})


@case
def endpoint_list_pages():
    app = application()
    made = [endpoint(app, receiver.place()).id for _ in range(3)]

    def listed(**options):
        return api.endpoint.list(app, EndpointListOptions(**options))

    down = [item.id for item in everything(listed, limit=2)]
    equal(down, list(reversed(made)))
    up = [item.id for item in everything(listed, limit=2, order=Ordering.ASCENDING)]
    equal(up, made)


@case
def endpoint_delete_ends_its_deliveries():
    app = application()
    gone, stays = receiver.place(), receiver.place()
    deleted = endpoint(app, gone)
    endpoint(app, stays)
    equal(api.endpoint.delete(app, deleted.id), None)
    raises(HttpError, lambda: api.endpoint.get(app, deleted.id), status_code=404)
    send(app)
    stays.wait()
    equal(gone.deliveries, [])


@case
def endpoint_that_is_disabled_gets_nothing_new():
    app = application()
    off, on = receiver.place(), receiver.place()
    endpoint(app, off, uid="off", disabled=True)
    endpoint(app, on)
    send(app, payload={"n": 1})
    on.wait()
    equal(off.deliveries, [])
    equal(api.endpoint.patch(app, "off", EndpointPatch(disabled=False)).disabled, False)
    send(app, payload={"n": 2})
    equal(off.wait()[0].body, b'{"n":2}')


@case
def endpoint_headers_are_sent_and_secret_ones_not_shown():
    app = application()
    place = receiver.place()
    made = endpoint(app, place, headers={"X-First": "one"})
    equal(lower(api.endpoint.get_headers(app, made.id).headers), {"x-first": "one"})

    headers = {"X-Tenant": "t 1", "Authorization": "Bearer made-up-secret"}
    equal(api.endpoint.set_headers(app, made.id, EndpointHeadersIn(headers=headers)), None)
    equal(answered[-1][2], 204)
    shown = api.endpoint.get_headers(app, made.id)
    equal(lower(shown.headers), {"x-tenant": "t 1"})
    equal([name.lower() for name in shown.sensitive], ["authorization"])
    send(app)
    sent = place.wait()[0].headers
    equal((sent["x-tenant"], sent["authorization"]), ("t 1", "Bearer made-up-secret"))
    true("x-first" not in sent, "a replaced header was sent")

    patch = EndpointHeadersPatchIn(headers={"X-More": "m"}, delete_headers=["X-Tenant"])
    equal(api.endpoint.patch_headers(app, made.id, patch), None)
    shown = api.endpoint.get_headers(app, made.id)
    equal(lower(shown.headers), {"x-more": "m"})
    equal([name.lower() for name in shown.sensitive], ["authorization"])


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


@case
def endpoint_headers_that_cannot_be_sent_are_refused():
    app = application()
    made = endpoint(app, receiver.place())
    for headers in [{"X-A": "line\nbreak"}, {"bad name": "x"}, {"webhook-id": "x"}, {"Host": "x"}]:
        for call in [
            lambda: api.endpoint.set_headers(app, made.id, EndpointHeadersIn(headers=headers)),
            lambda: api.endpoint.patch_headers(
                app, made.id, EndpointHeadersPatchIn(headers=headers)
            ),
        ]:
            error = raises(HTTPValidationError, call, status_code=422)
            true("headers" in error.detail[0].loc, error.detail)
    equal(api.endpoint.get_headers(app, made.id).headers, {})


# --- secrets


@case
def secret_that_is_generated_and_one_that_is_given():
    app = application()
    generated = api.endpoint.get_secret(app, endpoint(app, receiver.place()).id).key
    true(re.fullmatch(r"whsec_[A-Za-z0-9+/]+=*", generated), generated)
    given = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    place = receiver.place()
    made = endpoint(app, place, secret=given)
    equal(api.endpoint.get_secret(app, made.id).key, given)
    send(app)
    verify(place.wait()[0], given)


@case
def rotation_signs_with_both_secrets_until_the_grace_period_ends():
    app = application()
    place = receiver.place()
    made = endpoint(app, place)
    old = api.endpoint.get_secret(app, made.id).key
    new = api.endpoint.rotate_secret(app, made.id, EndpointSecretRotateIn()).key
    true(new != old and new.startswith("whsec_"), new)
    equal(api.endpoint.get_secret(app, made.id).key, new)
    send(app)
    both = place.wait()[0]
    equal(len(both.signatures("v1")), 2)
    verify(both, old)
    verify(both, new)

    chosen = "whsec_" + base64.b64encode(b"made up, thirty-two bytes long..").decode()
    rotate = EndpointSecretRotateIn(key=chosen, grace_period_seconds=0)
    equal(api.endpoint.rotate_secret(app, made.id, rotate).key, chosen)
    send(app)
    last = place.wait(2)[1]
    verify(last, chosen)
    # The rotation without grace ends the secret it replaces.
    refused(last, new)


@case
def ed25519_signatures_verify_with_an_independent_library():
    app = application()
    place = receiver.place()
    secret, public = ed25519_pair()
    made = endpoint(app, place, secret=secret)
    shown = api.endpoint.get_secret(app, made.id).key
    equal(shown, public)
    send(app, payload={"signed": "ed25519 é"})
    delivery = place.wait()[0]
    equal(delivery.signatures("v1"), [])
    verify_ed25519(delivery, shown)


@case
def rotation_from_hmac_to_ed25519_sends_both_kinds():
    app = application()
    place = receiver.place()
    made = endpoint(app, place)
    old = api.endpoint.get_secret(app, made.id).key
    secret, public = ed25519_pair()
    answer = api.endpoint.rotate_secret(app, made.id, EndpointSecretRotateIn(key=secret)).key
    true(answer.startswith(("whpk_", "whsk_")), answer)
    equal(api.endpoint.get_secret(app, made.id).key, public)
    send(app)
    delivery = place.wait()[0]
    verify(delivery, old)
    verify_ed25519(delivery, public)


def ed25519_pair():
    """(`whsk_` of seed and public key, `whpk_` of the public key)"""
    key = Ed25519PrivateKey.generate()
    seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    return (
        "whsk_" + base64.b64encode(seed + public).decode(),
        "whpk_" + base64.b64encode(public).decode(),
    )


def verify_ed25519(delivery, public):
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
    [signature] = delivery.signatures("v1a")
    signed = f"{delivery.id}.{delivery.timestamp}.".encode() + delivery.body
    key.verify(base64.b64decode(signature), signed)


@case
def secrets_that_are_none_are_refused():
    app = application()
    place = receiver.place()
    for secret in ["whsec_!", "whsec_" + base64.b64encode(b"short").decode(), "whpk_AAAA"]:
        error = raises(HTTPValidationError, lambda: endpoint(app, place, secret=secret))
        true("secret" in error.detail[0].loc, error.detail)


# --- event types


@case
def event_type_create_get_upsert_patch():
    schemas = {"1": {"type": "object", "title": "Paid"}}
    made = api.event_type.create(
        EventTypeIn(name="invoice.paid", description="Paid", schemas=schemas)
    )
    equal((made.name, made.description, made.archived), ("invoice.paid", "Paid", False))
    equal((made.deprecated, made.schemas), (False, schemas))
    equal(api.event_type.get("invoice.paid"), made)

    changed = api.event_type.upsert("invoice.paid", EventTypeUpsertIn(description="Now"))
    equal((answered[-1][2], changed.description, changed.schemas), (200, "Now", None))
    created = api.event_type.upsert("invoice.sent", EventTypeUpsertIn(description="Sent"))
    equal((answered[-1][2], created.name), (201, "invoice.sent"))

    patched = api.event_type.patch("invoice.paid", EventTypePatch(deprecated=True, schemas=schemas))
    equal((patched.description, patched.deprecated, patched.schemas), ("Now", True, schemas))
    equal(api.event_type.patch("invoice.paid", EventTypePatch(schemas=None)).schemas, None)


@case
def event_type_delete_archives_and_creating_it_again_brings_it_back():
    name = "thing.archived"
    api.event_type.create(EventTypeIn(name=name, description="x"))

    def listed(**options):
        found = lambda **more: api.event_type.list(EventTypeListOptions(**more, **options))
        return [item.name for item in everything(found, limit=2)]

    true(name in listed(), "not listed")
    equal(api.event_type.delete(name), None)
    equal(api.event_type.get(name).archived, True)
    true(name not in listed(), "an archived type is listed")
    true(name in listed(include_archived=True), "an archived type is gone")
    equal(api.event_type.create(EventTypeIn(name=name, description="y")).archived, False)
    equal(api.event_type.patch(name, EventTypePatch(archived=True)).archived, True)
    api.event_type.delete(name, EventTypeDeleteOptions(expunge=True))
    raises(HttpError, lambda: api.event_type.get(name), status_code=404, code="not_found")


@case
def event_type_list_is_by_name_and_leaves_schemas_out_unless_asked():
    schemas = {"1": {"type": "object"}}
    for name in ["list.b", "list.a", "list.c"]:
        api.event_type.create(EventTypeIn(name=name, description="x", schemas=schemas))

    def listed(**options):
        found = lambda **more: api.event_type.list(EventTypeListOptions(**more, **options))
        return [item for item in everything(found, limit=2) if item.name.startswith("list.")]

    equal([item.name for item in listed()], ["list.a", "list.b", "list.c"])
    equal([item.name for item in listed(order=Ordering.DESCENDING)], ["list.c", "list.b", "list.a"])
    equal([item.schemas for item in listed(with_content=True)], [schemas] * 3)
    equal([item.schemas for item in listed()], [None] * 3)


# --- messages


@case
def message_is_delivered_signed_and_recorded():
    app = application()
    place = receiver.place()
    made = endpoint(app, place)
    message = send(app, payload={"id": 7, "é": ["ü", None, True]})
    true(re.fullmatch(r"msg_[0-9A-Za-z]{27}", message.id), message.id)
    equal((message.event_type, message.payload), ("order.paid", {}))
    delivery = place.wait()[0]
    equal(delivery.id, message.id)
    equal(delivery.headers["content-type"], "application/json")
    verify(delivery, api.endpoint.get_secret(app, made.id).key)
    refused(delivery, "whsec_" + base64.b64encode(b"another secret, made up too.....").decode())

    [attempt] = attempts(app, message.id, 1)
    equal((attempt.status, attempt.status_text), (MessageStatus.SUCCESS, MessageStatusText.SUCCESS))
    equal((attempt.response_status_code, attempt.endpoint_id), (200, made.id))
    equal((attempt.msg_id, attempt.url), (message.id, place.url))
    equal(attempt.trigger_type, MessageAttemptTriggerType.SCHEDULED)
    true(0 <= attempt.response_duration_ms < 15_000, attempt.response_duration_ms)


def attempts(app, message, count, **options):
    """The attempts of a message, newest first, as soon as there are `count`."""
    listed = lambda: api.message_attempt.list_by_msg(
        app, message, MessageAttemptListByMsgOptions(**options)
    )
    return eventually(listed, lambda page: len(page.data) >= count).data


@case
def message_bytes_arrive_as_they_were_sent():
    app = application()
    place = receiver.place()
    made = endpoint(app, place)
    secret = api.endpoint.get_secret(app, made.id).key
    payloads = [
        b'{"a":1.0,"z":1e5,"b":"\\u00e9 \xc3\xa9"}',
        b'{ "z" : 1,\n\t"a" : [ ],"a2":-0.0,"big":123456789012345678901234567890 }',
        b'{"slash":"\\/","quote":"\\"","dup":1,"dup":2}',
        b"{}",
    ]
    for number, payload in enumerate(payloads, 1):
        answer = post(f"/app/{app}/msg/", b'{"eventType":"raw.bytes","payload":' + payload + b"}")
        equal(answer.status_code, 202)
        delivery = place.wait(number)[number - 1]
        equal(delivery.body, payload)
        verify(delivery, secret)


@case
def message_that_is_not_json_keeps_its_type():
    app = application()
    place = receiver.place()
    made = endpoint(app, place)
    text = "<paid id='7'>\n  é</paid>"
    message = api.message.create(app, message_in_raw("raw.xml", text, "application/xml"))
    delivery = place.wait()[0]
    equal((delivery.body.decode(), delivery.headers["content-type"]), (text, "application/xml"))
    verify(delivery, api.endpoint.get_secret(app, made.id).key)
    equal(api.message.get(app, message.id).event_type, "raw.xml")


@case
def message_get_with_and_without_content():
    app = application()
    payload = {"x": [1, 2.5, "é"]}
    sent = MessageIn(
        event_type="a.b", payload=payload, event_id="e-1", channels=["c"], tags=["t1", "t2"]
    )
    made = api.message.create(app, sent, MessageCreateOptions(with_content=True))
    equal(made.payload, payload)
    got = api.message.get(app, made.id, MessageGetOptions(with_content=True))
    equal((got.payload, got.event_id, got.channels), (payload, "e-1", ["c"]))
    equal((sorted(got.tags), got.timestamp), (["t1", "t2"], made.timestamp))
    equal(api.message.get(app, made.id).payload, {})
    equal(api.message.get(app, "e-1").id, made.id)


@case
def message_creates_its_application_on_the_way():
    uid = next(names)
    for _ in range(2):
        send(uid, application=ApplicationIn(name="On the way", uid=uid))
    equal(api.application.get(uid).name, "On the way")
    equal(len(api.message.list(uid).data), 2)


@case
def message_list_pages_in_both_directions():
    app = application()
    made = [send(app, payload={"n": n}).id for n in range(5)]

    def listed(**options):
        return api.message.list(app, MessageListOptions(**options))

    newest_first = list(reversed(made))
    equal([item.id for item in everything(listed, limit=2)], newest_first)
    first = listed(limit=2)
    second = listed(limit=2, iterator=first.iterator)
    third = listed(limit=2, iterator=second.iterator)
    equal(ids(first) + ids(second) + ids(third), newest_first)
    equal((first.done, second.done, third.done), (False, False, True))
    equal(ids(listed(limit=2, iterator=third.prev_iterator)), ids(second))
    equal(ids(listed(limit=2, iterator=second.prev_iterator)), ids(first))
    equal([item.payload for item in first.data], [{}, {}])
    full = listed(limit=2, with_content=True)
    equal([item.payload for item in full.data], [{"n": 4}, {"n": 3}])


@case
def message_list_filters():
    app = application()
    one = send(app, "f.one", channels=["red"], tags=["t1"]).id
    two = send(app, "f.two", channels=["red", "blue"]).id
    three = send(app, "f.three", tags=["t1", "t2"]).id
    now, hour = datetime.now(timezone.utc), timedelta(hours=1)

    def check(expected, **options):
        equal(ids(api.message.list(app, MessageListOptions(**options))), expected)

    check([three, two, one])
    check([two, one], channel="red")
    check([two], channel="blue")
    check([], channel="green")
    check([three, one], tag="t1")
    check([one], event_types=["f.one"])
    check([three, one], event_types=["f.one", "f.three"])
    check([three, two, one], after=now - hour, before=now + hour)
    check([], after=now + hour)
    check([], before=now - hour)


@case
def message_goes_to_endpoints_that_want_its_type_and_channel():
    app = application()
    for name in ["route.a", "route.b"]:
        api.event_type.create(EventTypeIn(name=name, description="x"))
    everything_, only_b, only_red = receiver.place(), receiver.place(), receiver.place()
    endpoint(app, everything_)
    endpoint(app, only_b, event_types=["route.b"])
    endpoint(app, only_red, channels=["red"])
    sent = [
        send(app, "route.a"),
        send(app, "route.b"),
        send(app, "route.a", channels=["red"]),
        send(app, "route.b", channels=["blue", "red"]),
    ]
    a, b, red, both = [message.id for message in sent]
    got = lambda place, count: sorted(delivery.id for delivery in place.wait(count))
    equal(got(everything_, 4), sorted([a, b, red, both]))
    equal(got(only_b, 2), sorted([b, both]))
    equal(got(only_red, 2), sorted([red, both]))


# --- attempts


@case
def failing_receiver_is_retried_with_the_same_id_and_a_fresh_timestamp():
    app = application()
    place = receiver.place(500, 503)
    made = endpoint(app, place)
    secret = api.endpoint.get_secret(app, made.id).key
    message = send(app, payload={"retried": 1.0})
    deliveries = place.wait(3)
    equal([delivery.id for delivery in deliveries], [message.id] * 3)
    equal({delivery.body for delivery in deliveries}, {b'{"retried":1.0}'})
    times = [delivery.timestamp for delivery in deliveries]
    true(times[0] < times[1] < times[2], times)
    for delivery in deliveries:
        verify(delivery, secret)
    records = attempts(app, message.id, 3)
    equal([record.response_status_code for record in records], [200, 503, 500])
    equal([record.status for record in records][0], MessageStatus.SUCCESS)
    equal({record.status for record in records[1:]}, {MessageStatus.FAIL})


@case
def resend_delivers_again_by_hand():
    app = application()
    place = receiver.place()
    made = endpoint(app, place)
    message = send(app)
    attempts(app, message.id, 1)
    api.message_attempt.resend(app, message.id, made.id)
    equal(answered[-1][2], 202)
    first, second = place.wait(2)
    equal((second.id, second.body), (message.id, first.body))
    verify(second, api.endpoint.get_secret(app, made.id).key)
    newest, oldest = attempts(app, message.id, 2)
    equal(newest.trigger_type, MessageAttemptTriggerType.MANUAL)
    equal(oldest.trigger_type, MessageAttemptTriggerType.SCHEDULED)


@case
def attempt_get_and_its_content():
    app = application()
    place = receiver.place(404)
    endpoint(app, place)
    message = send(app)
    listed = attempts(app, message.id, 1)[-1]
    true(re.fullmatch(r"atmpt_[0-9A-Za-z]{27}", listed.id), listed.id)
    got = api.message_attempt.get(app, message.id, listed.id)
    equal((got.id, got.msg_id, got.response_status_code), (listed.id, message.id, 404))
    equal(got.response, f"answer of {place.path}")
    equal(got.status, MessageStatus.FAIL)
    equal(listed.response, "")
    full = attempts(app, message.id, 1, with_content=True)[-1]
    equal(full.response, f"answer of {place.path}")


@case
def attempt_lists_filter_and_page():
    app = application()
    for name in ["try.a", "try.b"]:
        api.event_type.create(EventTypeIn(name=name, description="x"))
    good, bad = receiver.place(), receiver.place(500)
    ok = endpoint(app, good)
    failing = endpoint(app, bad, event_types=["try.b"])
    first = send(app, "try.a", channels=["c"], tags=["t"]).id
    good.wait(1)
    attempts(app, first, 1)
    second = send(app, "try.b", payload={"n": 2}).id
    # The failing endpoint answers 500, then 200 a second later.
    attempts(app, second, 3)
    now, hour = datetime.now(timezone.utc), timedelta(hours=1)

    def by_endpoint(expected, endpoint_id, **options):
        page = api.message_attempt.list_by_endpoint(
            app, endpoint_id, MessageAttemptListByEndpointOptions(**options)
        )
        equal([(item.msg_id, item.response_status_code) for item in page.data], expected)
        return page

    by_endpoint([(second, 200), (first, 200)], ok.id)
    by_endpoint([(second, 200), (second, 500)], failing.id)
    by_endpoint([(second, 500)], failing.id, status=MessageStatus.FAIL)
    by_endpoint([(second, 200)], failing.id, status=MessageStatus.SUCCESS)
    by_endpoint([(second, 500)], failing.id, status_code_class=StatusCodeClass.CODE5XX)
    by_endpoint([(first, 200)], ok.id, channel="c")
    by_endpoint([(first, 200)], ok.id, tag="t")
    by_endpoint([(second, 200)], ok.id, event_types=["try.b"])
    by_endpoint([], ok.id, after=now + hour)
    by_endpoint([], ok.id, before=now - hour)
    page = by_endpoint([(second, 200), (first, 200)], ok.id, with_msg=True, with_content=True)
    # The SDK documents that the message comes without its payload, whatever is asked for.
    equal([(item.msg.id, item.msg.payload) for item in page.data], [(second, {}), (first, {})])
    page = by_endpoint([(second, 200)], ok.id, limit=1)
    equal(page.done, False)
    by_endpoint([(first, 200)], ok.id, limit=1, iterator=page.iterator)

    only = attempts(app, second, 2, endpoint_id=failing.id)
    equal([item.response_status_code for item in only], [200, 500])
    only = attempts(app, second, 1, status=MessageStatus.FAIL)
    equal([item.endpoint_id for item in only], [failing.id])


@case
def attempted_lists_and_stats_agree():
    app = application()
    good = endpoint(app, receiver.place())
    bad = endpoint(app, receiver.place(500))
    disabled = endpoint(app, receiver.place(), disabled=True)
    sent = send(app, payload={"n": 7})
    attempts(app, sent.id, 2)

    destinations = api.message_attempt.list_attempted_destinations(app, sent.id)
    statuses = {line.id: line.status for line in destinations.data}
    equal(statuses, {good.id: MessageStatus.SUCCESS, bad.id: MessageStatus.SENDING})
    true(destinations.done, "that is all")
    first = api.message_attempt.list_attempted_destinations(
        app, sent.id, MessageAttemptListAttemptedDestinationsOptions(limit=1)
    )
    equal((len(first.data), first.done), (1, False))

    for target, status, text, counted in [
        (good, MessageStatus.SUCCESS, MessageStatusText.SUCCESS, "success"),
        (bad, MessageStatus.SENDING, MessageStatusText.SENDING, "sending"),
    ]:
        options = MessageAttemptListAttemptedMessagesOptions(
            status=status, with_content=True, event_types=["order.paid"]
        )
        [line] = api.message_attempt.list_attempted_messages(app, target.id, options).data
        equal((line.id, line.status, line.status_text), (sent.id, status, text))
        equal((line.payload, line.next_attempt is None), ({"n": 7}, counted == "success"))
        options = EndpointGetStatsOptions(since=sent.timestamp - timedelta(hours=1))
        stats = api.endpoint.get_stats(app, target.id, options)
        names_ = ["success", "pending", "sending", "fail", "canceled"]
        equal({name: getattr(stats, name) for name in names_}, {n: int(n == counted) for n in names_})
        options = EndpointGetAttemptStatsOptions(until=sent.timestamp + timedelta(hours=1))
        stats = api.endpoint.get_attempt_stats(app, target.id, options)
        equal((stats.success, stats.fail), (1, 0) if target is good else (0, 1))
    equal(api.message_attempt.list_attempted_messages(app, disabled.id).data, [])


@case
def receiver_that_is_gone_disables_its_endpoint():
    app = application()
    place = receiver.place(410)
    made = endpoint(app, place)
    send(app)
    place.wait()
    eventually(lambda: api.endpoint.get(app, made.id).disabled, lambda disabled: disabled)


@case
def redirect_is_a_failure_and_never_followed():
    app = application()
    place = receiver.place(302, 302, 302, 302)
    endpoint(app, place)
    message = send(app)
    [*_, first] = attempts(app, message.id, 1)
    equal((first.response_status_code, first.status), (302, MessageStatus.FAIL))


# --- what is refused, as the SDK reads it


@case
def duplicates_are_conflicts():
    app = application()
    uid = api.application.get(app).uid
    place = receiver.place()
    endpoint(app, place, uid="twice")
    send(app, event_id="same")
    api.event_type.create(EventTypeIn(name="twice.made", description="x"))
    for call, code in [
        (lambda: api.application.create(ApplicationIn(name="x", uid=uid)), "conflict"),
        (lambda: endpoint(app, place, uid="twice"), "conflict"),
        (lambda: send(app, event_id="same"), None),
        (
            lambda: api.event_type.create(EventTypeIn(name="twice.made", description="x")),
            "event_type_exists",
        ),
    ]:
        error = raises(HttpError, call, status_code=409)
        true(error.detail, error)
        true(code in (None, error.code), error)


@case
def what_is_not_there_is_not_found():
    app = application()
    made = endpoint(app, receiver.place())
    message = send(app)
    other = application()
    no_message, no_endpoint = "msg_" + "0" * 27, "ep_" + "0" * 27
    for call in [
        lambda: api.application.get("nobody"),
        lambda: api.endpoint.list("nobody"),
        lambda: api.message.list("nobody"),
        lambda: send("nobody"),
        lambda: api.endpoint.get(app, no_endpoint),
        lambda: api.message.get(app, no_message),
        lambda: api.message_attempt.list_by_msg(app, no_message),
        lambda: api.message_attempt.list_by_endpoint(app, no_endpoint),
        lambda: api.message_attempt.get(app, message.id, "atmpt_" + "0" * 27),
        lambda: api.message_attempt.resend(app, message.id, no_endpoint),
        lambda: api.event_type.get("no.such.type"),
        # Of another application:
        lambda: api.endpoint.get(other, made.id),
        lambda: api.endpoint.get_secret(other, made.id),
        lambda: api.message.get(other, message.id),
        lambda: api.message_attempt.resend(other, message.id, made.id),
    ]:
        raises(HttpError, call, status_code=404, code="not_found")


@case
def invalid_input_names_its_field():
    app = application()
    for url in ["", "no url", "ftp://127.0.0.1/x", "http://", "/path", "http://127.0.0.1:99999/"]:
        error = raises(
            HTTPValidationError,
            lambda: api.endpoint.create(app, EndpointIn(url=url)),
            status_code=422,
        )
        equal(error.detail[0].loc, ["body", "url"])
        true(error.detail[0].msg and error.detail[0].type, error.detail)
    for call, place in [
        (lambda: api.application.list(ApplicationListOptions(limit=0)), "limit"),
        (lambda: api.message.list(app, MessageListOptions(limit=100_000)), "limit"),
        (lambda: api.message.list(app, MessageListOptions(iterator="app_1")), "iterator"),
        (lambda: api.application.create(ApplicationIn(name="x", uid="no space")), "uid"),
        (lambda: send(app, event_type="no space"), "eventType"),
        (
            lambda: api.endpoint.rotate_secret(
                app,
                endpoint(app, receiver.place()).id,
                EndpointSecretRotateIn(grace_period_seconds=-1),
            ),
            "gracePeriodSeconds",
        ),
    ]:
        error = raises(HTTPValidationError, call, status_code=422)
        true(place in error.detail[0].loc, error.detail)


@case
def malformed_requests_get_json_that_sdks_can_read():
    app = application()
    deep = b'{"eventType":"a","payload":' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}"
    for content in [b"", b"{", b"[]", b'{"payload":{}}', b'{"eventType":1,"payload":{}}', deep]:
        answer = post(f"/app/{app}/msg", content)
        true(answer.status_code in (400, 422), (content[:40], answer.status_code))
        body = answer.json()
        if answer.status_code == 422:
            true(all(item["loc"] and item["msg"] and item["type"] for item in body["detail"]), body)
        else:
            true(body["code"] and body["detail"], body)
    large = b'{"eventType":"a","payload":{"a":"' + b"x" * 1_200_000 + b'"}}'
    answer = post(f"/app/{app}/msg", large)
    equal(answer.status_code, 413)
    true(answer.json()["code"], answer.text)
    equal(api.message.list(app).data, [])


@case
def wrong_token_is_refused():
    stranger = connect("made-up-but-not-valid-token")
    raises(HttpError, stranger.application.list, status_code=401, code="authentication_failed")


# --- idempotency


@case
def idempotency_key_replays_the_first_answer():
    key = MessageCreateOptions(idempotency_key="chosen-key-1")
    app = application()
    place = receiver.place()
    endpoint(app, place)
    message = MessageIn(event_type="once", payload={"n": 1})
    first = api.message.create(app, message, key)
    again = api.message.create(app, message, key)
    equal(again, first)
    equal(ids(api.message.list(app)), [first.id])
    raises(
        HttpError,
        lambda: api.message.create(app, MessageIn(event_type="once", payload={"n": 2}), key),
        status_code=409,
        code="idempotency_conflict",
    )
    marker = send(app, "marker").id
    equal([delivery.id for delivery in place.wait(2)], [first.id, marker])


@case
def idempotency_key_covers_every_post():
    key = "chosen-key-2"
    create = ApplicationCreateOptions(idempotency_key=key)
    body = ApplicationIn(name="Once", uid=next(names))
    made = api.application.create(body, create)
    equal(api.application.create(body, create), made)

    # The same key on another path is another key.
    options = EndpointCreateOptions(idempotency_key=key)
    wanted = EndpointIn(url=receiver.place().url)
    first = api.endpoint.create(made.id, wanted, options)
    equal(api.endpoint.create(made.id, wanted, options), first)
    equal(ids(api.endpoint.list(made.id)), [first.id])
    raises(
        HttpError,
        lambda: api.endpoint.create(made.id, EndpointIn(url=receiver.place().url), options),
        status_code=409,
        code="idempotency_conflict",
    )


# --- the asynchronous client, and cases in files of their own


@case
def asynchronous_client():
    async def journey():
        client = svix.SvixAsync(TOKEN, svix.SvixOptions(server_url=URL + "/"))
        app = await client.application.create(ApplicationIn(name="Async", uid=next(names)))
        place = receiver.place()
        made = await client.endpoint.create(app.id, EndpointIn(url=place.url))
        secret = (await client.endpoint.get_secret(app.id, made.id)).key
        await client.message.create(app.id, MessageIn(event_type="a", payload={}))
        return place, secret

    place, secret = asyncio.run(journey())
    verify(place.wait()[0], secret)


# Every other file here has the cases of one area. The matrix, which calls everything, comes last.
areas = {file.stem for file in Path(__file__).parent.glob("*.py")} - {"suite", "server", "matrix"}
for area in [*sorted(areas), "matrix"]:
    importlib.import_module(area)

run()
