"""For any WSGI server; `ringback_client.flask` is for Flask."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Callable, Dict, Iterable, List, Tuple

from .receiver import Receiver

_StartResponse = Callable[[str, List[Tuple[str, str]]], object]


def application(receiver: Receiver) -> Callable[[Dict[str, Any], _StartResponse], Iterable[bytes]]:
    """A WSGI application that answers every path."""

    def respond(environ: Dict[str, Any], start: _StartResponse) -> Iterable[bytes]:
        names = (name for name in environ if name.startswith("HTTP_"))
        headers = {name[5:].replace("_", "-"): str(environ[name]) for name in names}
        body = _body(environ, receiver.body_limit)
        answer = receiver.handle(environ["REQUEST_METHOD"], headers, body)
        length = ("content-length", str(len(answer.body)))
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        start(status, [*answer.headers.items(), length])
        return [answer.body]

    return respond


def _body(environ: Dict[str, Any], limit: int) -> bytes:
    """The bytes that arrived, and one more than the limit at most."""
    length = environ.get("CONTENT_LENGTH")
    if not length and not environ.get("wsgi.input_terminated"):
        return b""
    return bytes(environ["wsgi.input"].read(min(int(length or limit + 1), limit + 1)))
