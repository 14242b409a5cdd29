"""Signatures as Standard Webhooks 1.0.0 defines them.

`v1` is HMAC-SHA256 with a shared secret, `v1a` is Ed25519, where the receiver holds only the public
key. What is signed is `id.timestamp.body`, over the bytes that arrived. A request carries a
signature for each key of a rotation, separated by spaces.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Callable, Iterable, Mapping, Tuple

from . import ed25519

#: Signatures of one request that are looked at; an endpoint has ten secrets at most.
_MAX_SIGNATURES = 16


class VerificationError(Exception):
    """The request does not prove that its sender holds the key. Its body must not be trusted.

    `reason` is one of `missing_header`, `malformed`, `signature_mismatch`, `stale`, `from_future`:
    the names of Ringback's sources.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the webhook is not accepted: {reason}")
        self.reason = reason


class Verifier:
    """Verifies with any of several keys."""

    def __init__(self, keys: Iterable[str], tolerance: int = 300) -> None:
        """`keys`: `whsec_…` or `whpk_…`, all of which count. `tolerance`: seconds that a timestamp
        may lie from the present, in either direction. Raises `ValueError` if a key cannot be read,
        without repeating it."""
        self._keys = [_parse(key) for key in keys]
        if not self._keys:
            raise ValueError("a receiver needs at least one key")
        self._tolerance = tolerance

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """The id of a genuine request; raises `VerificationError` otherwise.

        The names of `headers` are in lower case, `body` is what arrived byte for byte, `now` is in
        Unix seconds."""
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        identity, timestamp, signatures = (headers.get(name, "") for name in names)
        if not (identity and timestamp and signatures):
            raise VerificationError("missing_header")
        # With a dot in it, two messages could share a signed text.
        if "." in identity:
            raise VerificationError("malformed")
        signed = f"{identity}.{timestamp}.".encode("utf-8", "surrogateescape") + body
        if not self._matches(signed, signatures):
            raise VerificationError("signature_mismatch")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
            raise VerificationError("malformed")
        age = int(now) - int(timestamp)
        if age > self._tolerance:
            raise VerificationError("stale")
        if age < -self._tolerance:
            raise VerificationError("from_future")
        return identity

    def _matches(self, signed: bytes, signatures: str) -> bool:
        candidates = [_candidate(text) for text in signatures.split(" ", _MAX_SIGNATURES)]
        return any(
            scheme == known and fits(signed, signature)
            for known, fits in self._keys
            for scheme, signature in candidates[:_MAX_SIGNATURES]
        )


_Key = Tuple[str, Callable[[bytes, bytes], bool]]


def _candidate(text: str) -> Tuple[str, bytes]:
    scheme, _, encoded = text.partition(",")
    try:
        return scheme, base64.b64decode(encoded, validate=True)
    except ValueError:
        return scheme, b""


def _parse(text: str) -> _Key:
    if text.startswith("whpk_"):
        return _ed25519(_decode(text[len("whpk_") :]))
    if text.startswith("whsk_"):
        raise ValueError("a receiver needs the public key: whpk_…")
    return _hmac(_decode(text[len("whsec_") :] if text.startswith("whsec_") else text))


def _hmac(secret: bytes) -> _Key:
    if not 24 <= len(secret) <= 75:
        raise ValueError(f"a secret has 24 to 75 bytes, this one has {len(secret)}")

    def fits(signed: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.new(secret, signed, hashlib.sha256).digest(), signature)

    return "v1", fits


def _ed25519(public: bytes) -> _Key:
    if not ed25519.is_key(public):
        raise ValueError("the ed25519 public key is not valid")
    return "v1a", lambda signed, signature: ed25519.verify(public, signed, signature)


def _decode(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("a key is padded base64 after `whsec_` or `whpk_`")
    return key
