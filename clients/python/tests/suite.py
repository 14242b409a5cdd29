"""The shared scenarios over each way in, and the examples as they stand.

Run by `cargo xtask test --only client-python`.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import logging
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvicorn
import werkzeug.serving
from fastapi import FastAPI
from flask import Flask

from ringback_client import Claim, MemoryDedupe, Receiver, VerificationError, asgi, ed25519, wsgi
from ringback_client.fastapi import endpoint
from ringback_client.flask import view
from callbacks import LIVE, SCRIPTED, Server, play_live, play_scripted
from scenarios import SCENARIOS, play

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CASES = []


def case(function):
    CASES.append((function.__name__.replace("_", " "), function))
    return function


# --- ways in


def over(url):
    """A way to send over HTTP."""
    parts = urlsplit(url)

    def send(request):
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        try:
            body = request["body"].encode()
            connection.request(request.get("method", "POST"), parts.path, body, request["headers"])
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return response.status, headers, response.read().decode()
        finally:
            connection.close()

    return send


def told(answer):
    return answer.status, answer.headers, answer.body.decode()


def parts_of(request):
    return request.get("method", "POST"), request["headers"], request["body"].encode()


@contextlib.contextmanager
def handle(receiver):
    yield lambda request: told(receiver.handle(*parts_of(request)))
    receiver.close()


@contextlib.contextmanager
def handle_async(receiver):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def send(request):
        answer = receiver.handle_async(*parts_of(request))
        return told(asyncio.run_coroutine_threadsafe(answer, loop).result(20))

    yield send
    asyncio.run_coroutine_threadsafe(receiver.close_async(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@contextlib.contextmanager
def served(server, port):
    """A server of `socketserver` in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield over(f"http://127.0.0.1:{port}/hooks")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class SilentWerkzeug(werkzeug.serving.WSGIRequestHandler):
    def log(self, *_):
        pass


@contextlib.contextmanager
def over_wsgi(receiver):
    application = wsgi.application(receiver)
    server = make_server("127.0.0.1", 0, application, Threaded, Silent)
    with served(server, server.server_port) as send:
        yield send
        receiver.close()


@contextlib.contextmanager
def over_flask(receiver):
    app = Flask("hooks")
    # A route for every method, so that it is the receiver that answers them.
    app.add_url_rule("/hooks", view_func=view(receiver), methods=["GET", "POST"])
    server = werkzeug.serving.make_server(
        "127.0.0.1", 0, app, threaded=True, request_handler=SilentWerkzeug
    )
    with served(server, server.port) as send:
        yield send
        receiver.close()


@contextlib.contextmanager
def over_uvicorn(app, lifespan):
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", lifespan=lifespan)
    server = uvicorn.Server(config)
    # It would take the signals of this process for its own.
    server.capture_signals = contextlib.nullcontext
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield over(f"http://127.0.0.1:{listener.getsockname()[1]}/hooks")
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def over_asgi(receiver):
    return over_uvicorn(asgi.application(receiver), "on")


@contextlib.contextmanager
def over_fastapi(receiver):
    app = FastAPI()
    app.add_route("/hooks", endpoint(receiver), methods=["GET", "POST"])
    with over_uvicorn(app, "off") as send:
        yield send
        receiver.close()


WAYS = [
    ("functions, called", handle, False),
    ("coroutines, called", handle, True),
    ("functions, awaited", handle_async, False),
    ("coroutines, awaited", handle_async, True),
    ("wsgi", over_wsgi, False),
    ("asgi", over_asgi, True),
    ("flask", over_flask, False),
    ("fastapi", over_fastapi, True),
]

for way, connect, coroutine in WAYS:
    for scenario in SCENARIOS:
        run = lambda s=scenario, w=connect, c=coroutine: play(s, w, c)  # noqa: E731
        CASES.append((f"{way}: {scenario['name']}", run))


# --- callbacks

SERVER = Server()

for scenario in SCRIPTED:
    run = lambda s=scenario: play_scripted(s)  # noqa: E731
    CASES.append((f"callbacks: {scenario['name']}", run))

for scenario in LIVE:
    run = lambda s=scenario: play_live(s, SERVER)  # noqa: E731
    CASES.append((f"callbacks, gateway: {scenario['name']}", run))


# --- what only this library has


def equal(got, expected):
    if got != expected:
        raise AssertionError(f"got {got!r}, expected {expected!r}")


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def signed(identity, payload):
    body = json.dumps(payload)
    timestamp = str(int(time.time()))
    key = base64.b64decode(SECRET[len("whsec_") :])
    mac = hmac.new(key, f"{identity}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    headers = {
        "content-type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }
    return {"headers": headers, "body": body}


@case
def keys_that_cannot_be_right_are_refused_and_not_repeated():
    for keys in ("", [], "whsec_c2hvcnQ=", "whsec_%%%", "whpk_c2hvcnQ=", "whsk_c2hvcnQ="):
        error = raises(ValueError, lambda keys=keys: Receiver(keys))
        equal("c2hvcnQ" in str(error), False)
    off_the_curve = "whpk_" + base64.b64encode(bytes([2]) + bytes(31)).decode()
    raises(ValueError, lambda: Receiver(off_the_curve))


@case
def types_that_cannot_be_right_are_refused():
    receiver = Receiver(SECRET).on("invoice.paid", print)
    for kind in ("", "*.paid", "inv*", "a.*.*", "**", "invoice.paid"):
        raises(ValueError, lambda kind=kind: receiver.on(kind, print))


@case
def what_goes_wrong_is_told_with_its_event():
    told = []

    def handler(event):
        raise ArithmeticError("a mistake of the handler")

    def on_error(error, event):
        told.append((type(error), event and event.id))
        raise OSError("the log is full")

    receiver = Receiver(SECRET, on_error=on_error).on("*", handler)
    request = signed("msg_1", {"type": "a"})
    body = request["body"].encode()
    equal(receiver.handle("POST", request["headers"], body).status, 500)
    equal(receiver.handle("POST", request["headers"], body + b" ").status, 401)
    equal(told, [(ArithmeticError, "msg_1"), (VerificationError, None)])


@case
def a_handler_cannot_end_the_receiver():
    def leave(event):
        raise SystemExit

    async def cancelled(event):
        raise asyncio.CancelledError

    receiver = Receiver(SECRET, on_error=lambda *_: None).on("a", leave).on("b", cancelled).on("c", str)
    for kind, status in (("a", 500), ("b", 500), ("c", 204)):
        equal(receiver.handle(*parts_of(signed("msg_1", {"type": kind}))).status, status)


@case
def the_memory_forgets_the_oldest():
    memory = MemoryDedupe(limit=2)
    for identity in "abc":
        equal(memory.begin(identity), Claim.NEW)
        memory.done(identity)
    equal([memory.begin(one) for one in "abc"], [Claim.NEW, Claim.DONE, Claim.DONE])


@case
def ed25519_has_the_known_answers_of_rfc_8032():
    # Section 7.1, tests 1 to 3.
    known = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
            "1cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
            "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
            "984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ]
    for key, message, signature in known:
        key, message, signature = map(bytes.fromhex, (key, message, signature))
        equal(ed25519.verify(key, message, signature), True)
        for bit in range(0, 512, 37):
            flipped = bytearray(signature)
            flipped[bit // 8] ^= 1 << bit % 8
            equal(ed25519.verify(key, message, bytes(flipped)), False)
        equal(ed25519.verify(key, message + b"x", signature), False)


def example(name):
    folder = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-B", str(folder / "examples" / name)]
    environment = {**os.environ, "SECRET": SECRET, "PORT": "0", "PYTHONPATH": str(folder)}
    child = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        send = over(child.stdout.readline().replace("listening on ", "").strip())
        paid = signed("msg_1", {"type": "invoice.paid", "data": {"invoice": "inv_1001"}})
        equal(send(paid)[0], 204)
        equal(child.stdout.readline(), "paid inv_1001 msg_1\n")
        equal(send(paid)[0], 204)
        equal(send({**paid, "body": paid["body"] + " "})[0], 401)
        status, _, text = send(signed("msg_2", {"type": "invoice.paid", "data": {}}))
        equal((status, text), (422, "an invoice without a number"))
        status, headers, _ = send(signed("msg_3", {"type": "invoice.voided"}))
        equal((status, headers["retry-after"]), (503, "3600"))
        equal(send(signed("msg_4", {"type": "user.created"}))[0], 204)
    finally:
        child.send_signal(signal.SIGTERM)
        rest, _ = child.communicate(timeout=30)
    equal(rest, "every handler has ended\n")
    # Uvicorn ends orderly, and then by the signal.
    equal(child.returncode in (0, -signal.SIGTERM), True)


@case
def examples_approve():
    SERVER.gateway()
    folder = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-B", str(folder / "examples" / "approve.py")]
    reach = {"RINGBACK_URL": SERVER.url, "RINGBACK_TOKEN": SERVER.token, "PYTHONPATH": str(folder)}
    for path, body, told in [
        ("", {"approved": True}, "approved\n"),
        ("", {"approved": False}, "not approved\n"),
        ("/fail", "on holiday", "failed on holiday\n"),
    ]:
        environment = {**os.environ, **reach}
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        url = child.stdout.readline().replace("waiting at ", "").strip()

        def sent(path, body, url=url):
            headers = {"content-type": "application/json"}
            return over(url + path)({"headers": headers, "body": json.dumps(body)})[0]

        equal(sent("/progress", 50), 200)
        equal(child.stdout.readline(), "progress 50\n")
        equal(sent("", {"approved": "perhaps"}), 422)
        equal(sent(path, body), 200)
        equal(child.communicate(timeout=30)[0], told)
        equal(child.returncode, 0)


for script in ("flask_app.py", "fastapi_app.py"):
    CASES.append((f"examples/{script}", lambda script=script: example(script)))


# --- run


def main(wanted):
    logging.disable()
    chosen = [(name, run) for name, run in CASES if all(word in name for word in wanted)]
    failed = 0
    for name, run in chosen:
        try:
            run()
            print("ok    ", name, flush=True)
        except Exception:  # the next case may still tell something
            failed += 1
            print("FAILED", name)
            traceback.print_exc()
    SERVER.end()
    print(f"{len(chosen) - failed} passed, {failed} failed", flush=True)
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
