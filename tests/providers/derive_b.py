#!/usr/bin/env python3
"""Known answers for providers of which no other vector exists, and (in
`rules-b.json`) for rules of other providers that no published answer covers.

Every signature is computed here from the provider's documented formula, without
any of Ringback's code: with the standard library, and with the package
`cryptography` for Ed25519 and ECDSA. Private keys are derived from labels, for
these vectors only, and are never written. Running the script again writes the
same bytes:

    python3 tests/providers/derive_b.py
"""

import base64
import hashlib
import hmac
import json
from functools import cache
from pathlib import Path
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
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


def mac(key, *parts, hash_name="sha256"):
    """HMAC of the parts joined, as bytes."""
    key = key.encode() if isinstance(key, str) else key
    return hmac.new(key, "".join(parts).encode(), getattr(hashlib, hash_name)).digest()


def sha256(text):
    return hashlib.sha256(text.encode()).digest()


def b64(raw):
    return base64.b64encode(raw).decode()


def b64url(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def basic(user, password):
    return "Basic " + b64(f"{user}:{password}".encode())


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# --- Keys for these vectors only ---------------------------------------------


def ed25519_key(label):
    return Ed25519PrivateKey.from_private_bytes(sha256(f"rb-test-ed25519-{label}"))


def p256_key(label):
    return ec.derive_private_key(int.from_bytes(sha256(f"rb-test-p256-{label}")), ec.SECP256R1())


def is_prime(n):
    """Miller-Rabin; the numbers are made here, not by an adversary."""
    small = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)
    if any(n % p == 0 for p in small):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in small:
        x = pow(base, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def prime(label):
    """The first prime of 1024 bits after a number that the label gives."""
    stream = b"".join(sha256(f"{label}-{i}") for i in range(4))
    n = int.from_bytes(stream) | (3 << 1022) | 1
    while (n - 1) % 65537 == 0 or not is_prime(n):
        n += 2
    return n


@cache
def rsa_key(label):
    """Modulus and private exponent of 2048 bits; the public exponent is 65537."""
    p, q = prime(f"rb-test-rsa-{label}-p"), prime(f"rb-test-rsa-{label}-q")
    return p * q, pow(65537, -1, (p - 1) * (q - 1))


def rsa_sha256(label, message):
    """PKCS #1 v1.5 (RFC 8017, 8.2.1)."""
    n, d = rsa_key(label)
    info = bytes.fromhex("3031300d060960864801650304020105000420") + sha256(message)
    block = b"\x00\x01" + b"\xff" * (256 - 3 - len(info)) + b"\x00" + info
    return pow(int.from_bytes(block), d, n).to_bytes(256)


def rsa_public(label):
    return pem(RSAPublicNumbers(65537, rsa_key(label)[0]).public_key())


def pem(public_key):
    return public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


# --- Tokens ------------------------------------------------------------------


def jwt(header, claims, sign):
    signed = b64url(compact(header).encode()) + "." + b64url(compact(claims).encode())
    return signed + "." + b64url(sign(signed))


def hs256(claims, secret):
    return jwt({"alg": "HS256", "typ": "JWT"}, claims, lambda text: mac(secret, text))


def es256(claims, key, **header):
    def sign(text):
        der = key.sign(text.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        return r.to_bytes(32) + s.to_bytes(32)

    return jwt({"alg": "ES256", **header, "typ": "JWT"}, claims, sign)


def eddsa(claims, key):
    return jwt({"alg": "EdDSA", "typ": "JWT"}, claims, lambda text: key.sign(text.encode()))


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


def challenge(name, provider, request, response=None, effect=None, note="", **settings):
    """A handshake; without a response it must be refused."""
    expect = "valid" if response else "invalid"
    out = vector(name, provider, expect, request, note=note, **settings)
    out["kind"] = "challenge"
    if response:
        out["expected_response"] = response
    if effect:
        out["expected_side_effect"] = effect
    return out


def post(headers, body=BODY, kind=JSON, url=None):
    at = {"url": url} if url else {}
    return {"method": "POST", **at, "headers": {**kind, **headers}, "body": body}


def bodyless(method, url=HOOK, headers=None):
    return {"method": method, "url": url, "headers": headers or {}, "body": ""}


def pair(provider, headers, name="", note="", body=BODY, changed=CHANGED, url=None, **settings):
    """A proof of a body, and the same proof on another body."""
    name = name or provider
    return [
        vector(f"{name}-1", provider, "valid", post(headers, body, url=url), note=note, **settings),
        vector(f"{name}-body", provider, "invalid", post(headers, changed, url=url),
               note="one byte of the body changed", **settings),
    ]


def aged(provider, headers, tolerance, name="", body=BODY, **settings):
    """The same proof at the edges of its window, and beyond them on both sides."""
    name = name or provider
    return [
        vector(f"{name}-edge", provider, "valid", post(headers, body), now=NOW + tolerance,
               note=f"{tolerance} seconds old", **settings),
        vector(f"{name}-stale", provider, "invalid", post(headers, body), now=NOW + tolerance + 1,
               note=f"{tolerance + 1} seconds old", **settings),
        vector(f"{name}-early", provider, "invalid", post(headers, body), now=NOW - tolerance - 1,
               note=f"{tolerance + 1} seconds in the future", **settings),
    ]


def signed(provider, headers, tolerance, note="", **settings):
    """A proof with a time: right, another body, and the edges of the window."""
    return [
        *pair(provider, headers, note=note, **settings),
        *aged(provider, headers, tolerance, **settings),
    ]


def secret_of(provider):
    return f"rb-test-{provider}-0001"


def raw_body(provider, header, text_of, extra=None):
    """HMAC-SHA256 over the body alone, the secret as text."""
    secret = secret_of(provider)
    headers = {header: text_of(mac(secret, BODY)), **(extra or {})}
    return pair(provider, headers, secret=secret)


def rotation(provider, headers_of):
    """Signatures under two secrets; the receiver has the old one, then none of them."""
    new, old = f"rb-test-{provider}-new-secret", f"rb-test-{provider}-old-secret"
    headers = headers_of(mac(new, BODY), mac(old, BODY))
    note = "signed under two secrets"
    return [
        vector(f"{provider}-rotation", provider, "valid", post(headers), note=note, secret=old),
        vector(f"{provider}-rotation-other", provider, "invalid", post(headers),
               note=f"{note}, neither is known", secret=f"rb-test-{provider}-third-secret"),
    ]


def token(provider, right, wrong, name="", url=None, wrong_url=None, body=BODY, wrong_body=None,
          **settings):
    """A shared secret: right, wrong, and none."""
    name = name or f"{provider}-token"
    return [
        vector(name, provider, "valid", post(right, body, url=url), **settings),
        vector(f"{name}-wrong", provider, "invalid",
               post(wrong, wrong_body or body, url=wrong_url or url), note="wrong secret",
               **settings),
    ]


def absent(provider, name="", body=BODY, **settings):
    return [vector(f"{name or provider}-absent", provider, "invalid", post({}, body),
                   note="no proof at all", **settings)]


def bearer(provider):
    secret = secret_of(provider)
    return [
        *token(provider, {"authorization": f"Bearer {secret}"},
               {"authorization": "Bearer rb-test-another-0001"}, secret=secret),
        *absent(provider, secret=secret),
    ]


def user_and_password(provider):
    settings = {"username": "rb-test-user", "password": secret_of(provider)}
    right = {"authorization": basic(settings["username"], settings["password"])}
    wrong = {"authorization": basic(settings["username"], "rb-test-another-0001")}
    other = {"authorization": basic("rb-test-other", settings["password"])}
    return [
        *token(provider, right, wrong, name=f"{provider}-basic", **settings),
        vector(f"{provider}-basic-user", provider, "invalid", post(other), note="another user",
               **settings),
        *absent(provider, name=f"{provider}-basic", **settings),
    ]


# --- Providers, one function each where the table below does not suffice ------


def salesforce_outbound():
    secret = secret_of("salesforce-outbound")
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        "<OrganizationId>00D000000000000AAA</OrganizationId><Notification>"
        "<Id>04l000000000001AAA</Id></Notification></notifications>"
        "</soapenv:Body></soapenv:Envelope>"
    )
    url, wrong = f"{HOOK}?token={secret}", f"{HOOK}?token=rb-test-another-0001"
    provider, xml = "salesforce-outbound", {"content-type": "text/xml; charset=utf-8"}
    return [
        *token(provider, xml, xml, body=body, url=url, wrong_url=wrong, secret=secret),
        vector(f"{provider}-organisation", provider, "valid", post(xml, body, url=url),
               secret=secret, organization_id="00D000000000000AAA"),
        vector(f"{provider}-organisation-other", provider, "invalid", post(xml, body, url=url),
               note="another organisation", secret=secret, organization_id="00D000000000000AAB"),
    ]


def salesforce_marketing_cloud():
    provider = "salesforce-marketing-cloud"
    body = '[{"eventCategoryType":"EngagementEvents.EmailOpen","timestampUTC":1760000000000}]'
    secret = b64(sha256("rb-test-ens"))
    headers = {"x-sfmc-ens-signature": b64(mac(secret, body))}
    setup = {"callbackId": "00000000-0000-4000-8000-000000000001",
             "verificationKey": "rb-test-verification-key"}
    return [
        *pair(provider, headers, body=body, changed=body.replace("Open", "Sent"), secret=secret,
              note="the secret looks like base64 and is used as text"),
        challenge(f"{provider}-verification", provider, post({}, compact(setup)), {"status": 200},
                  effect={"store_verification_key": setup["verificationKey"]}, secret=secret),
    ]


def jira():
    provider, secret = "jira", "It's a Secret to Everybody"
    digest = "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    assert mac(secret, "Hello World!").hex() == digest
    request = post({"x-hub-signature": f"sha256={digest}"}, "Hello World!", kind={})
    return [
        vector("jira-docs", provider, "valid", request, secret=secret,
               origin="published: Atlassian, webhooks, secure admin webhooks; recomputed"),
        *raw_body(provider, "x-hub-signature", lambda raw: f"sha256={raw.hex()}"),
    ]


def atlassian_connect():
    """`qsh` is the SHA-256 of method, path and sorted query, joined by `&`."""
    provider = "atlassian-connect"
    settings = {"secret": secret_of(provider), "client_key": "rb-test-client-key"}
    url = f"{HOOK}?user_key=a%20b&user_id=%C3%A9&x=2&x=1"
    query = f"user_id={quote('é')}&user_key={quote('a b')}&x=1,2"
    claims = {"iss": settings["client_key"], "iat": NOW, "exp": NOW + 180,
              "qsh": sha256(f"POST&/hook&{query}").hex()}

    def one(name, expect, changed=None, now=NOW, note="", secret=None, at=url):
        held = hs256({**claims, **(changed or {})}, secret or settings["secret"])
        return vector(f"{provider}-{name}", provider, expect,
                      post({"authorization": f"JWT {held}"}, url=at), now=now, note=note,
                      public_url=HOOK, **settings)

    return [
        one("1", "valid", note="names of the query sorted, values of one name joined by a comma"),
        one("url", "invalid", at=f"{url}&y=1", note="another query than the token covers"),
        one("issuer", "invalid", {"iss": "rb-test-other-client"}, note="another client key"),
        one("expired", "invalid", now=NOW + 3600, note="an hour later"),
        one("secret", "invalid", secret="rb-test-another-0001", note="wrong secret"),
    ]


def notion():
    provider, secret = "notion", "secret_rbTestVerificationToken0001"
    headers = {"x-notion-signature": "sha256=" + mac(secret, BODY).hex()}
    return [
        *pair(provider, headers, secret=secret),
        challenge("notion-verification", provider,
                  post({}, compact({"verification_token": secret})), {"status": 200},
                  effect={"store_secret": secret}),
    ]


def auth0():
    secret = f"Bearer {secret_of('auth0')}"
    body = '[{"log_id":"90020251009085320000","data":{"type":"s","log_id":"90020251009085320000"}}]'
    return [
        *token("auth0", {"authorization": secret}, {"authorization": "Bearer rb-test-another-0001"},
               body=body, secret=secret),
        *absent("auth0", body=body, secret=secret),
    ]


def workos():
    secret, stamp = secret_of("workos"), f"{NOW}000"
    headers = {"workos-signature": f"t={stamp}, v1={mac(secret, stamp, '.', BODY).hex()}"}
    return signed("workos", headers, 180, note="milliseconds; a space after the comma",
                  secret=secret)


def box():
    """The first answers are those of Box's own tests, for both keys."""
    provider, stamp = "box", "2020-01-01T00:00:00-07:00"
    body = (
        '{"type":"webhook_event","webhook":{"id":"1234567890"},"trigger":"FILE.UPLOADED",'
        '"source":{"id":"1234567890","type":"file","name":"Test.txt"}}'
    )
    version = {"box-signature-algorithm": "HmacSHA256", "box-signature-version": "1"}
    headers = {
        "box-delivery-id": "f96bb54b-ee16-4fc5-aa65-8c2d9e5b546f",
        "box-delivery-timestamp": stamp,
        **version,
        "box-signature-primary": "6TfeAW3A1PASkgboxxA5yqHNKOwFyMWuEXny/FPD5hI=",
        "box-signature-secondary": "v+1CD1Jdo3muIcbpv5lxxgPglOqMfsNHPV899xWYydo=",
    }
    published = {"now": 1577862000, "origin": "published: tests of box-node-sdk; recomputed"}
    out = []
    for which in ("Primary", "Secondary"):
        secret = f"Sample{which}Key"
        assert b64(mac(secret, body, stamp)) == headers[f"box-signature-{which.lower()}"]
        out.append(vector(f"box-sdk-{which.lower()}", provider, "valid", post(headers, body),
                          secret=secret, **published))
    out.append(vector("box-sdk-version", provider, "invalid",
                      post({**headers, "box-signature-version": "2"}, body),
                      secret="SamplePrimaryKey", **published))
    secret = secret_of(provider)
    own = {
        "box-delivery-id": "rb-test-delivery-1",
        "box-delivery-timestamp": NOW_RFC3339,
        **version,
        "box-signature-primary": b64(mac(secret, BODY, NOW_RFC3339)),
    }
    return out + signed(provider, own, 600, secret=secret)


def bigcommerce():
    """Standard Webhooks; the client secret as text, and as base64."""
    provider = "bigcommerce"
    secret = sha256("rb-test-bigcommerce").hex()
    name, stamp = "msg_rb1", str(NOW)

    def headers(key):
        return {"webhook-id": name, "webhook-timestamp": stamp,
                "webhook-signature": "v1," + b64(mac(key, f"{name}.{stamp}.", BODY))}

    return [
        *signed(provider, headers(secret), 300, note="the key as text", secret=secret),
        vector("bigcommerce-base64", provider, "valid", post(headers(base64.b64decode(secret))),
               note="the key as base64", secret=secret),
    ]


def contentful():
    """Method, path, signed headers (`k:v`, sorted, joined by `;`) and body, by lines."""
    provider, secret = "contentful", sha256("rb-test-contentful").hex()
    covered = {
        "content-type": "application/vnd.contentful.management.v1+json",
        "x-contentful-signed-headers":
            "content-type,x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic",
        "x-contentful-timestamp": f"{NOW}000",
        "x-contentful-topic": "ContentManagement.Entry.publish",
    }
    lines = ";".join(f"{name}:{value}" for name, value in sorted(covered.items()))
    digest = mac(secret, "\n".join(["POST", "/hook", lines, BODY])).hex()
    headers = {**covered, "x-contentful-signature": digest,
               "x-contentful-idempotency-key": sha256("rb-test-key").hex()}
    settings = {"secret": secret, "public_url": HOOK}

    def one(name, expect, headers=headers, body=BODY, now=NOW, note="", url=HOOK):
        return vector(f"{provider}-{name}", provider, expect, post(headers, body, url=url), now=now,
                      note=note, **settings)

    other = {**headers, "x-contentful-topic": "ContentManagement.Entry.delete"}
    return [
        one("1", "valid"),
        one("body", "invalid", body=CHANGED, note="one byte of the body changed"),
        one("header", "invalid", headers=other, note="a signed header changed"),
        one("stale", "invalid", now=NOW + 31, note="31 seconds old"),
    ]


def webflow():
    secret, stamp = secret_of("webflow"), f"{NOW}000"
    headers = {"x-webflow-timestamp": stamp,
               "x-webflow-signature": mac(secret, stamp, ":", BODY).hex()}
    return signed("webflow", headers, 300, note="milliseconds", secret=secret)


def sanity():
    secret, stamp = secret_of("sanity"), f"{NOW}000"
    text = b64url(mac(secret, stamp, ".", BODY))
    assert set("-_") & set(text)
    return signed("sanity", {"sanity-webhook-signature": f"t={stamp},v1={text}"}, 300,
                  note="milliseconds; base64url with a character that base64 lacks", secret=secret)


def hygraph():
    """The signed text is JSON that holds the body as a string."""
    secret, stamp = secret_of("hygraph"), f"{NOW}000"
    whole = compact({"Body": BODY, "EnvironmentName": "master", "TimeStamp": int(stamp)})
    text = b64(mac(secret, whole))
    return [
        *signed("hygraph", {"gcms-signature": f"sign={text}, env=master, t={stamp}"}, 300,
                note="milliseconds", secret=secret),
        vector("hygraph-environment", "hygraph", "invalid",
               post({"gcms-signature": f"sign={text}, env=other, t={stamp}"}),
               note="another environment", secret=secret),
    ]


def fusionauth():
    provider, secret = "fusionauth", secret_of("fusionauth")
    claims = {"request_body_sha256": b64(sha256(BODY))}
    header = "x-fusionauth-signature-jwt"
    curve, edwards = p256_key("fusionauth"), ed25519_key("fusionauth")
    confused = hs256(claims, pem(curve.public_key()))
    return [
        *pair(provider, {header: hs256(claims, secret)}, name="fusionauth-hs256", secret=secret),
        *pair(provider, {header: es256(claims, curve)}, name="fusionauth-es256",
              public_key=pem(curve.public_key())),
        *pair(provider, {header: eddsa(claims, edwards)}, name="fusionauth-eddsa",
              public_key=pem(edwards.public_key())),
        vector("fusionauth-confusion", provider, "invalid", post({header: confused}),
               note="HS256 under the public key", public_key=pem(curve.public_key())),
    ]


def plaid():
    key = p256_key("plaid")
    claims = {"iat": NOW, "request_body_sha256": sha256(BODY).hex()}
    headers = {"plaid-verification": es256(claims, key, kid="rb-test-kid-1")}
    return signed("plaid", headers, 300, public_key=pem(key.public_key()))


def kick():
    name, stamp = "01RBTEST00000000000000001", NOW_RFC3339
    headers = {
        "kick-event-message-id": name,
        "kick-event-message-timestamp": stamp,
        "kick-event-type": "chat.message.sent",
        "kick-event-version": "1",
        "kick-event-signature": b64(rsa_sha256("kick", f"{name}.{stamp}.{BODY}")),
    }
    other = {**headers, "kick-event-message-id": "01RBTEST00000000000000002"}
    settings = {"public_key": rsa_public("kick")}
    return [
        *signed("kick", headers, 300, **settings),
        vector("kick-id", "kick", "invalid", post(other), note="another message id", **settings),
        vector("kick-published-key", "kick", "invalid", post(headers),
               note="signed under a key that is not Kick's"),
    ]


def fal():
    provider, key = "fal", ed25519_key("fal")
    jwks = {"keys": [
        {"kty": "OKP", "crv": "Ed25519", "x": b64url(one.public_key().public_bytes(
            Encoding.Raw, PublicFormat.Raw)), "kid": f"rb-test-{n}"}
        for n, one in enumerate((ed25519_key("fal-other"), key))
    ]}
    fields = ["00000000-0000-4000-8000-000000000001", "rb-test-user", str(NOW)]
    headers = {
        "x-fal-webhook-request-id": fields[0],
        "x-fal-webhook-user-id": fields[1],
        "x-fal-webhook-timestamp": fields[2],
        "x-fal-webhook-signature":
            key.sign("\n".join([*fields, sha256(BODY).hex()]).encode()).hex(),
    }
    return [
        *signed(provider, headers, 300, note="the second key of the set", jwks=jwks,
                user_id="rb-test-user"),
        vector("fal-user", provider, "invalid", post(headers), note="meant for another user",
               jwks=jwks, user_id="rb-test-other-user"),
    ]


def mailchannels():
    """RFC 9421: one covered component, and the parameters in the order that was sent."""
    provider, key = "mailchannels", ed25519_key("mailchannels")
    body = '[{"customer_handle":"rbtest1","event":"delivered","timestamp":1760000000}]'
    digest = f"sha-256=:{b64(sha256(body))}:"
    params = f'("content-digest");created={NOW};alg="ed25519";keyid="rb-test-key-1"'
    base = f'"content-digest": {digest}\n"@signature-params": {params}'
    label = f"sig_{NOW}"
    headers = {
        "content-digest": digest,
        "signature-input": f"{label}={params}",
        "signature": f"{label}=:{b64(key.sign(base.encode()))}:",
    }
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    settings = {"public_key_spki_b64": b64(der), "customer_handle": "rbtest1"}
    changed = body.replace("delivered", "dropped")
    redigested = {**headers, "content-digest": f"sha-256=:{b64(sha256(changed))}:"}
    return [
        *pair(provider, headers, body=body, changed=changed, **settings),
        *aged(provider, headers, 300, body=body, **settings),
        vector("mailchannels-digest", provider, "invalid", post(redigested, changed),
               note="the digest fits the changed body, the signature does not", **settings),
        vector("mailchannels-customer", provider, "invalid", post(headers, body),
               note="events of another account",
               **{**settings, "customer_handle": "rbtest2"}),
    ]


def generic_token():
    secret = secret_of("generic-token")
    return [
        *token("generic-token", {"x-webhook-token": secret},
               {"x-webhook-token": "rb-test-another-0001"}, secret=secret),
        *absent("generic-token", secret=secret),
    ]


# --- Rules of providers that have vectors elsewhere --------------------------


def rules():
    """Events where only a handshake is known, and handshakes where only events are."""
    plain = {"content-type": "text/plain"}
    out = []

    secret = secret_of("asana")
    out += pair("asana", {"x-hook-signature": mac(secret, BODY).hex()}, secret=secret)

    secret = secret_of("okta")
    out += token("okta", {"authorization": secret}, {"authorization": "rb-test-another-0001"},
                 secret=secret)

    secret = secret_of("azure-event-grid")
    out += token("azure-event-grid", {}, {}, url=f"{HOOK}?token={secret}",
                 wrong_url=f"{HOOK}?token=rb-test-another-0001", secret=secret)
    out += token("azure-event-grid", {"aeg-sas-key": secret},
                 {"aeg-sas-key": "rb-test-another-0001"}, name="azure-event-grid-key",
                 secret=secret)
    origin = {"webhook-request-origin": "eventgrid.azure.net"}
    out.append(challenge("azure-event-grid-options", "azure-event-grid",
                         bodyless("OPTIONS", headers=origin),
                         {"status": 200,
                          "headers": {"webhook-allowed-origin": "eventgrid.azure.net"}}))
    out.append(challenge("azure-event-grid-code", "azure-event-grid",
                         post({"aeg-event-type": "SubscriptionValidation"},
                              '[{"data":{"validationCode":"<script>"}}]'),
                         note="the code is no UUID"))

    secret = secret_of("microsoft-graph")
    item = '{"value":[{"clientState":"%s","changeType":"created","id":"rb1"}]}'
    out += token("microsoft-graph", {}, {}, body=item % secret,
                 wrong_body=item % "rb-test-another-0001", secret=secret)

    secret = secret_of("cloudevents")
    out += bearer("cloudevents")
    out += token("cloudevents", {}, {}, name="cloudevents-query",
                 url=f"{HOOK}?access_token={secret}",
                 wrong_url=f"{HOOK}?access_token=rb-test-another-0001", secret=secret)
    out.append(challenge("cloudevents-no-rate", "cloudevents",
                         bodyless("OPTIONS",
                                  headers={"webhook-request-origin": "emitter.example.com"}),
                         {"status": 200,
                          "headers": {"webhook-allowed-origin": "emitter.example.com",
                                      "webhook-allowed-rate": "*", "allow": "POST"}}))

    settings = {"secret": secret_of("websub"), "topic": "https://example.com/feed"}
    for name in ("sha1", "sha256", "sha384", "sha512"):
        digest = mac(settings["secret"], BODY, hash_name=name).hex()
        out += pair("websub", {"x-hub-signature": f"{name}={digest}"}, name=f"websub-{name}",
                    **settings)
    digest = mac(settings["secret"], BODY, hash_name="sha1").hex()
    out.append(vector("websub-other-hash", "websub", "invalid",
                      post({"x-hub-signature": f"sha256={digest}"}),
                      note="SHA-1 that is called SHA-256", **settings))
    topic = "hub.topic=https%3A%2F%2Fexample.org%2Fother&hub.challenge=xyz"
    out.append(challenge("websub-topic", "websub",
                         bodyless("GET", f"{HOOK}?hub.mode=subscribe&{topic}"),
                         note="a topic that was not asked for", **settings))

    out.append(challenge("monday-challenge", "monday",
                         post({}, '{"challenge":"rb-test-challenge"}'),
                         {"status": 200, "json": {"challenge": "rb-test-challenge"}}))
    out.append(challenge("dropbox-challenge", "dropbox",
                         bodyless("GET", f"{HOOK}?challenge=rb-test-challenge"),
                         {"status": 200, "headers": plain, "body": "rb-test-challenge"}))
    out.append(challenge("trello-head", "trello", bodyless("HEAD"), {"status": 200}))
    out.append(challenge("woocommerce-ping", "woocommerce",
                         post({}, "webhook_id=1001", kind=FORM), {"status": 200}))

    secret, name = secret_of("twitch"), "rb-test-message-1"
    body = '{"challenge":"rb-test-challenge","subscription":{"type":"channel.follow"}}'
    headers = {
        "twitch-eventsub-message-id": name,
        "twitch-eventsub-message-timestamp": NOW_RFC3339,
        "twitch-eventsub-message-type": "webhook_callback_verification",
        "twitch-eventsub-message-signature":
            "sha256=" + mac(secret, name, NOW_RFC3339, body).hex(),
    }
    out.append(challenge("twitch-verification", "twitch", post(headers, body),
                         {"status": 200, "headers": plain, "body": "rb-test-challenge"},
                         secret=secret))
    out.append(challenge("twitch-verification-forged", "twitch",
                         post(headers, body.replace("rb-test", "rb-fake")),
                         note="the signature is of another body", secret=secret))

    body = '{"subscription_id":"rb-test-subscription","event_type":"transfers#state-change"}'
    headers = {"x-signature-sha256": b64(rsa_sha256("wise", body))}
    settings = {"public_key": rsa_public("wise")}
    out += pair("wise", headers, body=body, changed=body.replace("state", "stage"),
                subscription_id="rb-test-subscription", **settings)
    out.append(vector("wise-subscription", "wise", "invalid", post(headers, body),
                      note="another subscription", subscription_id="rb-test-other", **settings))

    # The digests of HubSpot put the secret in front and cover method and URL from v2 on.
    secret = secret_of("hubspot")
    digest = hashlib.sha256(f"{secret}POST{HOOK}{BODY}".encode()).hexdigest()
    out += pair("hubspot-v2", {"x-hubspot-signature-version": "v2", "x-hubspot-signature": digest},
                url=HOOK, public_url=HOOK, secret=secret)
    url, stamp = f"{HOOK}?to=a%3Ab%2Fc%40d&q=%20", f"{NOW}000"
    undone = f"{HOOK}?to=a:b/c@d&q=%20"
    for name, text in (("decoded", undone), ("as-sent", url)):
        headers = {"x-hubspot-request-timestamp": stamp,
                   "x-hubspot-signature-v3": b64(mac(secret, "POST", text, BODY, stamp))}
        out += pair("hubspot-v3", headers, name=f"hubspot-v3-{name}", url=url, public_url=HOOK,
                    secret=secret, note=f"the URL {name}")
    return out


# --- The table ---------------------------------------------------------------

PROVIDERS = {
    "atlassian-connect": atlassian_connect(),
    "auth0": auth0(),
    "bigcommerce": bigcommerce(),
    "box": box(),
    "chargebee": user_and_password("chargebee"),
    "circleci": [
        *raw_body("circleci", "circleci-signature", lambda raw: f"v1={raw.hex()}"),
        *rotation("circleci", lambda new, old: {
            "circleci-signature": f"v1={new.hex()},v2=00,v1={old.hex()}"}),
    ],
    "contentful": contentful(),
    "datadog": bearer("datadog") + user_and_password("datadog"),
    "fal": fal(),
    "fusionauth": fusionauth(),
    "generic-basic": user_and_password("generic-basic"),
    "generic-bearer": bearer("generic-bearer"),
    "generic-hmac": raw_body("generic-hmac", "x-hub-signature-256",
                             lambda raw: f"sha256={raw.hex()}"),
    "generic-token": generic_token(),
    "heroku": raw_body("heroku", "heroku-webhook-hmac-sha256", b64),
    "hookdeck": [
        *raw_body("hookdeck", "x-hookdeck-signature", b64, {"x-hookdeck-eventid": "evt_rb1"}),
        *rotation("hookdeck", lambda new, old: {
            "x-hookdeck-signature": b64(new), "x-hookdeck-signature-2": b64(old)}),
    ],
    "hygraph": hygraph(),
    "jira": jira(),
    "kick": kick(),
    "line": raw_body("line", "x-line-signature", b64),
    "mailchannels": mailchannels(),
    "notion": notion(),
    "pagerduty": [
        *raw_body("pagerduty", "x-pagerduty-signature", lambda raw: f"v1={raw.hex()}"),
        *rotation("pagerduty", lambda new, old: {
            "x-pagerduty-signature": f"v1={new.hex()},v1={old.hex()}"}),
    ],
    "plaid": plaid(),
    "rules-b": rules(),
    "salesforce-marketing-cloud": salesforce_marketing_cloud(),
    "salesforce-outbound": salesforce_outbound(),
    "sanity": sanity(),
    "supabase-database": bearer("supabase-database"),
    "webflow": webflow(),
    "workos": workos(),
}


def main():
    VECTORS.mkdir(parents=True, exist_ok=True)
    seen = set()
    for name, vectors in PROVIDERS.items():
        for one in vectors:
            assert one["id"] not in seen, one["id"]
            seen.add(one["id"])
        text = json.dumps({"vectors": vectors}, indent=1, ensure_ascii=False) + "\n"
        (VECTORS / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{len(seen)} vectors in {len(PROVIDERS)} files")


if __name__ == "__main__":
    main()
