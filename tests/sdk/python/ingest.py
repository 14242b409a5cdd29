"""Sources through the ingest operations of the SDK, and what arrives at their URLs."""

import base64
import typing
from datetime import datetime, timezone

import httpx
import svix
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from svix.api import IngestEndpointIn, IngestSourceIn
from svix.exceptions import HTTPValidationError, HttpError
from svix.models import (
    IngestEndpointHeadersIn,
    IngestEndpointSecretIn,
    IngestEndpointTransformationPatch,
    IngestEndpointUpsertIn,
    IngestSourceConsumerPortalAccessIn,
)

from harness.cases import case, equal, raises, true
from server import TOKEN, URL, answered, api, connect, ids, names, receiver, refused, verify

sources, endpoints = api.ingest.source, api.ingest.endpoint

SECRET = "whsec_bWFkZSB1cCwgdGhpcnR5LXR3byBieXRlcyBsb25nLi4="

ED25519 = Ed25519PrivateKey.generate().public_key()
RSA = generate_private_key(65537, 2048).public_key()

# What configurations take; the SDK leaves out of each what it does not know.
PROOFS = {"secret": SECRET, "client_id": "made-up", "verify_token": "made-up"}
KEYS = {
    "telnyx": base64.b64encode(ED25519.public_bytes_raw()).decode(),
    "orum-io": RSA.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
}

# `cron` is a clock and calls nobody; how `vgs` signs is published nowhere.
NO_PROVIDERS = {"cron", "vgs"}


def source(kind="generic-webhook", **config):
    return sources.create(IngestSourceIn(name="Suite", uid=next(names), type=kind, config=config))


def call(url, body='{"n": 1}', **headers):
    """The status that a provider's request is answered with; without headers it proves nothing."""
    headers = {"content-type": "application/json", **headers}
    return httpx.post(url, content=body, headers=headers, timeout=15).status_code


def signed(url, body):
    """The same, signed as providers do that deliver through Svix."""
    now, message = datetime.now(timezone.utc), next(names)
    proof = {
        "svix-id": message,
        "svix-timestamp": str(int(now.timestamp())),
        "svix-signature": svix.Webhook(SECRET).sign(message, now, body),
    }
    return call(url, body, **proof)


@case
def sources_are_kept():
    uid = next(names)
    wanted = IngestSourceIn(
        name="Code", uid=uid, type="github", config={"secret": "made up"}, metadata={"team": "x"}
    )
    made = sources.create(wanted)
    true(made.id.startswith("src_") and "/in/" in made.ingest_url, made)
    equal((made.name, made.uid, made.type), ("Code", uid, "github"))
    equal(made.metadata, {"team": "x"})
    true("made up" not in made.model_dump_json(), "the secret is shown")
    equal((sources.get(uid), sources.get(made.id)), (made, made))
    true(made.id in ids(sources.list()), "it is not in the list")
    # A source whose secret is not said anew keeps it, and its URL.
    replaced = sources.upsert(uid, IngestSourceIn(name="More", uid=uid, type="github"))
    equal((replaced.id, replaced.name, replaced.metadata), (made.id, "More", {}))
    equal(replaced.ingest_url, made.ingest_url)
    equal(sources.delete(uid), None)
    raises(HttpError, lambda: sources.get(uid), status_code=404, code="not_found")
    wanted = IngestSourceIn(name="New", uid=uid, type="slack", config={"secret": "made up"})
    new = sources.upsert(uid, wanted)
    equal((answered[-1][2], new.uid, new.type), (201, uid, "slack"))


@case
def every_type_that_the_sdk_knows_makes_a_source():
    """With what the SDK's configuration of that type has."""
    kinds = typing.get_args(IngestSourceIn.model_fields["type"].annotation)
    known = {name for kind in kinds for name in typing.get_args(kind)}
    for name in sorted(known - NO_PROVIDERS - {"generic-webhook"}):
        config = PROOFS | {"public_key": KEYS.get(name)}
        wanted = IngestSourceIn(name="Suite", type=name, config=config)
        made = sources.create(wanted)
        equal((made.type, sources.get(made.id)), (name, made))
        given = wanted.config.model_dump(exclude_none=True)
        unproven = call(made.ingest_url)
        true(given and unproven >= 400, (name, given, unproven))
    for name in sorted(NO_PROVIDERS):
        clock = {"schedule": "* * * * *", "payload": "{}"}
        error = raises(HTTPValidationError, lambda: source(name, secret=SECRET, **clock))
        equal(error.detail[0].loc, ["body", "type"])


@case
def the_url_of_a_source_rotates():
    made = source()
    rotated = sources.rotate_token(made.id).ingest_url
    true(rotated != made.ingest_url, rotated)
    equal(sources.get(made.id).ingest_url, rotated)
    # The old one is good for a day.
    equal([call(url) for url in (made.ingest_url, rotated)], [200, 200])
    equal(call(made.ingest_url + "x"), 404)


@case
def endpoints_of_a_source_are_kept():
    made, uid = source(), next(names)
    wanted = IngestEndpointIn(
        url=receiver.place().url,
        uid=uid,
        description="Main",
        throttle_rate=7,
        metadata={"team": "x"},
        headers={"x-team": "x", "authorization": "made-up"},
        secret=SECRET,
    )
    endpoint = endpoints.create(made.id, wanted)
    equal((endpoint.uid, endpoint.url, endpoint.disabled), (uid, wanted.url, False))
    equal((endpoint.description, endpoint.throttle_rate), ("Main", 7))
    equal(endpoint.metadata, {"team": "x"})
    equal((endpoints.get(made.uid, uid), endpoints.get(made.id, endpoint.id)), (endpoint, endpoint))
    equal(ids(endpoints.list(made.id)), [endpoint.id])
    headers = endpoints.get_headers(made.id, uid)
    equal((headers.headers, headers.sensitive), ({"x-team": "x"}, ["authorization"]))
    changed = IngestEndpointHeadersIn(headers={"x-b": "c"})
    equal(endpoints.set_headers(made.id, uid, changed), None)
    equal(endpoints.get_headers(made.id, uid).headers, {"x-b": "c"})
    other = receiver.place().url
    replaced = endpoints.upsert(made.id, uid, IngestEndpointUpsertIn(url=other, disabled=True))
    equal((replaced.id, replaced.url, replaced.disabled), (endpoint.id, other, True))
    raises(HttpError, lambda: endpoints.get(source().id, uid), status_code=404)
    equal(endpoints.delete(made.id, uid), None)
    raises(HttpError, lambda: endpoints.get(made.id, uid), status_code=404, code="not_found")


@case
def what_arrives_is_proven_and_signed_anew_with_the_secret_of_the_endpoint():
    made, place = source("svix", secret=SECRET), receiver.place()
    endpoint = endpoints.create(made.id, IngestEndpointIn(url=place.url)).id
    old = endpoints.get_secret(made.id, endpoint).key
    body = '{ "exactly" : "thése bytes" }'
    equal((call(made.ingest_url, body), signed(made.ingest_url, body)), (401, 200))
    delivery = place.wait()[0]
    equal((delivery.body, delivery.headers["ringback-source"]), (body.encode(), made.id))
    verify(delivery, old)
    rotate = IngestEndpointSecretIn(grace_period_seconds=0)
    equal(endpoints.rotate_secret(made.id, endpoint, rotate), None)
    new = endpoints.get_secret(made.id, endpoint).key
    equal(signed(made.ingest_url, body), 200)
    later = place.wait(2)[1]
    verify(later, new)
    refused(later, old)


@case
def an_endpoint_of_a_source_has_a_transformation():
    made = source()
    place = receiver.place()
    endpoint = endpoints.create(made.id, IngestEndpointIn(url=place.url)).id
    transformation = endpoints.transformation
    code = "function handler(webhook) { webhook.payload = webhook.env; return webhook }"
    patch = IngestEndpointTransformationPatch(code=code, variables={"a": "1"})
    transformation.patch(made.id, endpoint, patch)
    there = transformation.get(made.id, endpoint)
    equal((there.code, there.enabled, there.variables), (code, True, {"a": "1"}))
    equal(signed(made.ingest_url, b'{"n":7}'), 200)
    equal(place.wait()[0].body, b'{"a":"1"}')
    transformation.patch(made.id, endpoint, IngestEndpointTransformationPatch(enabled=False))
    equal(transformation.get(made.id, endpoint).enabled, False)


@case
def the_portal_of_a_source_opens_its_application():
    made = source()
    endpoint = endpoints.create(made.id, IngestEndpointIn(url=receiver.place().url)).id
    wanted = IngestSourceConsumerPortalAccessIn(expiry=3600, read_only=True)
    access = api.ingest.authentication.consumer_portal_access(made.id, wanted)
    true(access.url.endswith("#token=" + access.token), access.url)
    visitor = connect(access.token)
    shown = httpx.get(
        f"{URL}/ingest/api/v1/source/{made.id}",
        headers={"authorization": f"Bearer {TOKEN}"},
        timeout=15,
    )
    app = shown.json()["appId"]
    equal(ids(visitor.endpoint.list(app)), [endpoint])
    raises(HttpError, lambda: visitor.endpoint.delete(app, endpoint), status_code=403)
    raises(HttpError, visitor.ingest.source.list, status_code=403)


@case
def wrong_sources_are_refused():
    for wanted, where in (
        (lambda: source("svix", secret="whsec_not base64"), ["body", "config", "secret"]),
        (lambda: source("telnyx", public_key="no key"), ["body", "config", "publicKey"]),
        (lambda: source("generic-webhook", surplus="x"), ["body", "config", "surplus"]),
        (
            lambda: source("tailscale", secret="made up", timestamp_grace_seconds=60),
            ["body", "config", "timestampGraceSeconds"],
        ),
    ):
        equal(raises(HTTPValidationError, wanted, status_code=422).detail[0].loc, where)
