"""What every verifier has to accept and to refuse, of messages that were really delivered."""

import base64
from datetime import datetime, timedelta, timezone

import standardwebhooks
import svix
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from svix.api import EndpointSecretRotateIn
from svix.exceptions import WebhookVerificationError

from harness.cases import case, equal, raises
from server import api, application, endpoint, receiver, send

# Each library with the headers that it reads and with what it refuses.
LIBRARIES = [
    (standardwebhooks.Webhook, "webhook-", standardwebhooks.WebhookVerificationError),
    (svix.Webhook, "webhook-", WebhookVerificationError),
    (svix.Webhook, "svix-", WebhookVerificationError),
]


def attacked(delivery, secret):
    """Every library takes the delivery, and nothing that was made of it."""
    for library, family, refusal in LIBRARIES:
        webhook = library(secret)
        headers = {k: v for k, v in delivery.headers.items() if k.startswith(family)}
        equal(len(headers), 3)
        webhook.verify(delivery.body, headers)

        def refuses(body, **changed):
            forged = {**headers, **{family + name: value for name, value in changed.items()}}
            raises(refusal, lambda: webhook.verify(body, forged))

        refuses(delivery.body.replace(b"1", b"2"))
        refuses(delivery.body, id=delivery.id + "x")
        refuses(delivery.body, timestamp=str(delivery.timestamp + 1))
        # Signed well, but too long ago: somebody sends it once more.
        for minutes in (-6, 6):
            then = datetime.now(timezone.utc) + timedelta(minutes=minutes)
            signature = webhook.sign(delivery.id, then, delivery.body.decode())
            refuses(delivery.body, timestamp=str(int(then.timestamp())), signature=signature)


@case
def verifiers_refuse_what_was_changed_or_is_old():
    app = application()
    place = receiver.place()
    made = endpoint(app, place)
    old = api.endpoint.get_secret(app, made.id).key
    send(app)
    attacked(place.wait()[0], old)

    new = api.endpoint.rotate_secret(app, made.id, EndpointSecretRotateIn()).key
    send(app)
    both = place.wait(2)[1]
    equal(len(both.signatures("v1")), 2)
    for secret in (old, new):
        attacked(both, secret)


@case
def an_ed25519_signature_covers_id_time_and_body():
    app = application()
    place = receiver.place()
    seed = Ed25519PrivateKey.generate()
    pair = seed.private_bytes_raw() + seed.public_key().public_bytes_raw()
    made = endpoint(app, place, secret="whsk_" + base64.b64encode(pair).decode())
    first = api.endpoint.get_secret(app, made.id).key
    other = Ed25519PrivateKey.generate()
    pair = other.private_bytes_raw() + other.public_key().public_bytes_raw()
    rotate = EndpointSecretRotateIn(key="whsk_" + base64.b64encode(pair).decode())
    api.endpoint.rotate_secret(app, made.id, rotate)
    second = api.endpoint.get_secret(app, made.id).key
    send(app)
    delivery = place.wait()[0]
    signatures = [base64.b64decode(text) for text in delivery.signatures("v1a")]
    equal(len(signatures), 2)

    def accepted(public, identity, time, body):
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
        signed = f"{identity}.{time}.".encode() + body
        for signature in signatures:
            try:
                key.verify(signature, signed)
                return True
            except InvalidSignature:
                continue
        return False

    identity, time, body = delivery.id, delivery.timestamp, delivery.body
    for public in (first, second):
        equal(accepted(public, identity, time, body), True)
        equal(accepted(public, identity, time, body + b" "), False)
        equal(accepted(public, identity, time - 301, body), False)
        equal(accepted(public, identity + "x", time, body), False)
