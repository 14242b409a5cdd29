"""Receives with FastAPI: SECRET=whsec_… python examples/fastapi_app.py"""

import os
import socket
from contextlib import asynccontextmanager
from typing import AsyncIterator

import uvicorn
from fastapi import FastAPI

from ringback_client import Event, MemoryDedupe, Receiver, Reject, Retry
from ringback_client.fastapi import endpoint

receiver = Receiver(os.environ["SECRET"], dedupe=MemoryDedupe())


@receiver.on("invoice.paid")
async def paid(event: Event) -> None:
    invoice = event.json()["data"].get("invoice")
    if not invoice:
        raise Reject("an invoice without a number")
    print("paid", invoice, event.id, flush=True)


@receiver.on("invoice.*")
async def later(event: Event) -> None:
    raise Retry("the books are closed until the morning", after=3600)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await receiver.close_async()
    print("every handler has ended", flush=True)


app = FastAPI(lifespan=lifespan)
app.add_route("/hooks", endpoint(receiver), methods=["POST"])

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "8072"))))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}/hooks", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
