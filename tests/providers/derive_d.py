#!/usr/bin/env python3
"""Known answers for providers of which hardly any are published.

Every signature is computed here from the formula that the provider documents,
without any of Ringback's code. Ed25519 and RSA use the package `cryptography`;
their keys are made from fixed text, so that no key lies in a file and running
the script again writes the same bytes:

    python3 tests/providers/derive_d.py

A file that has other vectors keeps them; those that are made here are replaced.
"""

import base64
import hashlib
import hmac
import json
from functools import cache
from itertools import count
from pathlib import Path
from typing import Callable, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VECTORS = Path(__file__).resolve().parents[2] / "providers" / "vectors"
NOW = 1_760_000_000
HTTP_JSON = {"content-type": "application/json"}
HTTP_FORM = {"content-type": "application/x-www-form-urlencoded"}
DERIVED = "derived: computed from the documented formula"
NEGATIVE = "derived: negative: "


# --- the maths ---------------------------------------------------------------


def hmac_of(hash_name: str, key: str | bytes, *message: str) -> bytes:
    """HMAC over the parts joined; text is UTF-8."""
    key = key.encode() if isinstance(key, str) else key
    return hmac.new(key, "".join(message).encode(), hash_name).digest()


def hex_mac(hash_name: str, key: str | bytes, *message: str) -> str:
    return hmac_of(hash_name, key, *message).hex()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64_mac(hash_name: str, key: str | bytes, *message: str) -> str:
    return b64(hmac_of(hash_name, key, *message))


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def basic(user: str, password: str) -> str:
    return "Basic " + b64(f"{user}:{password}".encode())


# --- keys --------------------------------------------------------------------


def is_prime(number: int) -> bool:
    """Miller-Rabin with the first forty primes as bases."""
    bases = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71]
    bases += [73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149]
    bases += [151, 157, 163, 167, 173]
    if any(number % base == 0 for base in bases):
        return number in bases
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in bases:
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def prime(text: str, bits: int = 1024) -> int:
    """The first prime at or above a number that is made from the text alone."""
    blocks = (hashlib.sha256(f"{text}/{n}".encode()).digest() for n in count())
    number = int.from_bytes(b"".join(next(blocks) for _ in range(bits // 256)))
    number |= (0b11 << (bits - 2)) | 1
    while not is_prime(number) or (number - 1) % 65537 == 0:
        number += 2
    return number


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    p, q = prime("rb-test-rsa-p"), prime("rb-test-rsa-q")
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    parts = d % (p - 1), d % (q - 1), pow(q, -1, p)
    return rsa.RSAPrivateNumbers(p, q, d, *parts, public).private_key()


def rsa_public_pem() -> str:
    public = rsa_key().public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def rsa_sha256(message: bytes) -> bytes:
    return rsa_key().sign(message, padding.PKCS1v15(), hashes.SHA256())


ED25519 = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"rb-test-ed25519").digest())
ED25519_PUBLIC = b64(
    ED25519.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)


def token(header: dict, claims: dict, sign: Callable[[bytes], bytes]) -> str:
    """A compact JWS (RFC 7515)."""
    signed = f"{b64url(compact(header).encode())}.{b64url(compact(claims).encode())}"
    return f"{signed}.{b64url(sign(signed.encode()))}"


# --- what is signed ----------------------------------------------------------


class Case(NamedTuple):
    """One way of one provider to sign a request."""

    provider: str
    settings: dict[str, str]
    # The headers for a body that is sent at a time in unix seconds.
    headers: Callable[[str, int], dict[str, str]]
    body: str = ""
    # What is changed in the body for the negative vector.
    flip: tuple[str, str] = ("1.5", "1.6")
    # How many seconds a signature is good for; none where no time is signed.
    window: int | None = None
    # Names the vectors if a provider has several cases.
    name: str = ""
    content_type: dict[str, str] = HTTP_JSON

    def vectors(self) -> list[dict]:
        name = self.name or self.provider
        body = self.body or compact(
            {"id": f"evt_{self.provider}_1", "type": "test.event", "note": "Zoë – ✓", "n": 1.5}
        )
        headers = self.content_type | self.headers(body, NOW)
        changed = body.replace(*self.flip)
        assert changed != body
        made = [
            self.vector(f"{name}-1", DERIVED, headers, body),
            self.vector(f"{name}-body", NEGATIVE + "the body was changed", headers, changed),
        ]
        if self.window is not None:
            late = NOW + self.window + 1
            origin = NEGATIVE + f"{self.window + 1} s old"
            made.append(self.vector(f"{name}-stale", origin, headers, body, now=late))
        return made

    def vector(self, name: str, origin: str, headers: dict, body: str, now: int = NOW) -> dict:
        return {
            "id": name,
            "provider": self.provider,
            "origin": origin,
            **self.settings,
            "request": {"method": "POST", "headers": headers, "body": body},
            "now": now,
            "expect": "invalid" if origin.startswith(NEGATIVE) else "valid",
        }


def secret_of(provider: str) -> str:
    return f"rb-test-{provider}-0001"


def mac_of_body(
    provider: str,
    header: str,
    hash_name: str = "sha256",
    encode: Callable[[bytes], str] = bytes.hex,
    form: str = "{}",
    key: Callable[[str], str | bytes] = str,
    **more,
) -> Case:
    """The commonest scheme: one header with the HMAC of the body."""
    secret = more.pop("secret", secret_of(provider))

    def headers(body: str, _: int) -> dict[str, str]:
        return {header: form.format(encode(hmac_of(hash_name, key(secret), body)))}

    return Case(provider, {"secret": secret}, headers, **more)


def mac_in_time(
    provider: str,
    message: Callable[[str, str], str],
    headers: Callable[[str, bytes], dict[str, str]],
    unit: int = 1,
    window: int = 300,
    key: Callable[[str], str | bytes] = str,
    **more,
) -> Case:
    """HMAC-SHA256 over time and body; `message` and `headers` get the time as it is written."""
    secret = more.pop("secret", secret_of(provider))

    def make(body: str, now: int) -> dict[str, str]:
        time = str(now * unit)
        return headers(time, hmac_of("sha256", key(secret), message(time, body)))

    return Case(provider, {"secret": secret}, make, window=window, **more)


def standard_webhooks(provider: str, family: str = "webhook", name: str = "") -> Case:
    """https://www.standardwebhooks.com: `v1`, symmetric."""
    key = hashlib.sha256(secret_of(provider).encode()).digest()

    def headers(body: str, now: int) -> dict[str, str]:
        return {
            f"{family}-id": "msg_rb_1",
            f"{family}-timestamp": str(now),
            f"{family}-signature": "v1," + b64_mac("sha256", key, f"msg_rb_1.{now}.", body),
        }

    return Case(provider, {"secret": "whsec_" + b64(key)}, headers, window=300, name=name)


def token_case(provider: str, header: str, form: str = "{}", name: str = "") -> list[dict]:
    """A fixed header: right, and wrong."""
    secret = secret_of(provider)
    case = Case(provider, {"secret": secret}, lambda *_: {})
    body = compact({"id": "evt_1", "type": "test.event"})
    name = name or provider

    def vector(suffix: str, origin: str, value: str) -> dict:
        headers = HTTP_JSON | {header: form.format(value)}
        return case.vector(f"{name}-{suffix}", origin, headers, body)

    return [
        vector("1", DERIVED, secret),
        vector("wrong", NEGATIVE + "another secret", secret + "x"),
    ]


def basic_case(provider: str, user: str, password_setting: str) -> list[dict]:
    password = f"p:{secret_of(provider)}"
    case = Case(provider, {"username": user, password_setting: password}, lambda *_: {})
    body = compact({"id": "evt_1", "type": "test.event"})

    def vector(suffix: str, origin: str, given: str) -> dict:
        headers = HTTP_JSON | {"authorization": basic(user, given)}
        return case.vector(f"{provider}-{suffix}", origin, headers, body)

    return [
        vector("basic", DERIVED, password),
        vector("basic-wrong", NEGATIVE + "another password", password[:-1]),
    ]


def challenge(
    provider: str,
    name: str,
    settings: dict,
    request: dict,
    answer: dict | None,
    why: str = "",
) -> dict:
    """A handshake; without an answer it is one that must be refused."""
    vector = {
        "id": f"{provider}-{name}",
        "provider": provider,
        "kind": "challenge",
        "origin": DERIVED if answer else NEGATIVE + why,
        **settings,
        "request": request,
    }
    if answer:
        vector["expected_response"] = answer
    return vector | {"now": NOW, "expect": "valid" if answer else "invalid"}


# --- schemes with a shape of their own ---------------------------------------


def coinbase_v1() -> Case:
    """`v1` covers the named headers as well."""
    secret = secret_of("coinbase-cdp")
    named = {"x-event-id": "evt_rb_1", "x-event-type": "test.event"}

    def headers(body: str, now: int) -> dict[str, str]:
        names, values = " ".join(named), ".".join(named.values())
        mac = hex_mac("sha256", secret, f"{now}.{names}.{values}.", body)
        return named | {"x-hook0-signature": f"t={now},h={names},v1={mac}"}

    return Case("coinbase-cdp", {"secret": secret}, headers, window=300, name="coinbase-cdp-v1")


def tiktok_shop() -> Case:
    settings = {"secret": secret_of("tiktok-shop"), "app_key": "rbtestappkey"}

    def headers(body: str, _: int) -> dict[str, str]:
        mac = hex_mac("sha256", settings["secret"], settings["app_key"], body)
        return {"authorization": mac}

    return Case("tiktok-shop", settings, headers)


def worldpay() -> Case:
    settings = {"secret": secret_of("worldpay"), "key_id": "2"}

    def headers(body: str, _: int) -> dict[str, str]:
        old = hex_mac("sha256", "rb-test-worldpay-0000", body)
        new = hex_mac("sha256", settings["secret"], body)
        return {"event-signature": f"1/SHA256/{old}, 2/SHA256/{new}"}

    return Case("worldpay", settings, headers)


def lago_jwt() -> Case:
    """The token carries the whole body as text."""

    def headers(body: str, _: int) -> dict[str, str]:
        claims = {"data": body, "iss": "https://api.example.com"}
        return {
            "x-lago-signature": token({"alg": "RS256"}, claims, rsa_sha256),
            "x-lago-signature-algorithm": "jwt",
            "x-lago-unique-key": "00000000-0000-4000-8000-000000000001",
        }

    return Case("lago", {"public_key": rsa_public_pem()}, headers, name="lago-jwt")


def lago_hmac() -> Case:
    secret = secret_of("lago")

    def headers(body: str, _: int) -> dict[str, str]:
        return {
            "x-lago-signature": b64_mac("sha256", secret, body),
            "x-lago-signature-algorithm": "hmac",
            "x-lago-unique-key": "00000000-0000-4000-8000-000000000001",
        }

    return Case("lago", {"secret": secret}, headers)


def livekit() -> Case:
    settings = {"secret": secret_of("livekit"), "api_key": "APIrbtest0001"}

    def headers(body: str, now: int) -> dict[str, str]:
        claims = {
            "iss": settings["api_key"],
            "nbf": now,
            "exp": now + 300,
            "sha256": b64(hashlib.sha256(body.encode()).digest()),
        }
        made = token(
            {"alg": "HS256", "typ": "JWT"},
            claims,
            lambda signed: hmac_of("sha256", settings["secret"], signed.decode()),
        )
        return {"authorization": made}

    # The token ends after 300 s, with 5 s of leeway.
    return Case("livekit", settings, headers, window=305)


def sellsy() -> Case:
    secret = secret_of("sellsy")

    def headers(body: str, _: int) -> dict[str, str]:
        return {"x-webhook-signature": hashlib.sha1((secret + body).encode()).hexdigest()}

    return Case("sellsy", {"secret": secret}, headers)


def highlevel() -> Case:
    def headers(body: str, _: int) -> dict[str, str]:
        return {"x-ghl-signature": b64(ED25519.sign(body.encode()))}

    return Case("highlevel", {"public_key": ED25519_PUBLIC}, headers)


def adobe(number: int) -> Case:
    """Either of the two signatures; the key is given here instead of fetched."""
    settings = {"client_id": "rb-test-client", "public_key_pem": rsa_public_pem()}
    body = compact({"event_id": "evt_1", "recipient_client_id": "rb-test-client", "n": 1.5})

    def headers(body: str, _: int) -> dict[str, str]:
        return {
            f"x-adobe-digital-signature-{number}": b64(rsa_sha256(body.encode())),
            f"x-adobe-public-key{number}-path": "/prod/keys/pub-key-rbtest.pem",
        }

    name = f"adobe-io-signature-{number}"
    return Case("adobe-io-events", settings, headers, body, name=name)


def adobe_other_client() -> dict:
    """Well signed, for somebody else."""
    case = adobe(1)
    settings = case.settings | {"client_id": "rb-test-other-client"}
    headers = HTTP_JSON | case.headers(case.body, NOW)
    origin = NEGATIVE + "signed for another client id"
    return case._replace(settings=settings).vector(
        "adobe-io-other-client", origin, headers, case.body
    )


def sumsub(hash_name: str) -> Case:
    secret = secret_of("sumsub")

    def headers(body: str, _: int) -> dict[str, str]:
        return {
            "x-payload-digest": hex_mac(hash_name, secret, body),
            "x-payload-digest-alg": f"HMAC_{hash_name.upper()}_HEX",
        }

    return Case("sumsub", {"secret": secret}, headers, name=f"sumsub-{hash_name}")


def quicknode() -> Case:
    secret = secret_of("quicknode")

    def headers(body: str, now: int) -> dict[str, str]:
        return {
            "x-qn-nonce": "rb-nonce-1",
            "x-qn-timestamp": str(now),
            "x-qn-signature": hex_mac("sha256", secret, "rb-nonce-1", str(now), body),
        }

    return Case("quicknode", {"secret": secret}, headers, window=300)


def midtrans() -> Case:
    """The digest is in the body; what it does not cover can be changed unseen."""
    secret = secret_of("midtrans")
    fields = {"order_id": "rb-1", "status_code": "200", "gross_amount": "10000.00"}
    digest = hashlib.sha512(("".join(fields.values()) + secret).encode()).hexdigest()
    body = compact(fields | {"transaction_status": "settlement", "signature_key": digest})
    return Case("midtrans", {"secret": secret}, lambda *_: {}, body, ("10000.00", "90000.00"))


def discourse_published() -> dict:
    """From Discourse's own tests: the ping of its factory's webhook, recomputed."""
    secret, body = "my_lovely_secret_for_web_hook", '{"ping":"OK"}'
    mac = hex_mac("sha256", secret, body)
    assert mac == "162f107f6b5022353274eb1a7197885cfd35744d8d08e5bcea025d309386b7d6"
    headers = HTTP_JSON | {
        "x-discourse-event": "ping",
        "x-discourse-event-type": "ping",
        "x-discourse-event-signature": f"sha256={mac}",
    }
    case = Case("discourse", {"secret": secret}, lambda *_: {})
    origin = "published: discourse/discourse, the ping in the tests of its webhook job, recomputed"
    return case.vector("discourse-published", origin, headers, body)


# --- the table ---------------------------------------------------------------

FORM_BODY = "action=appointment.scheduled&id=1001&calendarID=1002&note=Zo%C3%AB"

CASES = [
    # Found beside the large registries.
    mac_in_time(
        "revolut",
        lambda t, body: f"v1.{t}.{body}",
        lambda t, mac: {
            "revolut-request-timestamp": t,
            "revolut-signature": f"v1={'0' * 64},v1={mac.hex()}",
        },
        unit=1000,
    ),
    worldpay(),
    mac_in_time(
        "cashfree",
        lambda t, body: t + body,
        lambda t, mac: {"x-webhook-timestamp": t, "x-webhook-signature": b64(mac)},
        unit=1000,
    ),
    mac_in_time(
        "coinbase-cdp",
        lambda t, body: f"{t}.{body}",
        lambda t, mac: {"x-hook0-signature": f"t={t},v0={mac.hex()},h=content-type,v1={'0' * 64}"},
        name="coinbase-cdp-v0",
    ),
    coinbase_v1(),
    mac_of_body("commerce-layer", "x-commercelayer-signature", encode=b64),
    mac_of_body("flexport", "x-hub-signature-256", form="sha256={}"),
    tiktok_shop(),
    lago_hmac(),
    lago_jwt(),
    mac_of_body("worldline-connect", "x-gcs-signature", encode=b64),
    mac_of_body("oracle-commerce", "x-oracle-cc-webhook-signature", "sha512", b64),
    mac_of_body("attio", "attio-signature"),
    mac_of_body("attio", "x-attio-signature", name="attio-legacy"),
    mac_of_body("jobber", "x-jobber-hmac-sha256", encode=b64),
    sellsy(),
    highlevel(),
    mac_of_body(
        "connectwise-psa",
        "x-content-signature",
        encode=b64,
        key=lambda secret: hashlib.sha256(secret.encode()).digest(),
    ),
    mac_of_body("datto-autotask", "x-hook-signature", "sha1", b64, "sha1={}"),
    standard_webhooks("fathom"),
    standard_webhooks("folk"),
    adobe(1),
    adobe(2),
    # Code, builds, operations.
    mac_of_body("sonarqube", "x-sonar-webhook-hmac-sha256"),
    mac_of_body("hcp-terraform", "x-tfe-notification-signature", "sha512"),
    mac_of_body("discourse", "x-discourse-event-signature", form="sha256={}"),
    mac_of_body("snyk", "x-hub-signature", form="sha256={}"),
    mac_of_body("jfrog", "x-jfrog-event-auth"),
    mac_of_body("bitbucket-data-center", "x-hub-signature", form="sha256={}"),
    mac_of_body("logto", "logto-signature-sha-256"),
    mac_in_time(
        "cloudflare-stream",
        lambda t, body: f"{t}.{body}",
        lambda t, mac: {"webhook-signature": f"time={t},sig1={mac.hex()}"},
    ),
    # Work, publishing, people.
    mac_of_body("smartsheet", "smartsheet-hmac-sha256"),
    mac_in_time(
        "ghost",
        lambda t, body: body + t,
        lambda t, mac: {"x-ghost-signature": f"sha256={mac.hex()}, t={t}"},
        unit=1000,
    ),
    mac_of_body("todoist", "x-todoist-hmac-sha256", encode=b64),
    mac_of_body("help-scout", "x-helpscout-signature", "sha1", b64),
    mac_of_body("webex", "x-spark-signature", "sha1"),
    mac_of_body("viber", "x-viber-content-signature"),
    mac_in_time(
        "frame-io",
        lambda t, body: f"v0:{t}:{body}",
        lambda t, mac: {"x-frameio-request-timestamp": t, "x-frameio-signature": f"v0={mac.hex()}"},
    ),
    mac_of_body(
        "acuity",
        "x-acuity-signature",
        encode=b64,
        body=FORM_BODY,
        flip=("1001", "1009"),
        content_type=HTTP_FORM,
    ),
    mac_in_time(
        "close",
        lambda t, body: t + body,
        lambda t, mac: {"close-sig-timestamp": t, "close-sig-hash": mac.hex()},
        secret=hashlib.sha256(b"rb-test-close-0001").hexdigest(),
        key=bytes.fromhex,
    ),
    mac_in_time(
        "chatwoot",
        lambda t, body: f"{t}.{body}",
        lambda t, mac: {"x-chatwoot-timestamp": t, "x-chatwoot-signature": f"sha256={mac.hex()}"},
    ),
    mac_in_time(
        "crisp",
        lambda t, body: f"[{t};{body}]",
        lambda t, mac: {"x-crisp-request-timestamp": t, "x-crisp-signature": mac.hex()},
        unit=1000,
    ),
    mac_of_body("yousign", "x-yousign-signature-256", form="sha256={}"),
    mac_of_body(
        "fitbit",
        "x-fitbit-signature",
        "sha1",
        b64,
        key=lambda secret: secret + "&",
        body='[{"collectionType":"activities","date":"2025-10-09","ownerId":"RBTEST1"}]',
        flip=("RBTEST1", "RBTEST2"),
    ),
    # Identity, money, parcels, chains.
    sumsub("sha256"),
    sumsub("sha512"),
    sumsub("sha1"),
    mac_of_body("onfido", "x-sha2-signature"),
    quicknode(),
    mac_of_body("alchemy", "x-alchemy-signature"),
    mac_in_time(
        "revenuecat",
        lambda t, body: f"{t}.{body}",
        lambda t, mac: {"x-revenuecat-webhook-signature": f"t={t},v1={mac.hex()}"},
    ),
    mac_of_body("easypost", "x-hmac-signature", form="hmac-sha256-hex={}"),
    mac_of_body("flutterwave", "flutterwave-signature", encode=b64),
    mac_of_body("mollie", "x-mollie-signature", form="sha256={}"),
    mac_of_body("fourthwall", "x-fourthwall-hmac-sha256", encode=b64),
    mac_of_body("fourthwall", "x-fourthwall-hmac-apps-sha256", encode=b64, name="fourthwall-app"),
    midtrans(),
    # Voices and meetings.
    mac_in_time(
        "elevenlabs",
        lambda t, body: f"{t}.{body}",
        lambda t, mac: {"elevenlabs-signature": f"t={t},v0={mac.hex()}"},
        window=1800,
    ),
    mac_in_time(
        "retell",
        lambda t, body: body + t,
        lambda t, mac: {"x-retell-signature": f"v={t},d={mac.hex()}"},
        unit=1000,
    ),
    standard_webhooks("recall-ai"),
    standard_webhooks("recall-ai", "svix", "recall-ai-svix"),
    livekit(),
]

GATE = "00000000-0000-4000-8000-0000000000aa"
CLIENT_ID = {"client_id": "rb-test-client"}
FITBIT = {"verify_token": "rb-test-code"}

VECTORS_MADE = [
    *(vector for case in CASES for vector in case.vectors()),
    discourse_published(),
    adobe_other_client(),
    *token_case("new-relic", "authorization", "Bearer {}"),
    *token_case("new-relic", "x-webhook-token", name="new-relic-header"),
    *basic_case("new-relic", "rbtest", "secret"),
    *token_case("fillout", "authorization", "Bearer {}"),
    *token_case("fillout", "x-webhook-token", name="fillout-header"),
    *token_case("zapier", "authorization", "Bearer {}"),
    *token_case("zapier", "x-webhook-token", name="zapier-header"),
    *basic_case("zapier", "rbtest", "secret"),
    *token_case("streak", "x-streak-webhook-token"),
    *token_case("cloudflare-notifications", "cf-webhook-auth"),
    Case("adobe-acrobat-sign", CLIENT_ID, lambda *_: {}).vector(
        "adobe-sign-event",
        DERIVED,
        HTTP_JSON | {"x-adobesign-clientid": "rb-test-client"},
        '{"event":"AGREEMENT_CREATED","webhookNotificationId":"n-1"}',
    ),
    Case("adobe-acrobat-sign", CLIENT_ID, lambda *_: {}).vector(
        "adobe-sign-event-other",
        NEGATIVE + "another application",
        HTTP_JSON | {"x-adobesign-clientid": "rb-test-other"},
        '{"event":"AGREEMENT_CREATED","webhookNotificationId":"n-1"}',
    ),
    challenge(
        "worldline-connect",
        "verification",
        {"secret": secret_of("worldline-connect")},
        {
            "method": "GET",
            "url": "https://example.com/in/worldline",
            "headers": {"x-gcs-webhooks-endpoint-verification": GATE},
            "body": "",
        },
        {"status": 200, "headers": {"content-type": "text/plain"}, "body": GATE},
    ),
    challenge(
        "smartsheet",
        "challenge",
        {"secret": secret_of("smartsheet")},
        {
            "method": "POST",
            "headers": HTTP_JSON | {"smartsheet-hook-challenge": GATE},
            "body": compact({"challenge": GATE, "webhookId": 1001}),
        },
        {
            "status": 200,
            "headers": {"smartsheet-hook-response": GATE},
            "json": {"smartsheetHookResponse": GATE},
        },
    ),
    challenge(
        "smartsheet",
        "challenge-shape",
        {"secret": secret_of("smartsheet")},
        {
            "method": "POST",
            "headers": HTTP_JSON | {"smartsheet-hook-challenge": "<b>no uuid</b>"},
            "body": "{}",
        },
        None,
        "the challenge is no UUID",
    ),
    challenge(
        "fitbit",
        "verify",
        FITBIT,
        {
            "method": "GET",
            "url": "https://example.com/in/fitbit?verify=rb-test-code",
            "headers": {},
            "body": "",
        },
        {"status": 204},
    ),
    challenge(
        "fitbit",
        "verify-wrong",
        FITBIT,
        {
            "method": "GET",
            "url": "https://example.com/in/fitbit?verify=rb-test-other",
            "headers": {},
            "body": "",
        },
        None,
        "another code, which has to get 404",
    ),
]


def main() -> None:
    by_provider: dict[str, list[dict]] = {}
    for vector in VECTORS_MADE:
        by_provider.setdefault(vector["provider"], []).append(vector)
    ids = [vector["id"] for vector in VECTORS_MADE]
    assert len(ids) == len(set(ids)), "an id is used twice"
    VECTORS.mkdir(parents=True, exist_ok=True)
    for provider, made in by_provider.items():
        path = VECTORS / f"{provider}.json"
        kept = []
        if path.exists():
            there = json.loads(path.read_text(encoding="utf-8"))["vectors"]
            kept = [vector for vector in there if vector["id"] not in ids]
        text = json.dumps({"vectors": kept + made}, indent=1, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
