"""Requests that survive a server that is away for a while: what is safe to repeat is repeated, with
pauses that grow, until the patience is at its end.

One connection a request, and nothing that lives longer than it: whoever stops waiting has stopped,
and any event loop will do.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, Callable, Dict, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from .outcome import RefusedError, UnavailableError, refusal

#: The server is away or busy, or something before it says so.
TEMPORARY = frozenset((408, 429, 502, 503, 504))
#: What a server that is away, or a proxy that is, does to a request.
BROKEN = (OSError, EOFError, ValueError, asyncio.TimeoutError, asyncio.LimitOverrunError)

#: The server says so before it does anything.
_NOT_TAKEN = (429, 503)
_LIMIT = 15.0
_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True)
class Ask:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Optional[bytes] = None
    #: How long the server may take, in seconds.
    limit: float = _LIMIT
    #: Repeated only where it is certain that it was not taken.
    is_once: bool = False


@dataclass(frozen=True)
class Said:
    """A whole response."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body) if self.body else {}


class Response:
    """A response whose body is still to come."""

    def __init__(self, status: int, headers: Mapping[str, str], reader: asyncio.StreamReader) -> None:
        self.status = status
        self.headers = headers
        self._reader = reader

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        reader = self._reader
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while True:
                size = int((await _line(reader)).split(b";")[0], 16)
                chunk = await reader.readexactly(size + 2)
                if size == 0:
                    return
                yield chunk[:-2]
        left = int(self.headers.get("content-length", 1 << 62))
        while left:
            piece = await reader.read(min(left, 65536))
            if not piece and "content-length" in self.headers:
                raise asyncio.IncompleteReadError(piece, left)
            if not piece:
                return
            left -= len(piece)
            yield piece


class Connection:
    """A server, and what every request to it carries."""

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        patience: float,
        context: Optional[ssl.SSLContext],
    ) -> None:
        url = urlsplit(base)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"`{base}` is not the URL of a server, such as http://127.0.0.1:8071")
        self._address = (url.hostname, url.port or (443 if url.scheme == "https" else 80))
        self._path = url.path.rstrip("/")
        self._headers = {"host": url.netloc.rpartition("@")[2], "connection": "close", **headers}
        self._tls = (context or ssl.create_default_context()) if url.scheme == "https" else None
        self._patience = patience

    async def ask(self, ask: Ask) -> Said:
        """What the server says, if it is a success; raises a `GatewayError` otherwise."""
        away = self.away()
        while True:
            problem: Exception
            after = None
            not_taken = False
            try:
                said = await asyncio.wait_for(self._once(ask), ask.limit)
            except BROKEN as error:
                problem = error
            else:
                if said.status < 300:
                    return said
                problem = refusal(said.status, said.body)
                if said.status not in TEMPORARY:
                    raise problem
                after = said.headers.get("retry-after")
                not_taken = said.status in _NOT_TAKEN
            if ask.is_once and not not_taken:
                raise _unavailable(problem) from problem
            await away.pause(problem, after)

    async def _once(self, ask: Ask) -> Said:
        async with self.open(ask) as response:
            pieces = [piece async for piece in response.chunks()]
            return Said(response.status, response.headers, b"".join(pieces))

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[Response]:
        """Sends it once, without limits of time."""
        reader, writer = await asyncio.open_connection(*self._address, ssl=self._tls)
        try:
            headers: Dict[str, str] = {**self._headers, **ask.headers}
            if ask.method == "POST":
                headers["content-length"] = str(len(ask.body or b""))
            lines = [f"{ask.method} {self._path}{ask.path} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            if any("\r" in line or "\n" in line for line in lines):
                raise RefusedError(0, "", "a header cannot have a line break")
            writer.write("\r\n".join([*lines, "", ""]).encode() + (ask.body or b""))
            await writer.drain()
            yield Response(*await _head(reader), reader)
        finally:
            # Nothing is left to be said, so nothing has to be waited for.
            writer.transport.abort()
            # What broke the connection was heard by whoever was reading.
            with suppress(*BROKEN):
                await writer.wait_closed()

    def away(self) -> Away:
        """Counts how long the server has been away."""
        return Away(self._patience)


class Away:
    """How long the server has been away, and the pauses before it is asked again."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.ended()

    def ended(self) -> None:
        """It has just been there."""
        self._since = time.monotonic()
        self._attempts = 0

    async def pause(self, problem: Exception, after: Optional[str] = None) -> None:
        """Waits before the next attempt; raises if that would be too late."""
        longest = min(_SHORTEST_PAUSE * 2**self._attempts, _LONGEST_PAUSE)
        self._attempts += 1
        # Those who were cut off together do not come back together.
        pause = max(longest * random.uniform(0.5, 1), seconds(after, 0.0))
        if time.monotonic() - self._since + pause > self._patience:
            raise _unavailable(problem) from problem
        await asyncio.sleep(pause)


def _unavailable(problem: Exception) -> UnavailableError:
    told = str(problem) or type(problem).__name__
    return UnavailableError(f"the server cannot be reached: {told}")


def seconds(text: Optional[str], otherwise: float) -> float:
    """Seconds of a `Retry-After`."""
    return float(text) if text and text.isdecimal() else otherwise


async def _head(reader: asyncio.StreamReader) -> Tuple[int, Dict[str, str]]:
    """Status and headers of a response."""
    status = 100
    while status < 200:
        status = int((await _line(reader)).split(b" ", 2)[1])
        headers: Dict[str, str] = {}
        while True:
            line = await _line(reader)
            if not line:
                break
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
    return status, headers


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readuntil(b"\n")
    return line.rstrip(b"\r\n")


@dataclass(frozen=True)
class ServerSentEvent:
    """One of a stream of events."""

    id: str
    event: str
    data: str


async def server_sent_events(
    response: Response, silence: float, alive: Callable[[], None]
) -> AsyncIterator[ServerSentEvent]:
    """The events of a response; a stream that is silent for so many seconds has died. `alive` is told
    of everything that arrives, comments too."""
    chunks = response.chunks()
    rest = b""
    fields: Dict[str, str] = {}
    while True:
        try:
            chunk = await asyncio.wait_for(chunks.__anext__(), silence)
        except StopAsyncIteration:
            return
        alive()
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            name, _, text = line.rstrip(b"\r").decode("utf-8").partition(":")
            value = text[1:] if text.startswith(" ") else text
            if not line.rstrip(b"\r"):
                # Without data it is none: a comment, or an id alone.
                if "data" in fields:
                    yield ServerSentEvent(fields.get("id", ""), fields.get("event", ""), fields["data"])
                fields = {}
            elif name == "data" and "data" in fields:
                fields["data"] += f"\n{value}"
            else:
                fields[name] = value
