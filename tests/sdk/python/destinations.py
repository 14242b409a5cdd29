"""The destination operations of the SDK, for the kinds that it and Ringback both know."""

import json
import typing
from datetime import datetime, timedelta, timezone

import httpx
from svix.api import (
    DestinationCreateOptions,
    DestinationIn,
    DestinationListOptions,
    DestinationPatch,
    MessageIn,
    MessagePollerConsumerPollOptions,
    MessagePollerPollOptions,
)
from svix.exceptions import HTTPValidationError, HttpError
from svix.models import (
    DestinationOut,
    DestinationStatus,
    DestinationStatusIn,
    DestinationTransformIn,
    EndpointSecretRotateIn,
    Ordering,
    PollingEndpointConsumerSeekIn,
)

from harness.cases import case, equal, raises, true
from server import TOKEN, URL, answered, api, application, endpoint, ids, names, receiver, send

destinations = api.destination
poller = api.message.poller

SECRET = "made-up-secret-of-a-destination"

# What a destination of each kind is given, without what it is reached at; and a change of it. What
# holds SECRET is never shown again.
KINDS = {
    "sqs": (
        {
            "queueUrl": "https://sqs.eu-central-1.amazonaws.com/1/orders.fifo",
            "accessKeyId": "AKIDEXAMPLE",
            "secretAccessKey": SECRET,
        },
        {"region": "eu-west-1"},
    ),
    "rabbitMq": (
        {"uri": f"amqp://shop:{SECRET}@127.0.0.1:5672/%2F", "routingKey": "orders"},
        {"mandatory": False},
    ),
    "postgres": (
        {"url": "postgres://shop@127.0.0.1/shop", "password": SECRET, "tableName": "app.orders"},
        {"tableName": "app.payments"},
    ),
}

KNOWN = [
    name
    for kind in typing.get_args(DestinationIn.model_fields["type"].annotation)
    for name in typing.get_args(kind)
]


def wanted(kind, config=None, **fields):
    return DestinationIn(type=kind, config=config or KINDS[kind][0], **fields)


def raw(method, path, body=None):
    """What the SDK does not let one say."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    return httpx.request(method, f"{URL}/api/v1{path}", headers=headers, json=body, timeout=15)


def shown(destination):
    """The settings that the SDK reads from an answer, by the names that the API gives them."""
    return destination.config.model_dump(exclude_none=True, by_alias=True)


def in_secret(destination):
    """The same destination, of which nobody was told the secret."""
    true(SECRET not in destination.model_dump_json(), "a secret is shown")
    return destination


@case
def destinations_of_every_kind_that_the_sdk_knows_are_kept():
    for kind, (config, change) in KINDS.items():
        app, uid = application(), next(names)
        made = in_secret(
            destinations.create(
                app,
                wanted(
                    kind,
                    uid=uid,
                    event_types=["order.paid"],
                    channels=["shop"],
                    metadata={"team": "x"},
                    batch_size=1,
                    max_wait_secs=0,
                ),
            )
        )
        equal((answered[-1][2], made.type, made.uid), (201, kind, uid))
        equal((made.event_types, made.channels), (["order.paid"], ["shop"]))
        equal(made.metadata, {"team": "x"})
        equal((made.batch_size, made.max_wait_secs, made.current_iterator), (1, 0, ""))
        equal((made.status, made.failure_reason), (DestinationStatus.ENABLED, None))
        open_settings = {name: value for name, value in config.items() if SECRET not in value}
        equal({name: shown(made).get(name) for name in open_settings}, open_settings)
        equal((destinations.get(app, uid), destinations.get(app, made.id)), (made, made))

        # What was shown, sent back, changes nothing, and the secret stays.
        given = made.model_dump(include={"type", "uid", "event_types", "channels", "metadata"})
        put = DestinationIn(config=shown(made), **given)
        replaced = in_secret(destinations.upsert(app, uid, put))
        equal(replaced, made.model_copy(update={"updated_at": replaced.updated_at}))
        # What is not said again is gone.
        bare = destinations.upsert(app, uid, wanted(kind, uid=uid))
        equal((bare.id, bare.event_types, bare.channels, bare.metadata), (made.id, None, None, {}))

        patch = DestinationPatch(type=kind, config=change, status=DestinationStatusIn.DISABLED)
        patched = in_secret(destinations.patch(app, uid, patch))
        equal((patched.id, patched.status), (made.id, DestinationStatus.DISABLED))
        equal(shown(patched), shown(bare) | change)
        equal(destinations.delete(app, uid), None)
        raises(HttpError, lambda: destinations.get(app, uid), status_code=404, code="not_found")
        new = in_secret(destinations.upsert(app, uid, wanted(kind, uid=uid)))
        equal((answered[-1][2], new.uid, new.id != made.id), (201, uid, True))


@case
def destinations_are_listed_apart_from_endpoints():
    app = application()
    made = [destinations.create(app, wanted(kind)).id for kind in [*KINDS] * 3]
    hook = endpoint(app, receiver.place()).id
    equal(ids(destinations.list(app)), made[::-1])
    equal(ids(api.endpoint.list(app)), [hook])
    first = destinations.list(app, DestinationListOptions(limit=2, order=Ordering.ASCENDING))
    equal((ids(first), first.done), (made[:2], False))
    options = DestinationListOptions(order=Ordering.ASCENDING, iterator=first.iterator)
    rest = destinations.list(app, options)
    equal((ids(rest), rest.done), (made[2:], True))
    raises(HttpError, lambda: destinations.get(app, hook), status_code=404, code="not_found")
    raises(HttpError, lambda: destinations.get(application(), made[0]), status_code=404)


@case
def a_destination_is_made_once():
    app, key = application(), DestinationCreateOptions(idempotency_key="chosen-key-3")
    made = destinations.create(app, wanted("sqs"), key)
    equal(destinations.create(app, wanted("sqs"), key), made)
    equal(ids(destinations.list(app)), [made.id])
    uid = next(names)
    destinations.create(app, wanted("sqs", uid=uid))
    again = lambda: destinations.create(app, wanted("sqs", uid=uid))
    raises(HttpError, again, status_code=409, code="conflict")


@case
def a_message_reaches_a_destination():
    """As the queue gets it; that the queue would take it is shown with the vendor's library."""
    app, place = application(), receiver.place()
    config = KINDS["sqs"][0] | {"endpointUrl": place.url}
    destinations.create(app, wanted("sqs", config, event_types=["order.paid"]))
    message = send(app, payload={"n": 7})
    [delivery] = place.wait()
    equal(delivery.headers["x-amz-target"], "AmazonSQS.SendMessage")
    sent = json.loads(delivery.body)
    equal((sent["QueueUrl"], sent["MessageBody"]), (config["queueUrl"], '{"n":7}'))
    equal((sent["MessageGroupId"], sent["MessageDeduplicationId"]), ("order.paid", message.id))
    true(SECRET.encode() not in delivery.body, "the secret was sent")


@case
def wrong_configurations_are_named():
    app = application()
    whole = KINDS["sqs"][0]

    def refused(config, *where):
        error = raises(
            HTTPValidationError,
            lambda: destinations.create(app, wanted("sqs", config)),
            status_code=422,
        )
        [problem] = error.detail
        equal(problem.loc, ["body", *where])
        true(problem.msg and problem.type and SECRET not in problem.msg, problem)

    refused(whole | {"queueUrl": "orders"}, "config", "queueUrl")
    refused(whole | {"region": "Frankfurt!"}, "config", "region")
    # Roles are not taken here, and nobody is told that they are.
    refused(whole | {"roleArn": "arn:aws:iam::1:role/made-up"}, "config", "roleArn")
    without = {name: value for name, value in whole.items() if name != "secretAccessKey"}
    refused(without, "config", "secretAccessKey")
    for fields, where in (({"batch_size": 10}, "batchSize"), ({"max_wait_secs": 5}, "maxWaitSecs")):
        ask = lambda: destinations.create(app, wanted("sqs", **fields))
        equal(raises(HTTPValidationError, ask).detail[0].loc, ["body", where])
    equal(destinations.list(app).data, [])


@case
def kinds_that_are_not_here_are_named():
    app = application()
    true("snowflake" in KNOWN and set(KINDS) <= set(KNOWN), KNOWN)
    snowflake = {"accountIdentifier": "a-b", "userId": "ada", "privateKey": SECRET}
    ask = lambda: destinations.create(app, wanted("snowflake", snowflake))
    [problem] = raises(HTTPValidationError, ask, status_code=422).detail
    equal(problem.loc, ["body", "type"])
    true("no such kind" in problem.msg, problem)
    # Of the kinds that the SDK knows, none is taken that these cases do not look at.
    # A polling endpoint needs no configuration.
    for kind in set(KNOWN) - {"pollingEndpoint"}:
        answer = raw("POST", f"/app/{app}/destination", {"type": kind, "config": {}})
        places = {tuple(one["loc"][:2]) for one in answer.json()["detail"]}
        expect = {("body", "config" if kind in KINDS else "type")}
        equal((kind, answer.status_code, places), (kind, 422, expect))


@case
def a_polling_endpoint_is_read():
    app = application()
    wanted = DestinationIn(type="pollingEndpoint", config={}, event_types=["order.paid"])
    sink = destinations.create(app, wanted).id
    empty = poller.poll(app, sink)
    equal((empty.data, empty.done), ([], True))
    sent = [send(app, payload={"n": n}).id for n in range(5)]
    api.message.create(app, MessageIn(event_type="order.lost", payload={}))

    first = poller.poll(app, sink, MessagePollerPollOptions(limit=3))
    equal(([one.id for one in first.data], first.done), (sent[:3], False))
    equal([(one.event_type, one.payload) for one in first.data][1], ("order.paid", {"n": 1}))
    rest = poller.poll(app, sink, MessagePollerPollOptions(iterator=first.iterator))
    equal(([one.id for one in rest.data], rest.done), (sent[3:], True))
    other = poller.poll(app, sink, MessagePollerPollOptions(event_type="order.lost"))
    equal(other.data, [])


@case
def a_consumer_of_a_polling_endpoint_keeps_its_place():
    app = application()
    sink = destinations.create(app, DestinationIn(type="pollingEndpoint", config={})).id
    sent = [send(app, payload={"n": n}).id for n in range(4)]
    start = datetime.now(timezone.utc) - timedelta(minutes=5)

    def read(consumer, **options):
        options = MessagePollerConsumerPollOptions(**options)
        page = poller.consumer_poll(app, sink, consumer, options)
        return [one.id for one in page.data], page.iterator

    # What is read is acknowledged by the iterator with which the consumer goes on.
    page, iterator = read("billing", limit=2)
    equal((page, read("billing", limit=2)[0]), (sent[:2], sent[:2]))
    equal(read("billing", iterator=iterator)[0], sent[2:])
    equal(read("search", limit=1)[0], sent[:1])
    seek = PollingEndpointConsumerSeekIn(after=start)
    true(poller.consumer_seek(app, sink, "billing", seek).iterator, "no iterator")
    equal(read("billing")[0], sent)
    late = PollingEndpointConsumerSeekIn(after=datetime.now(timezone.utc) + timedelta(minutes=5))
    poller.consumer_seek(app, sink, "billing", late)
    equal(read("billing")[0], [])


@case
def kinds_that_the_sdk_does_not_know_have_the_same_shape():
    app, place = application(), receiver.place()
    slack = {"type": "slack", "config": {"url": place.url, "fields": {"text": "{{ body.n }}"}}}
    raises(ValueError, lambda: DestinationIn(**slack))
    answer = raw("POST", f"/app/{app}/destination", slack)
    made = answer.json()
    equal((answer.status_code, made["type"], "url" in made["config"]), (201, "slack", False))
    # But for its type it is what the SDK reads.
    read = DestinationOut(**made | {"type": "pollingEndpoint"})
    equal((read.id, read.status), (made["id"], DestinationStatus.ENABLED))
    raises(ValueError, lambda: destinations.get(app, made["id"]))
    send(app, payload={"n": 7})
    equal(place.wait()[0].body, b'{"text":"7"}')
    equal(destinations.delete(app, made["id"]), None)


@case
def what_destinations_do_not_have_is_said():
    app = application()
    made = destinations.create(app, wanted("sqs")).id
    ask = lambda: destinations.rotate_secret(app, made, EndpointSecretRotateIn())
    raises(HttpError, ask, status_code=501, code="not_implemented")


@case
def a_destination_has_a_transformation():
    app = application()
    made = destinations.create(app, wanted("sqs")).id
    there = destinations.transformation.get(app, made)
    equal((there.code, there.enabled), (None, False))
    code = "function handler(webhook) { return webhook }"
    destinations.transformation.patch(app, made, DestinationTransformIn(code=code))
    there = destinations.transformation.get(app, made)
    equal((there.code, there.enabled), (code, True))
    wrong = DestinationTransformIn(code="function handler(webhook) {\n  return webhook.. }")
    problem = raises(
        HTTPValidationError,
        lambda: destinations.transformation.patch(app, made, wrong),
        status_code=422,
    ).detail[0]
    equal(problem.loc, ["body", "code"])
    true("(line 2, column " in problem.msg, problem.msg)
    destinations.transformation.patch(app, made, DestinationTransformIn(code=None))
    equal(destinations.transformation.get(app, made).code, None)
