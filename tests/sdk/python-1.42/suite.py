"""The essential journey through the official Python SDK of November 2024, unmodified.

That SDK accepts only the status codes its documents named and knows neither the new names of
fields nor the secret as the answer of a rotation: applications that never updated must go on.
Run by `cargo xtask test --only python-1.42`, which starts the server.
"""

import importlib.metadata
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import standardwebhooks
import svix
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from svix.api import (
    ApplicationIn,
    ApplicationPatch,
    EndpointHeadersIn,
    EndpointHeadersPatchIn,
    EndpointIn,
    EndpointListOptions,
    EndpointPatch,
    EndpointSecretRotateIn,
    EndpointUpdate,
    EventTypeIn,
    EventTypeListOptions,
    EventTypePatch,
    EventTypeUpdate,
    MessageAttemptListOptions,
    MessageIn,
    MessageListOptions,
    PostOptions,
)
from svix.exceptions import HTTPValidationError, HttpError
from svix.internal.openapi_client.api.endpoint import (
    v1_endpoint_delete_mtls_config,
    v1_endpoint_delete_oauth_config,
    v1_endpoint_update_mtls_config,
    v1_endpoint_update_oauth_config,
)
from svix.internal.openapi_client.api.health import v1_health_get
from svix.internal.openapi_client.models.endpoint_mtls_config_in import EndpointMtlsConfigIn
from svix.internal.openapi_client.models.endpoint_oauth_config_in import EndpointOauthConfigIn
from svix.internal.openapi_client.models.message_status import MessageStatus
from svix.internal.openapi_client.models.oauth_2_auth_method_in import Oauth2AuthMethodIn
from svix.internal.openapi_client.models.oauth_2_grant_type_in import Oauth2GrantTypeIn

from harness.cases import case, equal, eventually, raises, run, true
from harness.receiver import Receiver

SVIX = "1.42.0"

api = svix.Svix(os.environ["RINGBACK_TOKEN"], svix.SvixOptions(server_url=os.environ["RINGBACK_URL"]))
receiver = Receiver()
names = (f"old-{number}" for number in range(1, 10_000))


def application():
    return api.application.create(ApplicationIn(name="Old", uid=next(names))).id


def send(app, payload=None, **fields):
    message = MessageIn(event_type="order.paid", payload=payload or {"n": 1}, **fields)
    return api.message.create(app, message)


def verify(delivery, secret):
    svix.Webhook(secret).verify(delivery.body, delivery.headers)
    standardwebhooks.Webhook(secret).verify(delivery.body, delivery.headers)


@case
def the_pinned_version_is_the_one_that_runs():
    equal(importlib.metadata.version("svix"), SVIX)


@case
def health():
    # The client has no method for it yet, but the generated code below it is there.
    equal(v1_health_get.request_sync(client=api._client), None)


@case
def applications():
    made = api.application.create(ApplicationIn(name="A", uid="old-app", metadata={"k": "v"}))
    equal((made.name, made.uid, made.metadata), ("A", "old-app", {"k": "v"}))
    equal(api.application.get_or_create(ApplicationIn(name="B", uid="old-app")).id, made.id)
    equal(api.application.get("old-app").id, made.id)
    updated = api.application.update("old-app", ApplicationIn(name="C", uid="old-app"))
    equal((updated.id, updated.name), (made.id, "C"))
    equal(api.application.update("old-new", ApplicationIn(name="D", uid="old-new")).name, "D")
    equal(api.application.patch("old-app", ApplicationPatch(name="E")).name, "E")
    true(made.id in [app.id for app in api.application.list().data], "not listed")
    equal(api.application.delete("old-app"), None)
    raises(HttpError, lambda: api.application.get("old-app"), status_code=404, code="not_found")


@case
def endpoints_with_the_old_names_of_fields():
    app = application()
    api.event_type.create(EventTypeIn(name="old.wanted", description="x"))
    place = receiver.place()
    made = api.endpoint.create(
        app, EndpointIn(url=place.url, uid="e", filter_types=["old.wanted"], channels=["c"])
    )
    equal((made.version, made.filter_types, made.channels), (1, ["old.wanted"], ["c"]))
    equal((made.disabled, made.description), (False, ""))
    patched = api.endpoint.patch(app, "e", EndpointPatch(filter_types=None, channels=None))
    equal((patched.filter_types, patched.channels, patched.uid), (None, None, "e"))
    updated = api.endpoint.update(app, "e", EndpointUpdate(url=place.url, uid="e", description="d"))
    equal((updated.id, updated.description), (made.id, "d"))
    listed = api.endpoint.list(app, EndpointListOptions(limit=1))
    equal(([item.id for item in listed.data], listed.done), ([made.id], True))
    equal(api.endpoint.delete(app, "e"), None)
    raises(HttpError, lambda: api.endpoint.get(app, "e"), status_code=404)


@case
def endpoint_headers():
    app = application()
    place = receiver.place()
    made = api.endpoint.create(app, EndpointIn(url=place.url))
    headers = EndpointHeadersIn(headers={"X-One": "1"})
    equal(api.endpoint.update_headers(app, made.id, headers), None)
    patch = EndpointHeadersPatchIn(headers={"X-Two": "2"})
    equal(api.endpoint.patch_headers(app, made.id, patch), None)
    shown = api.endpoint.get_headers(app, made.id)
    equal({name.lower() for name in shown.headers}, {"x-one", "x-two"})
    equal(shown.sensitive, [])


@case
def event_types():
    made = api.event_type.create(EventTypeIn(name="old.type", description="x"))
    equal((made.name, made.archived, made.deprecated), ("old.type", False, False))
    updated = api.event_type.update("old.type", EventTypeUpdate(description="y"))
    equal(updated.description, "y")
    equal(api.event_type.patch("old.type", EventTypePatch(description="z")).description, "z")
    equal(api.event_type.get("old.type").description, "z")
    listed = api.event_type.list(EventTypeListOptions(limit=250))
    true("old.type" in [item.name for item in listed.data], "not listed")
    equal(api.event_type.delete("old.type"), None)
    equal(api.event_type.get("old.type").archived, True)


@case
def message_is_delivered_listed_and_verified():
    app = application()
    place = receiver.place()
    made = api.endpoint.create(app, EndpointIn(url=place.url))
    message = send(app, payload={"x": 1.5}, event_id="e-1", channels=["c"], tags=["t"])
    equal((message.payload, message.event_id), ({"x": 1.5}, "e-1"))
    delivery = place.wait()[0]
    equal((delivery.id, delivery.body), (message.id, b'{"x":1.5}'))
    verify(delivery, api.endpoint.get_secret(app, made.id).key)
    equal(api.message.get(app, message.id).payload, {"x": 1.5})

    now, hour = datetime.now(timezone.utc), timedelta(hours=1)
    for expected, options in [
        ([message.id], {}),
        ([message.id], {"channel": "c"}),
        ([], {"channel": "d"}),
        ([message.id], {"event_types": ["other", "order.paid"]}),
        ([], {"event_types": ["other"]}),
        ([message.id], {"after": now - hour, "before": now + hour}),
        ([], {"before": now - hour}),
    ]:
        page = api.message.list(app, MessageListOptions(**options))
        equal((options, [item.id for item in page.data]), (options, expected))


@case
def rotation_answers_nothing_and_both_secrets_verify():
    app = application()
    place = receiver.place()
    made = api.endpoint.create(app, EndpointIn(url=place.url))
    old = api.endpoint.get_secret(app, made.id).key
    equal(api.endpoint.rotate_secret(app, made.id, EndpointSecretRotateIn()), None)
    new = api.endpoint.get_secret(app, made.id).key
    true(new != old, "the secret is the same")
    send(app)
    delivery = place.wait()[0]
    verify(delivery, old)
    verify(delivery, new)


@case
def attempts_and_resend():
    app = application()
    place = receiver.place(500)
    made = api.endpoint.create(app, EndpointIn(url=place.url))
    message = send(app)
    place.wait(2)
    options = MessageAttemptListOptions(limit=10)
    by_msg = lambda: api.message_attempt.list_by_msg(app, message.id, options)
    newest, oldest = eventually(by_msg, lambda page: len(page.data) == 2).data
    equal((newest.response_status_code, oldest.response_status_code), (200, 500))
    equal((newest.status, oldest.status), (MessageStatus.VALUE_0, MessageStatus.VALUE_2))
    equal(oldest.response, f"answer of {place.path}")
    equal(api.message_attempt.get(app, message.id, newest.id).id, newest.id)

    equal(api.message_attempt.resend(app, message.id, made.id), None)
    equal([delivery.id for delivery in place.wait(3)], [message.id] * 3)
    by_endpoint = lambda: api.message_attempt.list_by_endpoint(app, made.id)
    page = eventually(by_endpoint, lambda page: len(page.data) == 3)
    equal([int(item.trigger_type) for item in page.data], [1, 0, 0])


@case
def what_opens_an_endpoint():
    app = application()
    place = receiver.place()
    made = api.endpoint.create(app, EndpointIn(url=place.url))
    # The client has no methods for it yet, but the generated code below it is there.
    named = {"app_id": app, "endpoint_id": made.id, "client": api._client}
    client = EndpointOauthConfigIn(
        auth_method=Oauth2AuthMethodIn.CLIENTSECRETBASIC,
        client_id="shop",
        client_secret="made-up-secret",
        grant_type=Oauth2GrantTypeIn.CLIENTCREDENTIALS,
        token_url="http://127.0.0.1:9/not-allowed",
    )
    equal(v1_endpoint_update_oauth_config.request_sync(**named, json_body=client), None)
    message = send(app)
    attempts = lambda: api.message_attempt.list_by_msg(app, message.id)
    failed = eventually(attempts, lambda page: len(page.data) > 0).data[-1]
    equal((failed.response_status_code, failed.response), (0, "the token URL could not be asked: refused_by_policy"))
    equal(v1_endpoint_delete_oauth_config.request_sync(**named), None)
    shown = EndpointMtlsConfigIn(identity=identity())
    equal(v1_endpoint_update_mtls_config.request_sync(**named, json_body=shown), None)
    equal(api.message_attempt.resend(app, message.id, made.id), None)
    equal(place.wait()[0].id, message.id)
    broken = EndpointMtlsConfigIn(identity="made up")
    raises(
        HTTPValidationError,
        lambda: v1_endpoint_update_mtls_config.request_sync(**named, json_body=broken),
        status_code=422,
    )
    equal(v1_endpoint_delete_mtls_config.request_sync(**named), None)


def identity():
    """A certificate and its key, in one text."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    text = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    return (text + certificate.public_bytes(encoding)).decode()


@case
def errors_are_read():
    app = application()
    uid = api.application.get(app).uid
    raises(HttpError, lambda: api.application.create(ApplicationIn(name="x", uid=uid)), status_code=409)
    error = raises(
        HTTPValidationError,
        lambda: api.endpoint.create(app, EndpointIn(url="no url")),
        status_code=422,
    )
    equal(error.detail[0].loc, ["body", "url"])


@case
def idempotency_key_replays():
    app = application()
    key = PostOptions(idempotency_key="old-chosen-key")
    message = MessageIn(event_type="once", payload={"n": 1})
    first = api.message.create(app, message, key)
    equal(api.message.create(app, message, key).id, first.id)
    other = MessageIn(event_type="once", payload={"n": 2})
    raises(
        HttpError,
        lambda: api.message.create(app, other, key),
        status_code=409,
        code="idempotency_conflict",
    )


run()
