"""For any ASGI server; `ringback_client.fastapi` is for FastAPI and Starlette."""

from __future__ import annotations

from typing import Any, Awaitable, Callable, Dict

from .receiver import Receiver

_Receive = Callable[[], Awaitable[Dict[str, Any]]]
_Send = Callable[[Dict[str, Any]], Awaitable[None]]


def application(
    receiver: Receiver,
) -> Callable[[Dict[str, Any], _Receive, _Send], Awaitable[None]]:
    """An ASGI application that answers every path, and closes the receiver when it ends."""

    async def respond(scope: Dict[str, Any], receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receiver, receive, send)
        elif scope["type"] == "http":
            pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
            body = await _body(receive, receiver.body_limit)
            answer = await receiver.handle_async(scope["method"], pairs, body)
            headers = {**answer.headers, "content-length": str(len(answer.body))}
            encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            start = {"type": "http.response.start", "status": answer.status, "headers": encoded}
            await send(start)
            await send({"type": "http.response.body", "body": answer.body})

    return respond


async def _body(receive: _Receive, limit: int) -> bytes:
    """The bytes that arrived; what follows the limit is left."""
    body = b""
    while len(body) <= limit:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body


async def _live(receiver: Receiver, receive: _Receive, send: _Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await receiver.close_async()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
