"""Verifies what Ringback delivers and calls the handler that is registered for its type.

Nothing is handled that is not verified. A handler's end decides the answer, and with it whether
Ringback sends the event again.

Everything behind the verification is one coroutine, `_once`. An asynchronous server runs it on its
own event loop; for any other the receiver has a loop in a thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import logging
import math
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Set, Tuple, Union, overload

from .dedupe import Claim, Dedupe
from .signature import VerificationError, Verifier

_log = logging.getLogger("ringback_client")


@dataclass(frozen=True)
class Event:
    """A verified event."""

    #: The id of the message, the same whenever it is sent again.
    id: str
    #: `invoice.paid`; empty if neither a header nor the body says it.
    type: str
    #: Names in lower case. The signature does not cover them, but for the id and the time.
    headers: Mapping[str, str]
    #: The bytes that were signed.
    body: bytes

    def json(self) -> Any:
        """The body as JSON; raises `ValueError` if it is none."""
        return json.loads(self.body.decode("utf-8"))


class Retry(Exception):
    """Raised by a handler that cannot do it now: the answer is 503, and the event is sent again."""

    def __init__(self, message: str = "retry", *, after: Optional[float] = None) -> None:
        """`message` is told to the sender. `after`: not before that many seconds (`Retry-After`)."""
        super().__init__(message)
        self.after = after


class Reject(Exception):
    """Raised by a handler that will never take this event: the answer is 422."""

    def __init__(self, message: str = "rejected") -> None:
        """`message` is told to the sender."""
        super().__init__(message)


@dataclass(frozen=True)
class Reply:
    """Returned by a handler whose caller reads the answer, such as a chat command: 200 with this."""

    body: Union[str, bytes]
    content_type: str = "text/plain; charset=utf-8"

    def answer(self) -> Answer:
        """What is answered."""
        body = self.body.encode("utf-8") if isinstance(self.body, str) else self.body
        return Answer(200, body, {"content-type": self.content_type})


class DeadlineError(Exception):
    """A handler did not end in time. It goes on; the answer was 503."""


@dataclass(frozen=True)
class Answer:
    """What to answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


#: Does what an event asks for. Returns (204; 200 if it is a `Reply`), raises `Retry`, `Reject` or
#: anything else (500). A function runs in a thread, a coroutine on the event loop.
Handler = Callable[[Event], object]

Headers = Union[Mapping[str, str], Iterable[Tuple[str, str]]]

_ACCEPTED = Answer(204)


class Receiver:
    """Verifies requests and calls handlers."""

    def __init__(
        self,
        keys: Union[str, Iterable[str]],
        *,
        tolerance: int = 300,
        deadline: float = 10.0,
        body_limit: int = 1024 * 1024,
        max_running: int = 1000,
        threads: int = 32,
        dedupe: Optional[Dedupe] = None,
        on_error: Optional[Callable[[BaseException, Optional[Event]], object]] = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """A receiver without handlers; it acknowledges everything that is genuine.

        - `keys`: one or more of `whsec_…` and `whpk_…`; during a rotation the new one and the old.
        - `tolerance`: seconds that a timestamp may lie from the present, in either direction.
        - `deadline`: seconds that a request waits for its handler, which goes on behind the answer.
        - `body_limit`: the longest body, in bytes. Applications can send 1 MiB.
        - `max_running`: events that are handled at once; beyond it the answer is 503.
        - `threads`: handlers that are functions, at once; others wait.
        - `dedupe`: remembers what was handled. Without it, an event sent again is handled again.
        - `on_error`: told of whatever goes wrong. Without it, all but refused requests are logged.
        - `clock`: the present in Unix seconds.
        """
        self._verifier = Verifier([keys] if isinstance(keys, str) else keys, tolerance)
        self.body_limit = body_limit
        self._deadline = deadline
        self._max_running = max_running
        self._dedupe = dedupe
        self._on_error = on_error
        self._clock = clock
        self._handlers: Dict[str, Handler] = {}
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ringback-handler")
        # Guards what follows; notified when nothing is under way any more.
        self._idle = threading.Condition()
        self._closing = False
        self._running = 0
        # An event loop keeps only weak references to its tasks.
        self._tasks: Set[asyncio.Future[Answer]] = set()
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    @overload
    def on(self, type: str) -> Callable[[Handler], Handler]: ...
    @overload
    def on(self, type: str, handler: Handler) -> Receiver: ...
    def on(
        self, type: str, handler: Optional[Handler] = None
    ) -> Union[Receiver, Callable[[Handler], Handler]]:
        """Calls `handler` for events of a type: `invoice.paid`, `invoice.*` (what begins with
        `invoice.`), or `*`. The most exact one is called, and no other. Without `handler` it
        decorates one."""
        if handler is None:

            def decorate(decorated: Handler) -> Handler:
                self.on(type, decorated)
                return decorated

            return decorate
        stars = type.count("*")
        if not type or stars > 1 or (stars and type != "*" and not type.endswith(".*")):
            raise ValueError(f"`{type}` is no type: invoice.paid, invoice.* or * is expected")
        if type in self._handlers:
            raise ValueError(f"`{type}` has a handler already")
        self._handlers[type] = handler
        return self

    def handle(self, method: str, headers: Headers, body: bytes) -> Answer:
        """Verifies a request, calls its handler, and says what to answer."""
        admitted = self._admit(method, headers, body)
        if isinstance(admitted, Answer):
            return admitted
        answer = self._answer(*admitted)
        return asyncio.run_coroutine_threadsafe(answer, self._own_loop()).result()

    async def handle_async(self, method: str, headers: Headers, body: bytes) -> Answer:
        """The same on the event loop of an asynchronous server."""
        admitted = self._admit(method, headers, body)
        return admitted if isinstance(admitted, Answer) else await self._answer(*admitted)

    def close(self, timeout: Optional[float] = None) -> bool:
        """Refuses what arrives from now on (503), and waits until the handlers under way have ended,
        for `timeout` seconds at most. Answers whether they have."""
        with self._idle:
            self._closing = True
            ended = self._idle.wait_for(lambda: self._running == 0, timeout)
        if ended:
            self._threads.shutdown(wait=False)
        return ended

    async def close_async(self, timeout: Optional[float] = None) -> bool:
        """The same without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(None, self.close, timeout)

    def _admit(
        self, method: str, headers: Headers, body: bytes
    ) -> Union[Answer, Tuple[Event, Handler]]:
        """The answer, or what has to be handled; that counts as under way from then on."""
        if method != "POST":
            return _plain(405, "method_not_allowed", {"allow": "POST"})
        if len(body) > self.body_limit:
            return _plain(413, "too_large")
        # What is refused now comes again, to a process that has time for it.
        if self._closing:
            return _plain(503, "closing")
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        known = {name.lower(): value for name, value in pairs}
        try:
            identity = self._verifier.verify(known, body, self._clock())
        except VerificationError as error:
            self._report(error)
            return _plain(401, error.reason)
        event = Event(identity, _type(known, body), known, body)
        handler = self._handler_of(event.type)
        if handler is None:
            # Nobody wants it: to refuse it would have it sent for days.
            return _ACCEPTED
        with self._idle:
            if self._closing:
                return _plain(503, "closing")
            if self._running >= self._max_running:
                return _plain(503, "busy")
            self._running += 1
        return event, handler

    def _handler_of(self, type: str) -> Optional[Handler]:
        wildcards = (f"{type[:dot]}.*" for dot in range(len(type) - 1, 0, -1) if type[dot] == ".")
        known = (self._handlers.get(pattern) for pattern in (type, *wildcards, "*"))
        return next((handler for handler in known if handler), None)

    async def _answer(self, event: Event, handler: Handler) -> Answer:
        work = asyncio.ensure_future(self._once(event, handler))
        self._tasks.add(work)
        work.add_done_callback(self._ended)
        # If whoever asked goes away, the handler does not.
        done, _ = await asyncio.wait({work}, timeout=self._deadline)
        if done:
            return work.result()
        self._report(DeadlineError(f"not handled in {self._deadline} s"), event)
        return _plain(503, "deadline")

    def _ended(self, work: asyncio.Future[Answer]) -> None:
        self._tasks.discard(work)
        with self._idle:
            self._running -= 1
            if self._running == 0:
                self._idle.notify_all()

    async def _once(self, event: Event, handler: Handler) -> Answer:
        """Handles an event unless it was, or is being, handled."""
        if self._dedupe is None:
            return await self._call(event, handler)
        try:
            claim = await self._run(self._dedupe.begin, event.id)
        except Exception as error:
            self._report(error, event)
            return _plain(503, "dedupe_failed")
        if claim is Claim.DONE:
            return _ACCEPTED
        if claim is Claim.IN_FLIGHT:
            return _plain(503, "in_flight")
        answer = await self._call(event, handler)
        settle = self._dedupe.done if answer.status < 300 else self._dedupe.forget
        try:
            await self._run(settle, event.id)
        except Exception as error:
            # What the handler has done stays done, so its answer stays, too.
            self._report(error, event)
        return answer

    async def _call(self, event: Event, handler: Handler) -> Answer:
        try:
            ended = await self._run(handler, event)
        except Retry as retry:
            after = {} if retry.after is None else {"retry-after": str(math.ceil(retry.after))}
            return _plain(503, str(retry), after)
        except Reject as reject:
            return _plain(422, str(reject))
        except (Exception, asyncio.CancelledError, SystemExit) as error:
            # A handler ends neither the server nor what else is under way.
            self._report(error, event)
            return _plain(500, "handler_failed")
        return ended.answer() if isinstance(ended, Reply) else _ACCEPTED

    async def _run(self, function: Callable[[Any], object], argument: object) -> object:
        """Awaits a coroutine, and runs anything else in a thread, with the caller's context."""
        if inspect.iscoroutinefunction(function):
            return await function(argument)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._threads, context.run, function, argument)
        return await result if inspect.isawaitable(result) else result

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        """Made at the first request, because a server may fork before it; ends with the process."""
        with self._idle:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                run = self._loop.run_forever
                threading.Thread(target=run, name="ringback-receiver", daemon=True).start()
            return self._loop

    def _report(self, error: BaseException, event: Optional[Event] = None) -> None:
        try:
            if self._on_error:
                self._on_error(error, event)
            elif event:
                _log.error("%s %s: %s", event.type, event.id, error, exc_info=error)
        except Exception:
            # What fails while it is told of a failure must not change the answer.
            _log.exception("on_error failed")


def _type(headers: Mapping[str, str], body: bytes) -> str:
    """The type that Ringback's header says, else the body; written as Ringback writes types."""
    said = headers.get("ringback-event") or _type_in(body)
    return re.sub(r"[^A-Za-z0-9_.-]", "_", said[:256])


def _type_in(body: bytes) -> str:
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return ""
    if not isinstance(value, dict):
        return ""
    said = (value.get("type"), value.get("eventType"))
    return next((one for one in said if isinstance(one, str)), "")


def _plain(status: int, text: str, headers: Optional[Mapping[str, str]] = None) -> Answer:
    known = {"content-type": "text/plain; charset=utf-8", **(headers or {})}
    return Answer(status, text.encode("utf-8"), known)
