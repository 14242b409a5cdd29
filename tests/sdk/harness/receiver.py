"""An HTTP receiver on loopback that answers as told and keeps what it got, byte for byte."""

import itertools
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Delivery:
    path: str
    headers: dict  # names in lower case
    body: bytes

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def timestamp(self):
        return int(self.headers["webhook-timestamp"])

    def signatures(self, version):
        """The signatures of one scheme (`v1`, `v1a`), as base64 text."""
        pairs = [s.split(",", 1) for s in self.headers["webhook-signature"].split(" ")]
        return [signature for name, signature in pairs if name == version]


class Receiver:
    """Each `place()` is a path of its own, so that cases do not see each other's deliveries."""

    def __init__(self):
        self._arrived = threading.Condition()
        self._deliveries = {}
        self._answers = {}
        self._numbers = itertools.count(1)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("content-length", "0"))
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, answer = receiver._take(Delivery(self.path, headers, body))
                self.send_response(status)
                self.send_header("content-type", "text/plain")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def place(self, *statuses):
        """A new place that answers with `statuses` in turn, and with 200 from then on."""
        path = f"/place/{next(self._numbers)}"
        self._answers[path] = list(statuses)
        self._deliveries[path] = []
        return Place(self, path)

    @property
    def address(self):
        host, port = self._server.server_address
        return f"http://{host}:{port}"

    def _take(self, delivery):
        with self._arrived:
            waiting = self._answers.get(delivery.path, [])
            status = waiting.pop(0) if waiting else 200
            self._deliveries.setdefault(delivery.path, []).append(delivery)
            self._arrived.notify_all()
        return status, f"answer of {delivery.path}".encode()


class Place:
    def __init__(self, receiver, path):
        self._receiver = receiver
        self.path = path
        self.url = receiver.address + path

    @property
    def deliveries(self):
        with self._receiver._arrived:
            return list(self._receiver._deliveries[self.path])

    def wait(self, count=1, within=15.0):
        """The first `count` deliveries, as soon as they are there."""
        deadline = time.monotonic() + within
        with self._receiver._arrived:
            while len(self._receiver._deliveries[self.path]) < count:
                left = deadline - time.monotonic()
                if left <= 0 or not self._receiver._arrived.wait(left):
                    got = len(self._receiver._deliveries[self.path])
                    raise AssertionError(f"{got} deliveries at {self.path}, expected {count}")
            return self._receiver._deliveries[self.path][:count]
