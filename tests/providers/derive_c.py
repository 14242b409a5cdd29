#!/usr/bin/env python3
"""Known answers for providers, or forms of their signatures, that no other vector covers.

Every signature is computed here from the provider's documented formula, with
Python's standard library alone and without any of Ringback's code. Running the
script again writes the same bytes:

    python3 tests/providers/derive_c.py
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[2] / "providers" / "vectors"
NOW = 1760000000
DERIVED = "derived: computed from the documented formula"
JSON = {"content-type": "application/json"}

# Non-ASCII text and a number with a fraction: a body that was decoded and
# written again would no longer match.
BODY = '{"id":"evt_rb_1","type":"test.event","note":"Zoë – ✓","n":1.5}'
CHANGED = BODY.replace("1.5", "1.6")


def mac(hash_name, key, message):
    """HMAC of a list of strings, as bytes."""
    return hmac.new(key, "".join(message).encode(), getattr(hashlib, hash_name)).digest()


def b64(raw):
    return base64.b64encode(raw).decode()


def request(headers, body, method="POST", url=None):
    out = {"method": method}
    if url:
        out["url"] = url
    return {**out, "headers": headers, "body": body}


def vector(name, provider, expect, headers, body, now=NOW, note="", **settings):
    """One vector; `note` says what is special about it."""
    return {
        "id": name,
        "provider": provider,
        "origin": DERIVED + (f"; {note}" if note else ""),
        **settings,
        "request": request({**JSON, **headers}, body),
        "now": now,
        "expect": expect,
    }


def challenge(name, provider, url, expected, expect="valid", note="", **settings):
    """A handshake; `expected` is None where it must be refused."""
    out = {
        "id": name,
        "provider": provider,
        "origin": DERIVED + (f"; {note}" if note else ""),
        "kind": "challenge",
        **settings,
        "request": request({}, "", "GET", url),
    }
    if expected:
        out["expected_response"] = expected
    return {**out, "expect": expect, "now": NOW}


def secret_of(provider):
    return f"rb-test-{provider}-0001"


def raw_body(provider, header, encode, hash_name="sha256", secret=None, key=None, extra=None):
    """A signature over the body alone: one that is right, one of another body."""
    secret = secret or secret_of(provider)
    key = key or secret.encode()
    headers = {**(extra or {}), header: encode(mac(hash_name, key, [BODY]))}
    return [
        vector(f"{provider}-1", provider, "valid", headers, BODY, secret=secret),
        vector(f"{provider}-body", provider, "invalid", headers, CHANGED, secret=secret,
               note="one byte of the body changed"),
    ]


def timed(provider, headers_for, message, encode, secret=None, key=None, stamp=str(NOW)):
    """A signature over a time and the body: right, another body, 301 seconds late."""
    secret = secret or secret_of(provider)
    key = key or secret.encode()
    headers = headers_for(stamp, encode(mac("sha256", key, message(stamp, BODY))))
    return [
        vector(f"{provider}-1", provider, "valid", headers, BODY, secret=secret),
        vector(f"{provider}-body", provider, "invalid", headers, CHANGED, secret=secret,
               note="one byte of the body changed"),
        vector(f"{provider}-stale", provider, "invalid", headers, BODY, NOW + 301, secret=secret,
               note="301 seconds old"),
    ]


def standard_webhooks(provider, prefix="whsec_", id_header="webhook-id",
                      time_header="webhook-timestamp", signature_header="webhook-signature"):
    """Standard Webhooks: the key is base64 after `prefix`."""
    key = hashlib.sha256(secret_of(provider).encode()).digest()
    return timed(
        provider,
        lambda t, s: {id_header: "msg_rb1", time_header: t, signature_header: s},
        lambda t, body: ["msg_rb1.", t, ".", body],
        lambda raw: "v1," + b64(raw),
        secret=prefix + b64(key),
        key=key,
    )


def aftership():
    """The same digest under three header names, one of them with a prefix."""
    secret = secret_of("aftership")
    digest = b64(mac("sha256", secret.encode(), [BODY]))
    out = raw_body("aftership", "aftership-hmac-sha256", b64)
    for name, header, value in [
        ("returns", "as-signature-hmac-sha256", digest),
        ("shipping", "am-webhook-signature", "hmac-sha256=" + digest),
    ]:
        out.append(vector(f"aftership-{name}", "aftership", "valid", {header: value}, BODY, secret=secret))
        out.append(vector(f"aftership-{name}-body", "aftership", "invalid", {header: value}, CHANGED,
                          secret=secret, note="one byte of the body changed"))
    return out


def hex_key(provider, header, hash_name):
    """The secret is hex: decoded it verifies, as text it must not."""
    secret = "0b" * 32
    out = raw_body(provider, header, bytes.hex, hash_name, secret=secret, key=bytes.fromhex(secret))
    as_text = {header: mac(hash_name, secret.encode(), [BODY]).hex()}
    out.append(vector(f"{provider}-text-key", provider, "invalid", as_text, BODY, secret=secret,
                      note="key used as text instead of decoded"))
    return out


def cronofy():
    """A list of digests while two client secrets are active; the second is ours."""
    secret = secret_of("cronofy")
    other = b64(mac("sha256", b"rb-test-cronofy-other", [BODY]))
    ours = b64(mac("sha256", secret.encode(), [BODY]))
    out = raw_body("cronofy", "cronofy-hmac-sha256", b64)
    out.append(vector("cronofy-list", "cronofy", "valid", {"cronofy-hmac-sha256": f"{other},{ours}"}, BODY,
                      secret=secret, note="two digests, the second matches"))
    out.append(vector("cronofy-others", "cronofy", "invalid", {"cronofy-hmac-sha256": f"{other},{other}"}, BODY,
                      secret=secret, note="no digest matches"))
    return out


def nylas():
    return raw_body("nylas", "x-nylas-signature", bytes.hex) + [
        challenge("nylas-challenge", "nylas", "https://h/x?challenge=rbtest123abc",
                  {"status": 200, "body": "rbtest123abc"}, secret=secret_of("nylas")),
        challenge("nylas-challenge-markup", "nylas", "https://h/x?challenge=%3Cscript%3E", None, "invalid",
                  note="a challenge that is not a plain token", secret=secret_of("nylas")),
    ]


def buildkite():
    token = "rb-test-buildkite-token-0001"
    signed = timed(
        "buildkite",
        lambda t, s: {"x-buildkite-event": "build.finished", "x-buildkite-signature": f"timestamp={t},signature={s}"},
        lambda t, body: [t, ".", body],
        bytes.hex,
    )
    event = {"x-buildkite-event": "build.finished"}
    return signed + [
        vector("buildkite-token", "buildkite", "valid", {**event, "x-buildkite-token": token}, BODY,
               note="plain token", token=token),
        vector("buildkite-token-wrong", "buildkite", "invalid", {**event, "x-buildkite-token": token + "x"}, BODY,
               note="another token", token=token),
        vector("buildkite-token-unset", "buildkite", "invalid",
               {**event, "x-buildkite-token": secret_of("buildkite")}, BODY,
               note="the signing secret sent as a token", secret=secret_of("buildkite")),
    ]


def airship():
    code = "00000000-0000-4000-8000-000000000001"
    return timed(
        "airship",
        lambda t, s: {"x-ua-timestamp": t, "x-ua-signature": s},
        lambda t, body: [t, ":", body],
        bytes.hex,
    ) + [
        challenge("airship-code", "airship", "https://h/x",
                  {"status": 200, "headers": JSON, "json": {"confirmation_code": code}},
                  secret=secret_of("airship"), confirmation_code=code),
    ]


def increase_legacy():
    """The older header, with the known answer of the vendor's own library."""
    secret = "whsec_zlFsbBZ8Xcodlpcu6NDTdSzZRLSdhkst"
    stamp, now = "2022-01-31T23:59:59Z", 1643673599
    body = '{"id":"event_123abc","created_at":"2020-01-31T23:59:59Z"}'
    digest = mac("sha256", secret.encode(), [stamp, ".", body]).hex()
    assert digest == "3f9c3dcc820ca3adfae8e196d05b09dfef63b91db5ce5ac1407090f2aa424a6f"
    headers = {"increase-webhook-signature": f"t={stamp},v1={digest}"}
    out = [
        vector("increase-legacy-published", "increase", "valid", headers, body, now, secret=secret),
        vector("increase-legacy-body", "increase", "invalid", headers, body.replace("123abc", "123abd"), now,
               secret=secret, note="one byte of the body changed"),
        vector("increase-legacy-stale", "increase", "invalid", headers, body, now + 301,
               secret=secret, note="301 seconds old"),
    ]
    out[0]["origin"] = "published: Increase/increase-python, the tests of webhooks; recomputed"
    return out


def polar_new_secret():
    """Secrets of Polar since 8 September 2026: base64 after `whsec_`; before, all of it as text."""
    key = hashlib.sha256(b"rb-test-polar-whsec-0001").digest()
    secret = "whsec_" + b64(key)
    out = []
    for name, bytes_of_key in [("polar-whsec", key), ("polar-whsec-text", secret.encode())]:
        signature = b64(mac("sha256", bytes_of_key, ["msg_rb1.", str(NOW), ".", BODY]))
        headers = {"webhook-id": "msg_rb1", "webhook-timestamp": str(NOW), "webhook-signature": "v1," + signature}
        out.append(vector(name, "polar", "valid", headers, BODY, secret=secret))
        out.append(vector(f"{name}-body", "polar", "invalid", headers, CHANGED, secret=secret,
                          note="one byte of the body changed"))
    return out


FILES = {
    "supabase-auth-hooks": standard_webhooks("supabase-auth-hooks", "v1,whsec_"),
    "etsy": standard_webhooks("etsy"),
    "loops": standard_webhooks("loops"),
    "finch": standard_webhooks("finch", "", "finch-event-id", "finch-timestamp", "finch-signature"),
    "increase-legacy": increase_legacy(),
    "polar-new-secret": polar_new_secret(),
    "modern-treasury": raw_body("modern-treasury", "x-signature", bytes.hex,
                                extra={"x-topic": "payment_order"}),
    "autodesk-aps": raw_body("autodesk-aps", "x-adsk-signature", lambda raw: "sha1hash=" + raw.hex(), "sha1"),
    "aftership": aftership(),
    "squarespace": hex_key("squarespace", "squarespace-signature", "sha256"),
    "nylas": nylas(),
    "ashby": raw_body("ashby", "ashby-signature", lambda raw: "sha256=" + raw.hex()),
    "cronofy": cronofy(),
    "checkr": raw_body("checkr", "x-checkr-signature", bytes.hex),
    "shippo": timed("shippo", lambda t, s: {"shippo-auth-signature": f"t={t},v1={s}"},
                    lambda t, body: [t, ".", body], bytes.hex),
    "buildkite": buildkite(),
    "airship": airship(),
    "airwallex": timed("airwallex", lambda t, s: {"x-timestamp": t, "x-signature": s},
                       lambda t, body: [t, body], bytes.hex, stamp=f"{NOW}000"),
    "sinch": timed("sinch",
                   lambda t, s: {"x-sinch-webhook-signature-algorithm": "HmacSHA256",
                                 "x-sinch-webhook-signature-nonce": "rb-nonce-1",
                                 "x-sinch-webhook-signature-timestamp": t,
                                 "x-sinch-webhook-signature": s},
                   lambda t, body: [body, ".rb-nonce-1.", t], b64),
}


def main():
    VECTORS.mkdir(parents=True, exist_ok=True)
    for name, vectors in FILES.items():
        text = json.dumps({"vectors": vectors}, indent=2, ensure_ascii=False)
        (VECTORS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(vectors)}")


if __name__ == "__main__":
    main()
