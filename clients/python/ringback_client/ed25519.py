"""Verifies Ed25519 signatures (RFC 8032, 5.1.7), which Python's standard library does not.

Only what everybody may know is computed with, so the time that it takes gives nothing away. A
verification takes a few milliseconds.
"""

from __future__ import annotations

import hashlib
from typing import Optional, Tuple

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)

# Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z.
_Point = Tuple[int, int, int, int]

_NEUTRAL: _Point = (0, 1, 1, 0)


def is_key(public: bytes) -> bool:
    """Whether the bytes are a public key: 32 of them, and a point of the curve."""
    return _point(public) is not None


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` was made over `message` with the private half of `public`."""
    key = _point(public)
    if key is None or len(signature) != 64:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    # A larger one with the same remainder would be a second signature of the same message.
    if scalar >= _L:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _L
    return _bytes(_combination(scalar, challenge, key)) == signature[:32]


def _combination(scalar: int, challenge: int, key: _Point) -> _Point:
    """scalar * base - challenge * key, both in one pass."""
    x, y, z, t = key
    negated = (-x % _P, y, z, -t % _P)
    summands = (_NEUTRAL, _BASE, negated, _add(_BASE, negated))
    result = _NEUTRAL
    for bit in range(252, -1, -1):
        result = _add(result, result)
        which = scalar >> bit & 1 | (challenge >> bit & 1) << 1
        if which:
            result = _add(result, summands[which])
    return result


def _add(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _point(encoded: bytes) -> Optional[_Point]:
    if len(encoded) != 32:
        return None
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _bytes(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _base() -> _Point:
    point = _point((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert point is not None
    return point


_BASE = _base()
