"""Plays the scenarios of callbacks that all clients share (clients/callbacks.json): against a real
server, and against a script of what a server says."""

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import ringback_client as client

_FILE = json.loads((Path(__file__).resolve().parents[2] / "callbacks.json").read_text())
LIVE, SCRIPTED = _FILE["live"], _FILE["scripted"]

_ERRORS = {
    "expired": client.ExpiredError,
    "canceled": client.CanceledError,
    "failed": client.FailedError,
    "conflict": client.ConflictError,
    "refused": client.RefusedError,
    "unavailable": client.UnavailableError,
}
_TOKEN = "client-suites-made-up-token"
#: How long anything may take before a test fails instead of waiting on.
_PATIENCE = 60


class Server:
    """The built server on a fresh directory, which can be killed and started again where it was."""

    token = _TOKEN

    def __init__(self):
        self._data = tempfile.mkdtemp(prefix="ringback-client-")
        self._port = 0
        self._child = None

    def start(self):
        program = os.environ.get("RINGBACK_PROGRAM")
        _equal(bool(program), True, "RINGBACK_PROGRAM names the server's program")
        own = {name: text for name, text in os.environ.items() if not name.startswith("RINGBACK_")}
        environment = {
            **own,
            "RINGBACK_BOOTSTRAP_TOKEN": _TOKEN,
            "RINGBACK_DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
            "RINGBACK_DELIVERY_REQUIRE_HTTPS": "false",
            "RINGBACK_LOG_LEVEL": "error",
        }
        words = [program, "serve", "--listen", f"127.0.0.1:{self._port}", "--data", self._data]
        self._child = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
        self.url = self._child.stdout.readline().replace("listening on ", "").strip()
        self._port = urlsplit(self.url).port

    def kill(self):
        self._child.kill()
        self._child.communicate()

    def end(self):
        if self._child:
            self.kill()
        shutil.rmtree(self._data)

    def gateway(self):
        """A gateway to it, with an application; starts it for the first who asks."""
        if self._child is None:
            self.start()
            headers = {"authorization": f"Bearer {_TOKEN}", "content-type": "application/json"}
            body = json.dumps({"name": "Acme", "uid": "acme"})
            _equal(_post(f"{self.url}/api/v1/app", headers, body), 201, "a new application")
        return client.Gateway(self.url, _TOKEN)


def play_live(scenario, server):
    """Plays against a server."""

    async def play():
        playing = _Play(scenario, server.gateway(), server)
        await playing.act({"do": "create"})
        await playing.all()

    _run(play())


def play_scripted(scenario):
    """Plays against a server that says what the script says, in that order."""
    script, keys, wrong = list(scenario["script"]), [], []

    class Scripted(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def say(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            turn = script.pop(0) if script else {}
            try:
                _equal(f"{self.command} {self.path}", turn.get("ask"), "what is asked")
                for name, text in turn.get("headers", {}).items():
                    _equal(self.headers[name], text, name)
                keys.append(self.headers["idempotency-key"])
                if turn.get("again"):
                    _equal(keys[-1], keys[-2], "the key of what is repeated")
                if "json" in turn:
                    _equal(json.loads(body), turn["json"], "body")
            except AssertionError as error:
                wrong.append(error)
            self.close_connection = True
            answer = turn.get("answer")
            if answer is None:
                return
            said = json.dumps(answer["json"]) if "json" in answer else answer.get("text", "")
            self.send_response(answer["status"])
            for name, text in answer.get("headers", {}).items():
                self.send_header(name, text)
            self.send_header("content-length", str(len(said.encode())))
            self.end_headers()
            self.wfile.write(said.encode())

        do_GET = do_POST = say

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        patience = scenario.get("patience", 60)
        url = f"http://127.0.0.1:{server.server_port}/"
        gateway = client.Gateway(url, "made-up", patience=patience)

        async def play():
            await _Play(scenario, gateway).all()

        _run(play())
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    for error in wrong:
        raise error
    _equal(script, [], "what was not asked for")


def _run(play):
    asyncio.run(asyncio.wait_for(play, _PATIENCE))


class _Play:
    def __init__(self, scenario, gateway, server=None):
        self._scenario = scenario
        self._gateway = gateway
        self._server = server
        self._callback = gateway.attach("cb_1")
        self._key = str(uuid.uuid4())
        self._waiting = {}
        self._heard = []
        self._hears = asyncio.Condition()

    async def all(self):
        for step in self._scenario["steps"]:
            await self._step(step)

    async def _step(self, step):
        if "do" in step:
            await self.act(step)
        elif "post" in step:
            kind, body = _content(step)
            headers = {"content-type": kind} if kind else {}
            url = self._callback.url + step["post"]
            _equal(await asyncio.to_thread(_post, url, headers, body), step["status"], url)
        elif "wait" in step:
            await _check(self._callback.wait(), step["wait"])
        elif "begin" in step:
            waits = [asyncio.ensure_future(self._callback.wait()) for _ in range(step["times"])]
            # Each has asked, or is about to.
            await asyncio.sleep(0)
            self._waiting[step["begin"]] = waits
        elif "finish" in step:
            for one in self._waiting[step["finish"]]:
                await _check(one, step["ends"])
        elif "drop" in step:
            for one in self._waiting[step["drop"]]:
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await one
                _equal(one.cancelled(), True, "cancelled")
        elif "on" in step:
            for kind in step["on"]:
                self._callback.on(kind, self._hear)
        elif "heard" in step:
            async with self._hears:
                await self._hears.wait_for(lambda: len(self._heard) >= step["heard"])
        elif "called" in step:
            await self._callback.followed()
            _equal(self._heard, step["called"], "called")
        elif "call" in step:
            server = self._server.url if self._server else ""
            request = {**step["call"], "url": step["call"]["url"].replace("http://server", server)}
            call = self._gateway.call("acme", request, callback=step["callback"])
            await _check(call, step["ends"])
        else:
            # Not on the loop: those who wait go on asking meanwhile.
            await asyncio.to_thread(getattr(self._server, step["server"]))

    async def _hear(self, event):
        async with self._hears:
            self._heard.append([event.type, event.value])
            self._hears.notify_all()

    async def act(self, step):
        act = getattr(self, f"_{step['do']}", None) or self._plainly
        if "error" not in step:
            return await act(step)
        try:
            await act(step)
        except _ERRORS[step["error"]]:
            return
        raise AssertionError(f"no {step['error']}")

    async def _create(self, _):
        names = {"expiresIn": "expires_in", "mode": "mode", "maxItems": "max_items"}
        wanted = {names[name]: given for name, given in self._scenario.get("create", {}).items()}
        made = await self._gateway.callback("acme", idempotency_key=self._key, **wanted)
        before = self._callback
        if before.url:
            _equal((made.id, made.url), (before.id, before.url), "the same callback")
        self._callback = made

    async def _attach(self, _):
        self._callback = self._gateway.attach(self._callback.id)

    async def _rotate(self, _):
        before, self._callback = self._callback, await self._callback.rotate()
        _equal(before.url != self._callback.url, True, "another URL")
        _equal(await asyncio.to_thread(_post, before.url, {}, ""), 404, "the former URL")

    async def _extend(self, step):
        await self._callback.extend(expires_in=step["seconds"])

    async def _complete(self, step):
        await self._callback.complete(step["json"], content_type="application/json")

    async def _item(self, step):
        await self._callback.item(step["json"])

    async def _fail(self, step):
        # A string would be sent as text.
        body = json.dumps(step["json"])
        await self._callback.fail(body, content_type="application/json")

    async def _plainly(self, step):
        await getattr(self._callback, step["do"])()


def _post(url, headers, body):
    """Posts as the other side does; the status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_PATIENCE)
    try:
        connection.request("POST", parts.path, body.encode(), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _content(step):
    """A body that a step sends."""
    if "json" in step:
        return "application/json", json.dumps(step["json"])
    if "text" in step:
        return "text/plain", step["text"]
    if "form" in step:
        return "application/x-www-form-urlencoded", step["form"]
    return ("application/json", json.dumps("x" * step["large"])) if "large" in step else ("", "")


async def _check(wait, expected):
    """Whether a wait ended as it should."""
    if "error" not in expected:
        answer = "x" * expected["large"] if "large" in expected else expected["answer"]
        return _equal(await wait, answer, "answer")
    try:
        await wait
    except _ERRORS[expected["error"]] as error:
        if "body" in expected:
            _equal(error.body, expected["body"], "what was said")
        return
    raise AssertionError(f"no {expected['error']}")


def _equal(got, expected, what):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, expected {expected!r}")
