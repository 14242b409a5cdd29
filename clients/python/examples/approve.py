"""Asks for an approval and waits for it: RINGBACK_URL=… RINGBACK_TOKEN=… python examples/approve.py"""

import asyncio
import os
from typing import TypedDict

from ringback_client import Callback, CallbackEvent, ExpiredError, FailedError, Gateway


class Approval(TypedDict):
    approved: bool


SCHEMA = {
    "type": "object",
    "required": ["approved"],
    "properties": {"approved": {"type": "boolean"}},
}


async def main() -> None:
    gateway = Gateway(os.environ["RINGBACK_URL"], os.environ["RINGBACK_TOKEN"])
    callback: Callback[Approval] = await gateway.callback("acme", expires_in=3600, schema=SCHEMA)

    @callback.on("progress")
    async def progress(event: CallbackEvent) -> None:
        print("progress", event.value, flush=True)

    print("waiting at", callback.url, flush=True)
    try:
        approval = await callback.wait()
        await callback.followed()
        print("approved" if approval["approved"] else "not approved")
    except FailedError as error:
        print("failed", error.body)
    except ExpiredError:
        print("nobody has answered")


asyncio.run(main())
