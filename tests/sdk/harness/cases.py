"""Runs cases one after the other, tells what went wrong, and ends with the count."""

import sys
import time
import traceback

_CASES = []


def case(function):
    """Registers a function without arguments as one check of the suite."""
    _CASES.append(function)
    return function


def run():
    """Runs every case; its exit status says whether all passed. An argument names single cases."""
    wanted = sys.argv[1:]
    chosen = [c for c in _CASES if not wanted or c.__name__ in wanted]
    failed = 0
    for function in chosen:
        started = time.monotonic()
        try:
            function()
            verdict = "ok    "
        except Exception as error:  # the next case may still tell something
            tell(error)
            verdict = "FAILED"
            failed += 1
        print(f"{verdict} {function.__name__} ({time.monotonic() - started:.2f} s)", flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not chosen else 0)


def tell(error):
    """Where in the suites it went wrong, and what; not the depths of the SDK."""
    for frame in traceback.extract_tb(error.__traceback__):
        if "/tests/sdk/" in frame.filename:
            print(f"  {frame.filename}:{frame.lineno}: {frame.line}")
    print(f"  {type(error).__name__}: {error}")


def equal(got, expected):
    if got != expected:
        raise AssertionError(f"got {got!r}, expected {expected!r}")


def true(condition, why):
    if not condition:
        raise AssertionError(why)


def raises(kind, call, **attributes):
    """The exception of `call`, which must be a `kind` with these attributes."""
    try:
        result = call()
    except kind as error:
        for name, expected in attributes.items():
            equal((name, getattr(error, name)), (name, expected))
        return error
    raise AssertionError(f"no {kind.__name__}, but {result!r}")


def eventually(read, accept, within=15.0):
    """Asks the server until `accept(read())`: records follow a delivery, they do not precede it."""
    deadline = time.monotonic() + within
    while True:
        value = read()
        if accept(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s; last: {value!r}")
        time.sleep(0.02)
