"""Vendors' own Python libraries as independent clients of sources.

A library that can sign is the provider: what it signs is accepted, and refused once a digit of it
changes. A library that can verify is the destination: it gets the exact bytes with the provider's
own signature, and takes them. Run by `cargo xtask test --only vendors-python`, which starts the
server.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlencode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import Adyen.util
import atlassian_jwt
import braintree
import discord_interactions
import gidgethub.sansio
import openai
import paddle_billing.Notifications
import plivo.utils
import pusher
import razorpay
import sendgrid.helpers.eventwebhook
import slack_sdk.signature
import square.utils.webhooks_helper
import standardwebhooks
import stripe
import svix
import telnyx
import twilio.request_validator
import workos
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hubspot.utils.signature import Signature as HubSpot
from linebot.v3.webhook import SignatureValidator

from harness.cases import case, equal, run, true
from sources import SECRET, Source, forged, shown, vendor

# --- what is signed, and what some providers need that have no library to sign

WHSEC = "whsec_" + base64.b64encode(b"thirty-two bytes of a secret key").decode()
HEX = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
# White space and an escape that do not survive being read and written again.
ODD = '{ "id":"evt_1",\n  "type":"order.paid", "amount":1000.0, "name":"Zo\\u00eb 🚀" }'
FORM = "AccountSid=AC1&MessageSid=SM1&MessageStatus=delivered&Body=1000+%F0%9F%9A%80&From=%2B1500"
FORM_TYPE = "application/x-www-form-urlencoded"


def seconds():
    return str(int(time.time()))


def mac(text, secret=SECRET):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256)


def mac64(text):
    return base64.b64encode(mac(text).digest()).decode()


def fields(text):
    return dict(parse_qsl(text, keep_blank_values=True))


ed25519 = Ed25519PrivateKey.generate()
ed25519_public = ed25519.public_key().public_bytes_raw()
p256 = ec.generate_private_key(ec.SECP256R1())
p256_public = base64.b64encode(
    p256.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()


# --- libraries that sign


slack = slack_sdk.signature.SignatureVerifier(SECRET)


def slack_sign(text, _):
    now = seconds()
    signature = slack.generate_signature(timestamp=now, body=text)
    return {"x-slack-request-timestamp": now, "x-slack-signature": signature}


for kind, text in [("application/json", ODD), (FORM_TYPE, "command=%2Fdeploy&text=1000")]:
    vendor(
        "slack",
        text,
        name=f"slack {kind}",
        type=kind,
        sign=slack_sign,
        verify=lambda text, headers, _: slack.is_valid_request(text, headers),
    )


def standard(webhook, family):
    def sign(text, _):
        now = datetime.now(timezone.utc)
        return {
            f"{family}-id": "msg_1",
            f"{family}-timestamp": str(int(now.timestamp())),
            f"{family}-signature": webhook(WHSEC).sign("msg_1", now, text),
        }

    return sign


for provider, webhook, family in [
    ("standard-webhooks", standardwebhooks.Webhook, "webhook"),
    ("svix", svix.Webhook, "svix"),
    ("clerk", svix.Webhook, "svix"),
    ("resend", svix.Webhook, "svix"),
]:
    vendor(
        provider,
        ODD,
        config={"secret": WHSEC},
        sign=standard(webhook, family),
        resigned=lambda text, headers, secret, webhook=webhook: webhook(secret).verify(
            text, headers
        ),
    )


vendor(
    "openai",
    ODD,
    config={"secret": WHSEC},
    make=standard(standardwebhooks.Webhook, "webhook"),
    resigned=lambda text, headers, secret: openai.OpenAI(
        api_key="made-up", webhook_secret=secret
    ).webhooks.verify_signature(text, headers),
)

validator = twilio.request_validator.RequestValidator(SECRET)


def twilio_check(algorithm, settings):
    vendor(
        "twilio",
        FORM,
        name=f"twilio {algorithm}",
        type=FORM_TYPE,
        sign=lambda text, source: {
            "x-twilio-signature": validator.compute_signature(source.url, fields(text), algorithm),
            **settings,
        },
        verify=lambda text, headers, source: validator.validate(
            source.url, fields(text), headers["x-twilio-signature"], algorithm
        ),
    )


twilio_check("HMAC_SHA1", {})
twilio_check(
    "HMAC_SHA256",
    {"x-twilio-webhooks-signature-settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"},
)


@case
def twilio_body():
    """A body that is no form is covered by its digest in the signed query."""
    for algorithm, settings in [("HMAC_SHA1", ""), ("HMAC_SHA256", "algorithm=HMAC_SHA256")]:
        source = Source("twilio", {"secret": SECRET})
        query = f"?bodySHA256={validator.compute_hash(ODD)}"
        signature = validator.compute_signature(source.url + query, None, algorithm)
        headers = {"x-twilio-signature": signature, "content-type": "application/json"}
        if settings:
            headers["x-twilio-webhooks-signature-settings"] = settings
        equal(source.post(headers, ODD.encode(), query), 200)
        delivery = source.place.wait()[0]
        text = delivery.body.decode()
        true(validator.validate(source.url + query, text, signature, algorithm), "refused")
        equal(source.post(headers, forged(ODD).encode(), query), 401)
        equal(source.statuses, ["unverified", "accepted"])


gateway = braintree.BraintreeGateway(
    braintree.Configuration(
        braintree.Environment.Sandbox,
        merchant_id="merchant",
        public_key="public",
        private_key="private",
    )
)


def braintree_sign(_, __):
    kind = braintree.WebhookNotification.Kind.SubscriptionWentPastDue
    return {}, urlencode(gateway.webhook_testing.sample_notification(kind, "my_id"))


def braintree_verify(text, _, __):
    sent = fields(text)
    return bool(gateway.webhook_notification.parse(sent["bt_signature"], sent["bt_payload"]))


vendor(
    "braintree",
    "",
    config={"secret": "private", "publicKeyId": "public"},
    type=FORM_TYPE,
    sign=braintree_sign,
    verify=braintree_verify,
)


def adyen_sign(_, __):
    item = {
        "pspReference": "RBTEST0000000001",
        "merchantAccountCode": "RbTestAccount",
        "merchantReference": "order-1",
        "amount": {"currency": "EUR", "value": 1000},
        "eventCode": "AUTHORISATION",
        "success": "true",
    }
    signature = Adyen.util.generate_notification_sig(item, HEX).decode()
    item["additionalData"] = {"hmacSignature": signature}
    items = [{"NotificationRequestItem": item}]
    return {}, json.dumps({"live": "false", "notificationItems": items})


def adyen_verify(text, _, __):
    item = json.loads(text)["notificationItems"][0]["NotificationRequestItem"]
    return Adyen.util.is_valid_hmac_notification(item, HEX)


vendor("adyen", "", config={"secret": HEX}, sign=adyen_sign, verify=adyen_verify)
vendor(
    "adyen-platform",
    ODD,
    config={"secret": HEX},
    sign=lambda text, _: {
        "hmacsignature": Adyen.util.generate_payload_sig(text.encode(), HEX).decode()
    },
    verify=lambda text, headers, _: Adyen.util.is_valid_hmac_payload(
        headers["hmacsignature"], HEX, text.encode()
    ),
)


def hubspot(version):
    header = "x-hubspot-signature-v3" if version == "v3" else "x-hubspot-signature"

    def sign(text, source):
        now = str(int(time.time() * 1000))
        signature = HubSpot.get_signature(SECRET, text, version, source.url, "POST", now)
        return {
            header: signature,
            "x-hubspot-signature-version": version,
            "x-hubspot-request-timestamp": now,
        }

    def verify(text, headers, source):
        now = headers["x-hubspot-request-timestamp"]
        return HubSpot.is_valid(headers[header], SECRET, text, source.url, "POST", version, now)

    vendor(f"hubspot-{version}", f"[{ODD}]", sign=sign, verify=verify)


for version in ("v1", "v2", "v3"):
    hubspot(version)


@case
def atlassian_connect():
    """The token covers the method, the path and the query, and not the body."""
    source = Source("atlassian-connect", {"secret": SECRET, "clientKey": "a-client"})

    def signed(secret):
        path = source.url.removeprefix("https://hooks.example.com")
        token = atlassian_jwt.encode_token(
            "POST", path, "app", secret, payload_kwargs={"iss": "a-client"}
        )
        return {"authorization": f"JWT {token}"}

    equal(source.post(signed(SECRET), ODD.encode()), 200)
    delivery = source.place.wait()[0]
    equal(delivery.body, ODD.encode())
    true("authorization" not in delivery.headers, "the token left")
    equal(source.post(signed("another secret"), forged(ODD).encode()), 401)
    equal(source.statuses, ["unverified", "accepted"])
    shown["signs"].add("atlassian-connect")


# --- libraries that only verify

stripe_secret = "whsec_made_up"


def stripe_make(text, _):
    now = seconds()
    signature = mac(f"{now}.{text}", secret=stripe_secret).hexdigest()
    return {"stripe-signature": f"t={now},v1={signature}"}


vendor(
    "stripe",
    ODD,
    config={"secret": stripe_secret},
    make=stripe_make,
    verify=lambda text, headers, _: stripe.WebhookSignature.verify_header(
        text, headers["stripe-signature"], stripe_secret, 300
    ),
)

vendor(
    "github",
    ODD,
    make=lambda text, _: {
        "x-hub-signature-256": "sha256=" + mac(text).hexdigest(),
        "x-github-event": "push",
        "x-github-delivery": "00000000-0000-4000-8000-000000000001",
    },
    verify=lambda text, headers, _: gidgethub.sansio.validate_event(
        text.encode(), signature=headers["x-hub-signature-256"], secret=SECRET
    ),
)


def paddle_make(text, _):
    now = seconds()
    return {"paddle-signature": f"ts={now};h1={mac(f'{now}:{text}').hexdigest()}"}


def paddle_verify(text, headers, _):
    request = SimpleNamespace(
        headers={"Paddle-Signature": headers["paddle-signature"]}, body=text.encode()
    )
    secret = paddle_billing.Notifications.Secret(SECRET)
    return paddle_billing.Notifications.Verifier().verify(request, secret)


vendor("paddle", ODD, make=paddle_make, verify=paddle_verify)


def workos_make(text, _):
    now = int(time.time() * 1000)
    return {"workos-signature": f"t={now}, v1={mac(f'{now}.{text}').hexdigest()}"}


workos_api = workos.WorkOSClient(api_key="sk_made_up", client_id="client_made_up")
vendor(
    "workos",
    ODD,
    make=workos_make,
    verify=lambda text, headers, _: workos_api.webhooks.verify_header(
        event_body=text.encode(), event_signature=headers["workos-signature"], secret=SECRET
    ),
)

vendor(
    "square",
    ODD,
    make=lambda text, source: {"x-square-hmacsha256-signature": mac64(source.url + text)},
    verify=lambda text, headers, source: square.utils.webhooks_helper.verify_signature(
        request_body=text,
        signature_header=headers["x-square-hmacsha256-signature"],
        signature_key=SECRET,
        notification_url=source.url,
    ),
)

vendor(
    "line",
    ODD,
    make=lambda text, _: {"x-line-signature": mac64(text)},
    verify=lambda text, headers, _: SignatureValidator(SECRET).validate(
        text, headers["x-line-signature"]
    ),
)

channels = pusher.Pusher(app_id="1", key="key", secret=SECRET, cluster="eu")
vendor(
    "pusher",
    json.dumps({"time_ms": int(time.time() * 1000), "events": [{"name": "order", "n": 1000}]}),
    make=lambda text, _: {"x-pusher-key": "key", "x-pusher-signature": mac(text).hexdigest()},
    verify=lambda text, headers, _: bool(
        channels.validate_webhook(headers["x-pusher-key"], headers["x-pusher-signature"], text)
    ),
)


def discord_make(text, _):
    now = seconds()
    signature = ed25519.sign((now + text).encode()).hex()
    return {"x-signature-ed25519": signature, "x-signature-timestamp": now}


for provider, kind in [
    ("discord", '"type":1,"event":{"type":"ENTITLEMENT_CREATE"}'),
    ("discord-interactions", '"type":2'),
]:
    vendor(
        provider,
        ODD.replace('"type":"order.paid"', kind),
        config={"publicKey": ed25519_public.hex()},
        make=discord_make,
        verify=lambda text, headers, _: discord_interactions.verify_key(
            text.encode(),
            headers["x-signature-ed25519"],
            headers["x-signature-timestamp"],
            ed25519_public.hex(),
        ),
    )


def telnyx_make(text, _):
    now = seconds()
    signature = base64.b64encode(ed25519.sign(f"{now}|{text}".encode())).decode()
    return {"telnyx-signature-ed25519": signature, "telnyx-timestamp": now}


telnyx_key = base64.b64encode(ed25519_public).decode()
telnyx_api = telnyx.Telnyx(api_key="made-up", public_key=telnyx_key)
vendor(
    "telnyx",
    ODD,
    config={"publicKey": telnyx_key},
    make=telnyx_make,
    verify=lambda text, headers, _: bool(
        telnyx_api.webhooks.unwrap(text, headers=headers, key=telnyx_key)
    ),
)


def sendgrid_make(text, _):
    now = seconds()
    signature = p256.sign((now + text).encode(), ec.ECDSA(hashes.SHA256()))
    return {
        "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": now,
    }


vendor(
    "sendgrid",
    f"[{ODD}]\r\n",
    config={"publicKey": p256_public},
    make=sendgrid_make,
    verify=lambda text, headers, _: sendgrid.helpers.eventwebhook.EventWebhook(
        p256_public
    ).verify_signature(
        text,
        headers["x-twilio-email-event-webhook-signature"],
        headers["x-twilio-email-event-webhook-timestamp"],
    ),
)

vendor(
    "razorpay",
    ODD,
    make=lambda text, _: {"x-razorpay-signature": mac(text).hexdigest()},
    verify=lambda text, headers, _: razorpay.Client(
        auth=("made", "up")
    ).utility.verify_webhook_signature(text, headers["x-razorpay-signature"], SECRET),
)


def plivo_make(text, source):
    written = "".join(name + value for name, value in sorted(fields(text).items()))
    signature = mac64(f"{source.url}?{written}.5")
    return {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": "5"}


vendor(
    "plivo",
    "CallUUID=1&From=1000&To=2&CallStatus=completed",
    type=FORM_TYPE,
    make=plivo_make,
    verify=lambda text, headers, source: plivo.utils.validate_v3_signature(
        "POST",
        source.url,
        headers["x-plivo-signature-v3-nonce"],
        SECRET,
        headers["x-plivo-signature-v3"],
        fields(text),
    ),
)


@case
def there_are_enough_of_them():
    for what, providers in shown.items():
        print(f"  {what}: {' '.join(sorted(providers))}")
    true(all(len(shown[what]) >= 12 for what in ("signs", "verifies")), "fewer than 12")


run()
