"""Asks somebody else, hands out a URL, and gets exactly one answer: callbacks, as code.

    gateway = Gateway("http://127.0.0.1:8071", os.environ["RINGBACK_TOKEN"])
    callback = await gateway.callback("acme", answer=Approval)
    mail(f"May we? {callback.url}")
    approval = await callback.wait()

Waiting only reads: it can be cancelled and begun again, by anybody and any number of times, before
or after the answer.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
import ssl
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import (
    Any,
    AsyncIterator,
    Callable,
    Dict,
    Generic,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
    TypeVar,
    Union,
    cast,
    overload,
)
from urllib.parse import quote

from .connection import BROKEN, TEMPORARY, Ask, Away, Connection, seconds, server_sent_events
from .outcome import CallbackEvent, View, answer_of, is_end, refusal

_log = logging.getLogger("ringback_client")

T = TypeVar("T")

#: Called for an event, one at a time. A function runs in a thread, a coroutine on the event loop.
CallbackHandler = Callable[[CallbackEvent], object]
OnError = Callable[[BaseException, Optional[CallbackEvent]], object]

#: Seconds that the server holds a request back for which there is no answer yet.
_POLL = 30
#: Nobody who waited says so soon that there is none, in seconds.
_SOON = 1.0
#: A stream of events that is silent for so many seconds has died: there is a comment every 15 s.
_SILENCE = 45.0
#: What those answer who know nothing of streams of events.
_NO_STREAM = (405, 406, 501)
#: In the place of an event, for whoever has heard of the end before.
_NOTHING_MORE = CallbackEvent("", "", {})


class Callback(Generic[T]):
    """One callback, as its application sees it; `T` is what its answer will be."""

    def __init__(
        self, connection: Connection, made: Mapping[str, Any], on_error: Optional[OnError]
    ) -> None:
        #: Ringback's name for it, to `attach` to it later.
        self.id: str = made["id"]
        #: Whoever has it may answer. Empty for one that was attached to: it is not stored.
        self.url: str = made.get("url", "")
        token = made.get("waitToken", "")
        #: Whoever has it may wait, and nothing else: for a browser. Empty like `url`.
        self.wait_url: str = token and re.sub(r"/cb/[^/]*$", f"/wait/{token}", self.url)
        self._connection = connection
        self._path = f"/api/v1/callback/{quote(self.id, safe='')}"
        self._on_error = on_error
        #: Handlers that are registered and not yet called back.
        self._next: List[Tuple[str, CallbackHandler]] = []
        # An event loop keeps only weak references to its tasks.
        self._calling: Set[asyncio.Task[None]] = set()

    async def wait(self) -> T:
        """The answer, once it is there; raises how else the callback ended."""
        return cast(T, answer_of(await self.ended()))

    async def ended(self) -> View:
        """The callback once it has ended, however that was."""
        while True:
            view = await self._poll()
            if is_end(view["status"]):
                return view

    async def events(self, after: str = "") -> AsyncIterator[CallbackEvent]:
        """What happens to it, from the beginning or after an event; ends with it."""
        away = self._connection.away()
        while True:
            problem: Exception = EOFError("the stream of events ended early")
            try:
                async for event in self._stream(after, away):
                    if event is _NOTHING_MORE:
                        return
                    after = event.id or after
                    yield event
                    if is_end(event.type):
                        return
            except BROKEN as error:
                problem = error
            await away.pause(problem)

    @overload
    def on(self, type: str) -> Callable[[CallbackHandler], CallbackHandler]: ...
    @overload
    def on(self, type: str, handler: CallbackHandler) -> Callback[T]: ...
    def on(
        self, type: str, handler: Optional[CallbackHandler] = None
    ) -> Union[Callback[T], Callable[[CallbackHandler], CallbackHandler]]:
        """Calls `handler` for what happens to the callback: `completed`, `progress` …, or `*`. Each
        handler hears everything of its kind from the beginning. Those registered together share a
        connection. Without `handler` it decorates one. Needs a running event loop."""
        if handler is None:

            def decorate(decorated: CallbackHandler) -> CallbackHandler:
                self.on(type, decorated)
                return decorated

            return decorate
        self._next.append((type, handler))
        if len(self._next) == 1:
            # Begins when the caller lets go: what it registers until then is in the same stream.
            task = asyncio.get_running_loop().create_task(self._call())
            self._calling.add(task)
            task.add_done_callback(self._calling.discard)
        return self

    async def followed(self) -> None:
        """Returns when the handlers of `on` have heard of the end, or will hear of nothing more."""
        if self._calling:
            await asyncio.wait(self._calling)

    def close(self) -> None:
        """Calls no handlers any more. The callback itself goes on."""
        for task in self._calling:
            task.cancel()

    async def get(self) -> View:
        """How it is now."""
        return cast(View, (await self._connection.ask(Ask("GET", self._path))).json())

    async def complete(self, body: object = None, *, content_type: Optional[str] = None) -> None:
        """Answers it. `bytes` and `str` are sent as they are, anything else as JSON."""
        await self._act("complete", body, content_type)

    async def item(self, body: object, *, content_type: Optional[str] = None) -> None:
        """Adds an item to a stream. Where it cannot be known whether it was taken, that is an
        `UnavailableError`: twice is two items."""
        await self._act("complete", body, content_type, is_once=True)

    async def fail(self, body: object = None, *, content_type: Optional[str] = None) -> None:
        """Says that there will be no answer, and why."""
        await self._act("fail", body, content_type)

    async def cancel(self) -> None:
        """Does not want the answer any more; the other side is told when it asks."""
        await self._act("cancel")

    async def end(self) -> None:
        """A stream has no more items."""
        await self._act("close")

    async def extend(
        self, *, expires_in: Optional[int] = None, expires_at: Optional[str] = None
    ) -> None:
        """Waits until another time: so many seconds from now, or then."""
        await self._act("extend", {"expiresAt": expires_at} if expires_at else {"expiresIn": expires_in})

    async def rotate(self) -> Callback[T]:
        """The same callback with another URL; the one it had is closed."""
        made = await self._act("rotate")
        return Callback(self._connection, {**made, "id": self.id}, self._on_error)

    async def _call(self) -> None:
        handlers, self._next = self._next, []
        try:
            async for event in self.events():
                for type, handler in handlers:
                    if type in ("*", event.type):
                        await self._handle(handler, event)
        except Exception as error:
            self._report(error)

    async def _handle(self, handler: CallbackHandler, event: CallbackEvent) -> None:
        try:
            if inspect.iscoroutinefunction(handler):
                await handler(event)
            else:
                result = await asyncio.to_thread(handler, event)
                if inspect.isawaitable(result):
                    await result
        except Exception as error:
            self._report(error, event)

    async def _poll(self) -> View:
        """Asks how far it is; the server may take a while to say that there is no answer yet."""
        asked = time.monotonic()
        said = await self._connection.ask(_patient(Ask("GET", f"{self._path}/result")))
        view = cast(View, said.json())
        if not is_end(view["status"]) and time.monotonic() - asked < _SOON:
            # The server is about to end, or something before it keeps it from waiting.
            await asyncio.sleep(seconds(said.headers.get("retry-after"), 1.0))
        return view

    async def _stream(self, after: str, away: Away) -> AsyncIterator[CallbackEvent]:
        """The events of one connection."""
        headers = {"accept": "text/event-stream", **({"last-event-id": after} if after else {})}
        ask = Ask("GET", f"{self._path}/events", headers)
        heard = False

        def alive() -> None:
            nonlocal heard
            heard = True
            away.ended()

        async with AsyncExitStack() as stack:
            opening = stack.enter_async_context(self._connection.open(ask))
            response = await asyncio.wait_for(opening, _SILENCE)
            if response.status == 204:
                # Everything was heard before.
                yield _NOTHING_MORE
                return
            kind = response.headers.get("content-type", "")
            if response.status == 200 and kind.startswith("text/event-stream"):
                try:
                    async for one in server_sent_events(response, _SILENCE, alive):
                        yield CallbackEvent(one.id, one.event, json.loads(one.data))
                    return
                except asyncio.TimeoutError:
                    # A proxy that gathers a stream until its end lets nothing through.
                    if heard:
                        raise
            # Not a success, and nothing that another way would mend.
            elif response.status >= 300 and response.status not in _NO_STREAM:
                body = b"".join([piece async for piece in response.chunks()])
                refused = refusal(response.status, body)
                raise EOFError(str(refused)) if response.status in TEMPORARY else refused
        async for event in self._polled():
            yield event

    async def _polled(self) -> AsyncIterator[CallbackEvent]:
        """What can be said without a stream of events: that a browser came back, and how it ended."""
        known = "pending"
        while not is_end(known):
            view = await self._poll()
            if view["status"] not in (known, "pending"):
                known = view["status"]
                yield CallbackEvent("", known, cast(Mapping[str, Any], view))

    def _report(self, error: BaseException, event: Optional[CallbackEvent] = None) -> None:
        try:
            if self._on_error:
                self._on_error(error, event)
            else:
                _log.error("%s: %s", event.type if event else self._path, error, exc_info=error)
        except Exception:
            # What fails while it is told of a failure must not end the others.
            _log.exception("on_error failed")

    async def _act(
        self,
        act: str,
        body: object = None,
        content_type: Optional[str] = None,
        is_once: bool = False,
    ) -> Any:
        ask = _post(f"{self._path}/{act}", body, content_type=content_type)
        return (await self._connection.ask(replace(ask, is_once=is_once))).json()


class Gateway:
    """A Ringback server, seen from an application."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        patience: float = 60.0,
        ssl_context: Optional[ssl.SSLContext] = None,
        on_error: Optional[OnError] = None,
    ) -> None:
        """A server that is not asked yet.

        - `patience`: how long it may be away before that is an error, in seconds.
        - `ssl_context`: whom to believe; without it, what the system believes.
        - `on_error`: told when a handler of `on` fails, or its following. Without it, that is logged.
        """
        headers = {"authorization": f"Bearer {token}"}
        self._connection = Connection(url, headers, patience, ssl_context)
        self._on_error = on_error

    async def callback(
        self,
        application: str,
        *,
        answer: Optional[Type[T]] = None,
        idempotency_key: Optional[str] = None,
        kind: Optional[str] = None,
        expires_in: Optional[int] = None,
        expires_at: Optional[str] = None,
        heartbeat: Optional[int] = None,
        mode: Optional[str] = None,
        max_items: Optional[int] = None,
        methods: Optional[Sequence[str]] = None,
        reference: Optional[str] = None,
        source: Optional[str] = None,
        tags: Optional[Sequence[str]] = None,
        metadata: Optional[Mapping[str, str]] = None,
        completer: Optional[Mapping[str, Any]] = None,
        schema: Optional[Mapping[str, Any]] = None,
        success_when: Optional[Mapping[str, Any]] = None,
        failure_when: Optional[Mapping[str, Any]] = None,
        acknowledge: Optional[Mapping[str, Any]] = None,
        confirm: Optional[Mapping[str, Any]] = None,
        redirect: Optional[Mapping[str, Any]] = None,
    ) -> Callback[T]:
        """A new callback; docs/callbacks.md says what each argument does.

        - `answer`: the type of its answer, such as a `TypedDict`. Nothing compares them: give a
          `schema` to be sure.
        - `idempotency_key`: the same key is the same callback: after a crash, ask again with it.
        """
        wanted = {
            "application": application,
            "kind": kind,
            "expiresIn": expires_in,
            "expiresAt": expires_at,
            "heartbeat": heartbeat,
            "mode": mode,
            "maxItems": max_items,
            "methods": methods,
            "reference": reference,
            "source": source,
            "tags": tags,
            "metadata": metadata,
            "completer": completer,
            "schema": schema,
            "successWhen": success_when,
            "failureWhen": failure_when,
            "acknowledge": acknowledge,
            "confirm": confirm,
            "redirect": redirect,
        }
        ask = _post("/api/v1/callback", _given(wanted), key=idempotency_key)
        return Callback(self._connection, (await self._connection.ask(ask)).json(), self._on_error)

    def attach(self, id: str, *, answer: Optional[Type[T]] = None) -> Callback[T]:
        """A callback that was made before, by its id: to go on waiting after a restart."""
        return Callback(self._connection, {"id": id}, self._on_error)

    async def call(
        self,
        application: str,
        request: Mapping[str, Any],
        *,
        answer: Optional[Type[T]] = None,
        callback: Optional[Mapping[str, Any]] = None,
        poll: Optional[Mapping[str, Any]] = None,
        idempotency_key: Optional[str] = None,
    ) -> T:
        """Has the gateway make a request with `{{callback.url}}` somewhere in it, and waits for the
        answer in whichever form it comes: at once, polled for, or through the callback. To give up
        and ask again later, choose the key."""
        wanted = {"application": application, "request": request, "callback": callback, "poll": poll}
        ask = _patient(_post("/api/v1/call", _given(wanted), key=idempotency_key))
        view = cast(View, (await self._connection.ask(ask)).json())
        # From here on it is a callback like any other: no connection has to hold until the answer.
        if is_end(view["status"]):
            return cast(T, answer_of(view))
        return await self.attach(view["id"], answer=answer).wait()


def _post(
    path: str,
    body: object = None,
    *,
    content_type: Optional[str] = None,
    key: Optional[str] = None,
) -> Ask:
    """Posts something once: its key lets it be repeated."""
    headers = {"idempotency-key": key or str(uuid.uuid4())}
    if body is None:
        return Ask("POST", path, headers)
    kind, data = _written(body)
    return Ask("POST", path, {**headers, "content-type": content_type or kind}, data)


def _patient(ask: Ask) -> Ask:
    """A request that the server is to hold back until there is an answer."""
    return replace(ask, headers={**ask.headers, "prefer": f"wait={_POLL}"}, limit=_POLL + 15)


def _given(fields: Mapping[str, object]) -> Dict[str, object]:
    return {name: one for name, one in fields.items() if one is not None}


def _written(body: object) -> Tuple[str, bytes]:
    if isinstance(body, bytes):
        return "application/octet-stream", body
    if isinstance(body, str):
        return "text/plain; charset=utf-8", body.encode()
    return "application/json", json.dumps(body).encode()
