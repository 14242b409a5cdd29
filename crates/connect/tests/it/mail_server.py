"""A mail server: mail_server.py PORT [starttls|implicit]. Runs in its own folder: `cert` and `key` are its
proof, and what it takes it writes to `mails`, a line of JSON each, on disk before it says so."""

import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

REFUSED = {
    "nobody": "550 5.1.1 no such mailbox",
    "full": "452 4.2.2 mailbox full",
    "later": "451 4.7.1 try again later",
    "spam": "554 5.7.1 not wanted",
}


class Mailbox:
    async def handle_RCPT(self, server, session, envelope, address, options):
        refused = REFUSED.get(address.split("@")[0])
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {"to": envelope.rcpt_tos, "content": envelope.content.decode()}
        mail["protected"] = session.ssl is not None or MODE == "implicit"
        with open("mails", "a") as mails:
            print(json.dumps(mail), file=mails, flush=True)
            os.fsync(mails.fileno())
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, proof):
    known = LoginPassword(b"shop", b"made-up-password")
    return AuthResult(success=proof == known, handled=False)


PORT = int(sys.argv[1])
MODE = sys.argv[2] if len(sys.argv) > 2 else "none"
proof = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
proof.load_cert_chain("cert", "key")


def session():
    starttls = {"tls_context": proof, "require_starttls": True} if MODE == "starttls" else {}
    return SMTP(
        Mailbox(),
        hostname="localhost",
        data_size_limit=200_000,
        authenticator=authenticate,
        auth_require_tls=False,
        **starttls,
    )


async def serve():
    implicit = proof if MODE == "implicit" else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", PORT, ssl=implicit)
    await server.serve_forever()


asyncio.run(serve())
