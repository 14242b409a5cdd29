"""Remembers what was handled, so that an event that arrives again is handled once."""

from __future__ import annotations

import threading
from enum import Enum
from typing import Awaitable, Dict, Protocol, Set, Union


class Claim(Enum):
    """Whether an event was seen before. `NEW` is claimed by the caller, who has to settle it."""

    NEW = "new"
    IN_FLIGHT = "in_flight"
    DONE = "done"


class Dedupe(Protocol):
    """Remembers ids. The methods may be coroutines.

    With several processes, keep the ids in a store that all of them share. There a claim needs an
    end, later than the longest handler: else an event whose process died is never handled.
    """

    def begin(self, identity: str) -> Union[Claim, Awaitable[Claim]]:
        """Claims an id, in one step: of two who ask at once, one gets `NEW`."""

    def done(self, identity: str) -> Union[None, Awaitable[None]]:
        """The event was handled."""

    def forget(self, identity: str) -> Union[None, Awaitable[None]]:
        """It was not: the next who asks gets `NEW`."""


class MemoryDedupe:
    """Remembers the latest ids in this process."""

    def __init__(self, limit: int = 10_000) -> None:
        """`limit`: how many handled events are remembered."""
        self._limit = limit
        self._in_flight: Set[str] = set()
        # A dictionary is in the order of insertion.
        self._done: Dict[str, None] = {}
        # Handlers and servers have threads.
        self._lock = threading.Lock()

    def begin(self, identity: str) -> Claim:
        with self._lock:
            if identity in self._done:
                return Claim.DONE
            if identity in self._in_flight:
                return Claim.IN_FLIGHT
            self._in_flight.add(identity)
            return Claim.NEW

    def done(self, identity: str) -> None:
        with self._lock:
            self._in_flight.discard(identity)
            self._done[identity] = None
            if len(self._done) > self._limit:
                del self._done[next(iter(self._done))]

    def forget(self, identity: str) -> None:
        with self._lock:
            self._in_flight.discard(identity)
