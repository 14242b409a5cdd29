"""Receives with Flask: SECRET=whsec_… python examples/flask_app.py"""

import os
import signal
import threading

from flask import Flask
from werkzeug.serving import make_server

from ringback_client import Event, MemoryDedupe, Receiver, Reject, Retry
from ringback_client.flask import view

receiver = Receiver(os.environ["SECRET"], dedupe=MemoryDedupe())


@receiver.on("invoice.paid")
def paid(event: Event) -> None:
    invoice = event.json()["data"].get("invoice")
    if not invoice:
        raise Reject("an invoice without a number")
    print("paid", invoice, event.id, flush=True)


@receiver.on("invoice.*")
def later(event: Event) -> None:
    raise Retry("the books are closed until the morning", after=3600)


app = Flask(__name__)
app.add_url_rule("/hooks", view_func=view(receiver), methods=["POST"])

if __name__ == "__main__":
    server = make_server("127.0.0.1", int(os.environ.get("PORT", "8072")), app, threaded=True)
    # `shutdown` waits for the loop that the signal interrupts.
    stop = threading.Thread(target=server.shutdown)
    signal.signal(signal.SIGTERM, lambda *_: stop.start())
    print(f"listening on http://127.0.0.1:{server.port}/hooks", flush=True)
    server.serve_forever()
    receiver.close()
    print("every handler has ended", flush=True)
