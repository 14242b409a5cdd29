"""For Flask."""

from __future__ import annotations

from typing import Callable

from flask import Response, request

from .receiver import Receiver


def view(receiver: Receiver) -> Callable[[], Response]:
    """`app.add_url_rule("/hooks", view_func=view(receiver), methods=["POST"])`"""

    def ringback() -> Response:
        length = request.content_length
        if length is None or length > receiver.body_limit:
            body = request.stream.read(receiver.body_limit + 1)
        else:
            body = request.get_data()
        answer = receiver.handle(request.method, request.headers.items(), body)
        return Response(answer.body, answer.status, dict(answer.headers))

    return ringback
