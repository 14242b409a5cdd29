"""Large payloads in a bucket: moto serves it, and botocore, Amazon's own client, checks what is signed.

moto checks the signature of every request but those that a URL signs; those are signed once more by
botocore here. Run by `cargo xtask test --only payloads`; the suite starts the server itself.
"""

import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import boto3
import requests
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer

from harness.cases import case, equal, run, true
from harness.receiver import Receiver

PROGRAM = os.environ["RINGBACK_PROGRAM"]
TOKEN = "payloads-suite-made-up-token"
REGION = "eu-central-1"
BUCKET, PREFIX = "made-up-bucket", "kept/here"

# What it writes of every request.
logging.getLogger("werkzeug").setLevel(logging.ERROR)
bucket_server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
bucket_server.start()
ENDPOINT = "http://{}:{}".format(*bucket_server.get_host_and_port())


def client(service):
    """Amazon's client, with credentials that nobody checks yet."""
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
    )


def checked(is_checked):
    """Has moto check signatures from now on, or not."""
    count = "0" if is_checked else "inf"
    requests.post(f"{ENDPOINT}/moto-api/reset-auth", data=count, timeout=10).raise_for_status()


s3, iam = client("s3"), client("iam")
s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
iam.create_user(UserName="ringback")
everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
iam.put_user_policy(
    UserName="ringback",
    PolicyName="payloads",
    PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
)
KEY = iam.create_access_key(UserName="ringback")["AccessKey"]

receiver = Receiver()


class Server:
    """A server that keeps payloads in the bucket; it ends with the `with`."""

    def __init__(self, secret=KEY["SecretAccessKey"]):
        self.place = tempfile.TemporaryDirectory()
        inherited = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "HOME"))}
        self.child = subprocess.Popen(
            [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data", f"{self.place.name}/data"],
            env={
                **inherited,
                "RINGBACK_BOOTSTRAP_TOKEN": TOKEN,
                "RINGBACK_DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
                "RINGBACK_DELIVERY_REQUIRE_HTTPS": "false",
                "RINGBACK_LOG_LEVEL": "error",
                "RINGBACK_DELIVERY_RETRY_SCHEDULE": "1,600",
                "RINGBACK_PAYLOADS_STORE": f"s3://{BUCKET}/{PREFIX}?endpoint={ENDPOINT}&region={REGION}",
                "AWS_ACCESS_KEY_ID": KEY["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": secret,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self.child.stdout.readline().strip().removeprefix("listening on ")
        true(self.url, "the server did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        equal(self.child.wait(30), 0)
        self.place.cleanup()

    def ask(self, method, path, body=None):
        """What the API answers; it has to succeed."""
        headers = {"authorization": f"Bearer {TOKEN}"}
        answer = requests.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=30)
        true(answer.ok, f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def send(self, place, payload):
        """A message to an endpoint at this place that wants large payloads to be kept."""
        app = self.ask("POST", "/app", {"name": "payloads"})["id"]
        endpoint = {"url": place, "delivery": {"largeOver": 1_000}}
        self.ask("POST", f"/app/{app}/endpoint", endpoint)
        return app, self.ask("POST", f"/app/{app}/msg", {"eventType": "big.one", "payload": payload})["id"]


def objects():
    """The names of everything in the bucket."""
    checked(False)
    return sorted(one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))


def eventually(look, what):
    """Looks until it is so; the bucket gives no signal."""
    deadline = time.monotonic() + 30
    while not look():
        true(time.monotonic() < deadline, what)
        time.sleep(0.05)


@case
def a_payload_is_fetched_from_the_bucket_and_retries_share_it():
    checked(True)
    payload = {"text": "é0123456789" * 500}
    with Server() as server:
        place = receiver.place(500)
        server.send(place.url, payload)
        claims = [json.loads(delivery.body) for delivery in place.wait(2)]
    names = objects()
    for claim in claims:
        url = urlsplit(claim["payloadUrl"])
        checked(False)
        answer = requests.get(claim["payloadUrl"], timeout=10)
        equal(answer.status_code, 200)
        equal(json.loads(answer.content), payload)
        equal(hashlib.sha256(answer.content).hexdigest(), claim["payloadSha256"])
        equal(len(answer.content), claim["payloadSize"])
        true(url.path.removeprefix(f"/{BUCKET}/") in names, names)

        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        equal(query["X-Amz-Expires"], "900")
        request = AWSRequest("GET", f"{url.scheme}://{url.netloc}{url.path}")
        request.context["timestamp"] = query["X-Amz-Date"]
        credentials = Credentials(KEY["AccessKeyId"], KEY["SecretAccessKey"])
        equal(signature(credentials, request, query["X-Amz-Date"]), query["X-Amz-Signature"])
    equal(claims[0]["payloadSha256"], claims[1]["payloadSha256"])
    # Two if the hour ended between them.
    true(len(names) <= len({claim["payloadUrl"].split("?")[0] for claim in claims}), names)
    true(all(name.startswith(f"{PREFIX}/") for name in names), names)


def signature(credentials, request, date):
    """What botocore signs such a URL with at that time."""
    auth = S3SigV4QueryAuth(credentials, "s3", REGION, expires=900)
    auth._modify_request_before_signing(request)
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


@case
def what_nobody_can_fetch_is_deleted_and_what_is_not_ours_stays():
    checked(False)
    old = [f"{PREFIX}/2020-01-01T00/msg_{number}-00" for number in range(3)]
    others = [f"{PREFIX}/readme/a", "elsewhere/2020-01-01T00/a"]
    for name in old + others:
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"kept")
    checked(True)
    with Server():
        eventually(lambda: not set(old) & set(objects()), "what is over is still there")
    true(set(others) <= set(objects()), "what is not ours was deleted")


@case
def a_bucket_that_refuses_is_not_the_endpoints_failure():
    checked(True)
    with Server(secret="another-made-up-secret") as server:
        place = receiver.place()
        app, message = server.send(place.url, {"text": "0123456789" * 500})

        def attempts():
            return server.ask("GET", f"/app/{app}/attempt/msg/{message}")["data"]

        eventually(attempts, "there was no attempt")
        attempt = attempts()[-1]
        equal((attempt["failedPhase"], attempt["reason"]), ("prepare", "payload_store_unavailable"))
        # Where payloads are kept is not for tenants to know.
        for secret in ("another-made-up-secret", ENDPOINT, BUCKET, KEY["AccessKeyId"]):
            true(secret not in json.dumps(attempt), f"{secret} is told: {attempt}")
        equal(place.deliveries, [])


run()
