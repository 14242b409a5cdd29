"""Plays the scenarios that all handler libraries share (../../scenarios.json)."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ringback_client import MemoryDedupe, Receiver, Reject, Reply, Retry

_FILE = json.loads(Path(__file__, "../../../scenarios.json").resolve().read_text("utf-8"))

SCENARIOS = _FILE["scenarios"]
_PATIENCE = 10.0


def _equal(got, expected, what):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, expected {expected!r}")


def _wait(event):
    if not event.wait(_PATIENCE):
        raise AssertionError("it did not happen")


class _Watched(MemoryDedupe):
    """A memory that tells when an event was settled."""

    def __init__(self):
        super().__init__()
        self.settled = threading.Event()

    def done(self, identity):
        super().done(identity)
        self.settled.set()

    def forget(self, identity):
        super().forget(identity)
        self.settled.set()


class _Broken:
    def begin(self, identity):
        raise ConnectionError("the store of ids is away")


class _Handlers:
    """Handlers that do what a scenario says, and what they saw."""

    def __init__(self):
        self.called = []
        self.event = None
        self.running = 0
        self.entered = threading.Event()
        self.released = threading.Event()
        self._lock = threading.Lock()

    def register(self, receiver, kind, behaviour, coroutine):
        turns = list(behaviour) if isinstance(behaviour, list) else [behaviour]

        def handler(event):
            self.called.append(kind)
            self.event = event
            turn = turns.pop(0) if len(turns) > 1 else turns[0]
            self._count(1)
            try:
                for act in turn.split(", ") if isinstance(turn, str) else [turn]:
                    self._act(act)
                return Reply("done at once") if act == "reply" else None
            finally:
                self._count(-1)

        async def asynchronous(event):
            return await asyncio.get_running_loop().run_in_executor(None, handler, event)

        receiver.on(kind, asynchronous if coroutine else handler)

    def _count(self, step):
        with self._lock:
            self.running += step

    def _act(self, act):
        if act == "wait":
            self.entered.set()
            _wait(self.released)
        elif act == "fail":
            raise RuntimeError("a mistake of the handler")
        elif act == "retry":
            raise Retry("not now")
        elif act == "reject":
            raise Reject("not wanted")
        elif isinstance(act, dict):
            raise Retry("not now", after=act["retry"])
        else:
            _equal(act in ("ok", "reply"), True, "what the handler does")


def play(scenario, connect, coroutine):
    """Plays one scenario. `connect(receiver)` gives a context whose value sends a request and
    answers (status, headers, text); `coroutine` says what the handlers are."""
    dedupe = {"memory": _Watched, "broken": _Broken}.get(scenario.get("dedupe"), lambda: None)()
    names = {"tolerance": "tolerance", "deadline": "deadline"}
    names.update(bodyLimit="body_limit", maxRunning="max_running")
    receiver = Receiver(
        [_FILE["keys"][name] for name in scenario.get("keys", ["secret"])],
        dedupe=dedupe,
        clock=lambda: _FILE["now"],
        on_error=lambda error, event: None,
        **{ours: scenario[name] for name, ours in names.items() if name in scenario},
    )
    handlers = _Handlers()
    for kind, behaviour in scenario["handlers"].items():
        handlers.register(receiver, kind, behaviour, coroutine)
    with connect(receiver) as send, ThreadPoolExecutor() as threads:
        try:
            _steps(scenario, receiver, dedupe, handlers, send, threads)
        finally:
            handlers.released.set()


def _steps(scenario, receiver, dedupe, handlers, send, threads):
    under_way = {}
    closed = None
    for step in scenario["steps"]:
        handlers.called.clear()
        if "send" in step:
            _check(send(_FILE["requests"][step["send"]]), step["answer"])
        elif "begin" in step:
            handlers.entered.clear()
            under_way[step["as"]] = threads.submit(send, _FILE["requests"][step["begin"]])
            _wait(handlers.entered)
        elif "finish" in step:
            handlers.released.set()
            _check(under_way[step["finish"]].result(_PATIENCE), step["answer"])
        elif "release" in step:
            handlers.released.set()
            _wait(dedupe.settled)
        elif "close" in step:
            closing = threading.Event()
            closed = threads.submit(_close, receiver, handlers, closing)
            _wait(closing)
        else:
            _equal(closed.result(_PATIENCE), (True, 0), "what is under way after the end")
        _equal(handlers.called, step.get("called", []), "called")
        if "event" in step:
            event, request = handlers.event, _FILE["requests"][step["send"]]
            expected = {"id": event.id, **step["event"]}
            _equal({"id": event.id, "type": event.type}, expected, "event")
            _equal(event.body, request["body"].encode(), "body")


def _close(receiver, handlers, closing):
    # What follows is refused from the moment on that `close` is called, not a little later.
    receiver.close(timeout=0)
    closing.set()
    return receiver.close(_PATIENCE), handlers.running


def _check(answer, expected):
    status, headers, text = answer
    _equal(status, expected["status"], text)
    _equal(headers.get("retry-after"), expected.get("retryAfter"), "retry-after")
    if "error" in expected:
        _equal(text, expected["error"], "body")
    if status == 204:
        _equal(text, "", "body")
