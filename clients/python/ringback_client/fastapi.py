"""For FastAPI and Starlette."""

from __future__ import annotations

from typing import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from .receiver import Receiver


def endpoint(receiver: Receiver) -> Callable[[Request], Awaitable[Response]]:
    """`app.add_route("/hooks", endpoint(receiver), methods=["POST"])`"""

    async def ringback(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > receiver.body_limit:
                break
        answer = await receiver.handle_async(request.method, request.headers.items(), body)
        return Response(answer.body, answer.status, answer.headers)

    return ringback
