#!/usr/bin/env python3
"""Known answers for providers of which no other vector exists, and for rules of
other providers that no published answer covers.

Every signature is computed here from the provider's documented formula, without
any of Ringback's code: with the standard library, and for Ed25519 with the
package `cryptography`. Running the script again writes the same bytes:

    python3 tests/providers/derive_a.py
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VECTORS = Path(__file__).resolve().parents[2] / "providers" / "vectors"
NOW = 1760000000
NOW_RFC3339 = "2025-10-09T08:53:20Z"
DERIVED = "derived: computed from the documented formula"
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
HOOK = "https://example.com/hook"

# Text beyond ASCII and a number with a fraction: a body that was decoded and
# written again would no longer match.
BODY = '{"id":"evt_rb_1","type":"test.event","note":"Zoë – ✓","n":1.5}'
CHANGED = BODY.replace("1.5", "1.6")


# --- The maths ---------------------------------------------------------------


def mac(hash_name, key, *parts):
    """HMAC of the parts joined, as bytes."""
    return hmac.new(key, "".join(parts).encode(), getattr(hashlib, hash_name)).digest()


def b64(raw):
    return base64.b64encode(raw).decode()


def basic(user, password):
    return "Basic " + b64(f"{user}:{password}".encode())


def standard_webhooks_secret(provider):
    """`whsec_` and 32 bytes in base64."""
    return "whsec_" + b64(hashlib.sha256(f"rb-test-{provider}".encode()).digest())


def ed25519_test_key():
    """A key for these vectors only; its seed is 32 times the byte 2."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)
    return key, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


# --- Vectors -----------------------------------------------------------------


def vector(name, provider, expect, request, now=NOW, note="", origin=DERIVED, **settings):
    """One vector; `note` says what is special about it."""
    return {
        "id": name,
        "provider": provider,
        "origin": origin + (f"; {note}" if note else ""),
        **settings,
        "request": request,
        "now": now,
        "expect": expect,
    }


def challenge(name, provider, expect, request, response=None, note="", **settings):
    """A handshake; without a response it must be refused."""
    out = vector(name, provider, expect, request, note=note, **settings)
    out["kind"] = "challenge"
    if response is not None:
        out["expected_response"] = response
    return out


def post(headers, body, kind=JSON, url=None):
    at = {"url": url} if url else {}
    return {"method": "POST", **at, "headers": {**kind, **headers}, "body": body}


def get(url, method="GET"):
    return {"method": method, "url": url, "headers": {}, "body": ""}


def pair(provider, headers, note="", name="", **settings):
    """A proof of BODY, and the same proof on another body."""
    name = name or provider
    return [
        vector(f"{name}-1", provider, "valid", post(headers, BODY), note=note, **settings),
        vector(f"{name}-body", provider, "invalid", post(headers, CHANGED),
               note="one byte of the body changed", **settings),
    ]


def raw_body(provider, header, text_of, extra=None, secret=None, key=None):
    """HMAC-SHA256 over the body alone."""
    secret = secret or f"rb-test-{provider}-0001"
    digest = mac("sha256", key or secret.encode(), BODY)
    return pair(provider, {header: text_of(digest), **(extra or {})}, secret=secret)


def standard_webhooks(provider, family):
    """Right, another body, 301 seconds old, and 301 seconds in the future."""
    secret = standard_webhooks_secret(provider)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    name, stamp = "msg_rb1", str(NOW)
    headers = {
        f"{family}-id": name,
        f"{family}-timestamp": stamp,
        f"{family}-signature": "v1," + b64(mac("sha256", key, f"{name}.{stamp}.", BODY)),
    }
    return [
        *pair(provider, headers, note=f"Standard Webhooks with {family}-* headers", secret=secret),
        vector(f"{provider}-stale", provider, "invalid", post(headers, BODY), now=NOW + 301,
               note="301 seconds old", secret=secret),
        vector(f"{provider}-early", provider, "invalid", post(headers, BODY), now=NOW - 301,
               note="301 seconds in the future", secret=secret),
    ]


def token(name, provider, right, wrong, **settings):
    """A shared secret in a header: right and wrong."""
    return [
        vector(name, provider, "valid", post(right, BODY), **settings),
        vector(f"{name}-wrong", provider, "invalid", post(wrong, BODY), note="wrong secret",
               **settings),
    ]


# --- Providers that have no other vector -------------------------------------


def bitbucket():
    documented = {
        "x-hub-signature":
            "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9",
        "x-event-key": "repo:push",
    }
    secret = "It's a Secret to Everybody"
    computed = mac("sha256", secret.encode(), "Hello World!").hex()
    assert documented["x-hub-signature"] == f"sha256={computed}"
    published = vector(
        "bitbucket-docs", "bitbucket", "valid", post(documented, "Hello World!", {}),
        origin="published: Bitbucket Cloud documentation, manage webhooks; recomputed",
        secret=secret)
    return [published, *raw_body("bitbucket", "x-hub-signature", lambda d: "sha256=" + d.hex(),
                                 {"x-event-key": "repo:push"})]


def shopify():
    secret = "rb-test-shopify-0001"
    events = {
        "shopify-hmac-sha256": b64(mac("sha256", secret.encode(), BODY)),
        "shopify-topic": "Product",
        "shopify-event-id": "rbtest1",
    }
    return [
        *raw_body("shopify", "x-shopify-hmac-sha256", b64,
                  {"x-shopify-topic": "orders/create", "x-shopify-webhook-id": "rbtest1"}),
        *pair("shopify", events, note="events subscription", name="shopify-events", secret=secret),
    ]


def adyen_platform():
    secret = hashlib.sha256(b"rb-test-adyen-platform").hexdigest().upper()
    return raw_body("adyen-platform", "hmacsignature", b64, {"protocol": "HmacSHA256"},
                    secret=secret, key=bytes.fromhex(secret))


def lemon_squeezy():
    return raw_body("lemon-squeezy", "x-signature", bytes.hex, {"x-event-name": "order_created"})


def zendesk():
    secret = "cmItdGVzdC16ZW5kZXNr"  # looks like base64, is used as text
    headers = {
        "x-zendesk-webhook-signature-timestamp": NOW_RFC3339,
        "x-zendesk-webhook-signature": b64(mac("sha256", secret.encode(), NOW_RFC3339, BODY)),
        "x-zendesk-webhook-invocation-id": "rbtest1",
    }
    decoded = b64(mac("sha256", base64.b64decode(secret), NOW_RFC3339, BODY))
    return [
        *pair("zendesk", headers, secret=secret),
        vector("zendesk-stale", "zendesk", "invalid", post(headers, BODY), now=NOW + 301,
               note="301 seconds old", secret=secret),
        vector("zendesk-decoded-key", "zendesk", "invalid",
               post({**headers, "x-zendesk-webhook-signature": decoded}, BODY),
               note="the key decoded from base64", secret=secret),
    ]


def mailchimp():
    secret = "rb-test-mailchimp-0001"
    body = urlencode({"type": "subscribe", "data[id]": "rbtest1"})
    right, wrong = f"{HOOK}?token={secret}", f"{HOOK}?token=rb-test-mailchimp-0002"
    return [
        vector("mailchimp-1", "mailchimp", "valid", post({}, body, FORM, right), secret=secret,
               public_url=right),
        vector("mailchimp-wrong", "mailchimp", "invalid", post({}, body, FORM, wrong),
               note="wrong secret", secret=secret, public_url=wrong),
        challenge("mailchimp-check", "mailchimp", "valid", get(right), {"status": 200, "body": ""},
                  secret=secret),
    ]


def sparkpost():
    user, password, secret = "rb-user", "rb-test-sparkpost-0001", "rb-test-sparkpost-0002"
    old = "x-messagesystems-webhook-token"
    return [
        *token("sparkpost-basic", "sparkpost",
               {"authorization": basic(user, password)}, {"authorization": basic(user, "other")},
               username=user, password=password),
        *token("sparkpost-bearer", "sparkpost",
               {"authorization": f"Bearer {secret}"}, {"authorization": "Bearer other"},
               token=secret),
        *token("sparkpost-header", "sparkpost", {old: secret}, {old: "other"}, token=secret),
    ]


def brevo():
    user, password, secret = "rb-user", "rb-test-brevo-0001", "rb-test-brevo-0002"
    return [
        *token("brevo-bearer", "brevo",
               {"authorization": f"Bearer {secret}"}, {"authorization": "Bearer other"},
               secret=secret),
        *token("brevo-basic", "brevo",
               {"authorization": basic(user, password)}, {"authorization": basic(user, "other")},
               username=user, password=password),
    ]


def discord_headers(body, stamp=str(NOW)):
    key, public = ed25519_test_key()
    signature = key.sign((stamp + body).encode()).hex()
    return {"x-signature-timestamp": stamp, "x-signature-ed25519": signature}, public


def discord_interactions():
    headers, public = discord_headers(BODY)
    ping = '{"id":"1","application_id":"2","type":1,"version":1}'
    ping_headers, _ = discord_headers(ping)
    name = "discord-interactions"
    return [
        *pair(name, headers, public_key=public),
        vector(f"{name}-stale", name, "invalid", post(headers, BODY), now=NOW + 301,
               note="301 seconds old", public_key=public),
        challenge(f"{name}-ping", name, "valid", post(ping_headers, ping),
                  {"status": 200, "json": {"type": 1}}, public_key=public),
        challenge(f"{name}-ping-forged", name, "invalid", post(headers, ping),
                  note="a ping under another signature", public_key=public),
    ]


# --- Rules of other providers ------------------------------------------------


def discord_event_ping():
    ping = '{"version":1,"application_id":"2","type":0}'
    headers, public = discord_headers(ping)
    event = ('{"version":1,"application_id":"2","type":1,'
             '"event":{"type":"APPLICATION_AUTHORIZED","data":{}}}')
    event_headers, _ = discord_headers(event)
    return [
        challenge("discord-event-ping", "discord", "valid", post(headers, ping),
                  {"status": 204, "body": ""}, note="ping of webhook events", public_key=public),
        vector("discord-event", "discord", "valid", post(event_headers, event),
               note="type 1 with an event is no ping", public_key=public),
    ]


def slack_url_verification():
    secret, stamp = "rb-test-slack-0001", str(NOW)
    body = '{"token":"rb-test","challenge":"rbtestchallenge","type":"url_verification"}'
    signature = "v0=" + mac("sha256", secret.encode(), f"v0:{stamp}:", body).hex()
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}
    return [
        challenge("slack-url-verification", "slack", "valid", post(headers, body),
                  {"status": 200, "body": "rbtestchallenge"}, secret=secret),
        challenge("slack-url-verification-unsigned", "slack", "invalid", post({}, body),
                  note="not signed", secret=secret),
    ]


def meta_wrong_token():
    asked = urlencode({"hub.mode": "subscribe", "hub.challenge": "1158201444",
                       "hub.verify_token": "rb-test-other"})
    return [challenge("meta-hub-wrong-token", "meta", "invalid", get(f"{HOOK}?{asked}"),
                      note="wrong verify token", verify_token="rb-test-meta-0001")]


def meta_verify_token_as_key():
    """Whoever knows the verify token must not be able to sign with it."""
    public = "rb-test-meta-0001"
    forged = {"x-hub-signature-256": "sha256=" + mac("sha256", public.encode(), BODY).hex()}
    return [vector("meta-verify-token-as-key", "meta", "invalid", post(forged, BODY),
                   note="signed with the verify token", secret="rb-test-meta-0002",
                   verify_token=public)]


def twitter():
    secret, asked = "rb-test-twitter-0001", "rbtest-crc-token"
    answer = b64(mac("sha256", secret.encode(), asked))
    newer = {"x-twitter-webhooks-signature-oauth2":
             "sha256=" + b64(mac("sha256", secret.encode(), BODY))}
    return [
        challenge("twitter-crc", "twitter", "valid", get(f"{HOOK}?crc_token={asked}"),
                  {"status": 200, "json": {"response_token": f"sha256={answer}"}}, secret=secret),
        *pair("twitter", newer, name="twitter-oauth2", secret=secret),
    ]


def zoom_validation():
    secret, plain = "rb-test-zoom-0001", "rbtestPlainToken"
    body = '{"event":"endpoint.url_validation","payload":{"plainToken":"%s"}}' % plain
    answer = {"plainToken": plain, "encryptedToken": mac("sha256", secret.encode(), plain).hex()}
    return [challenge("zoom-validation", "zoom", "valid", post({}, body),
                      {"status": 200, "json": answer}, secret=secret)]


def gitea_form():
    secret = "rb-test-gitea-0001"
    out = []
    for provider in ("gitea", "forgejo"):
        header = {f"x-{provider}-signature": mac("sha256", secret.encode(), BODY).hex()}
        out += [
            vector(f"{provider}-form", provider, "valid",
                   post(header, urlencode({"payload": BODY}), FORM),
                   note="form mode signs the field `payload`", secret=secret),
            vector(f"{provider}-form-body", provider, "invalid",
                   post(header, urlencode({"payload": CHANGED}), FORM),
                   note="one byte of the payload changed", secret=secret),
        ]
    return out


def mailgun_form():
    secret, drawn = "rb-test-mailgun-0001", "rbtest" + "0" * 44
    fields = {"event": "delivered", "timestamp": str(NOW), "token": drawn,
              "signature": mac("sha256", secret.encode(), str(NOW), drawn).hex()}
    other = {**fields, "token": drawn[:-1] + "1"}
    return [
        vector("mailgun-form", "mailgun", "valid", post({}, urlencode(fields), FORM),
               note="the three fields in a form", secret=secret),
        vector("mailgun-form-token", "mailgun", "invalid", post({}, urlencode(other), FORM),
               note="another token", secret=secret),
        vector("mailgun-form-old", "mailgun", "invalid", post({}, urlencode(fields), FORM),
               now=NOW + 28801, note="older than the retries", secret=secret),
    ]


def url_alone():
    """A signature over the URL alone must not let another kind of body pass."""
    secret = "rb-test-url-0001"
    signature = b64(mac("sha1", secret.encode(), HOOK))
    return [
        vector(f"{provider}-url-alone", provider, "invalid",
               post({header: signature}, BODY, url=HOOK),
               note="a signature without fields, on a JSON body", secret=secret, public_url=HOOK)
        for provider, header in
        (("twilio", "x-twilio-signature"), ("mandrill", "x-mandrill-signature"))
    ]


def twilio_other_body():
    """The digest in the URL is signed, but is not that of the body."""
    secret = "rb-test-twilio-0001"
    url = f"{HOOK}?bodySHA256={hashlib.sha256(CHANGED.encode()).hexdigest()}"
    header = {"x-twilio-signature": b64(mac("sha1", secret.encode(), url))}
    return [vector("twilio-bodySHA256-mismatch", "twilio", "invalid",
                   post(header, BODY, url=url), note="the digest of another body",
                   secret=secret, public_url=url)]


def adyen_items():
    secret = hashlib.sha256(b"rb-test-adyen").hexdigest().upper()

    def item(psp, signed_amount, amount):
        fields = [psp, "", "RbTestAccount", "order-1", *signed_amount, "AUTHORISATION", "true"]
        signature = b64(mac("sha256", bytes.fromhex(secret), ":".join(fields)))
        return {"NotificationRequestItem": {
            "additionalData": {"hmacSignature": signature}, "amount": amount,
            "eventCode": "AUTHORISATION", "merchantAccountCode": "RbTestAccount",
            "merchantReference": "order-1", "pspReference": psp, "success": "true"}}

    def body(*items):
        return json.dumps({"live": "false", "notificationItems": list(items)},
                          separators=(",", ":"))

    euro = {"currency": "EUR", "value": 1000}
    one, two = (item(psp, ["1000", "EUR"], euro) for psp in ("RBTEST1", "RBTEST2"))
    raised = item("RBTEST2", ["1000", "EUR"], {**euro, "value": 9000})
    listed = item("RBTEST3", ["", ""], [euro])
    case = [
        ("adyen-batch", "valid", body(one, two), "no original reference; two items"),
        ("adyen-batch-one-bad", "invalid", body(one, raised), "the second item was changed"),
        ("adyen-amount-as-array", "invalid", body(listed),
         "an amount that is an array under the signature of an item without one"),
        ("adyen-no-items", "invalid", body(), "an empty batch"),
    ]
    return [vector(name, "adyen", expect, post({}, text), note=note, secret=secret)
            for name, expect, text, note in case]


def standard_webhooks_mixed():
    """Another `svix-id` beside a verified `webhook-id` must not bring a request in twice."""
    secret = standard_webhooks_secret("standard-webhooks")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    name, stamp = "msg_rb1", str(NOW)
    signature = "v1," + b64(mac("sha256", key, f"{name}.{stamp}.", BODY))
    mixed = {"svix-id": name, "svix-timestamp": stamp, "svix-signature": signature,
             "webhook-id": "msg_rb2"}
    return [vector("standard-webhooks-mixed", "standard-webhooks", "invalid", post(mixed, BODY),
                   note="signed svix-* headers and a foreign webhook-id", secret=secret)]


FILES = {
    "bitbucket": [bitbucket],
    "shopify": [shopify],
    "clerk": [lambda: standard_webhooks("clerk", "svix")],
    "resend": [lambda: standard_webhooks("resend", "svix")],
    "brex": [lambda: standard_webhooks("brex", "webhook")],
    "incident-io": [lambda: standard_webhooks("incident-io", "webhook")],
    "adyen-platform": [adyen_platform],
    "lemon-squeezy": [lemon_squeezy],
    "zendesk": [zendesk],
    "mailchimp": [mailchimp],
    "sparkpost": [sparkpost],
    "brevo": [brevo],
    "discord-interactions": [discord_interactions],
    # Providers that have vectors elsewhere too.
    "rules": [
        discord_event_ping, slack_url_verification, meta_wrong_token, meta_verify_token_as_key,
        twitter, zoom_validation, gitea_form, mailgun_form, url_alone, twilio_other_body,
        adyen_items, standard_webhooks_mixed,
    ],
}


def main():
    VECTORS.mkdir(parents=True, exist_ok=True)
    for name, makers in FILES.items():
        vectors = [made for maker in makers for made in maker()]
        text = json.dumps({"vectors": vectors}, indent=2, ensure_ascii=False)
        (VECTORS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
