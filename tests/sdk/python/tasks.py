"""Bulk work in the background, examples, and content that is taken back."""

from datetime import datetime, timedelta, timezone

from svix.api import (
    BackgroundTaskListOptions,
    EventTypeIn,
    MessageAttemptListByMsgOptions,
    MessageGetOptions,
)
from svix.exceptions import HTTPValidationError, HttpError
from svix.models import (
    AppUsageStatsIn,
    BackgroundTaskStatus,
    BackgroundTaskType,
    BulkExpungeContentsIn,
    BulkReplayIn,
    EventExampleIn,
    MessagePrecheckIn,
    RecoverIn,
    ReplayIn,
    StatusCodeClass,
)

from harness.cases import case, equal, eventually, raises, true
from server import api, application, endpoint, ids, names, receiver, send, verify


def since():
    return datetime.now(timezone.utc) - timedelta(hours=1)


def ended(begun):
    """The task once it is no longer running."""
    equal(begun.status, BackgroundTaskStatus.RUNNING)
    read = lambda: api.background_task.get(begun.id)
    return eventually(read, lambda task: task.status != BackgroundTaskStatus.RUNNING)


def finished(begun, kind, **data):
    task = ended(begun)
    equal((task.status, task.task, begun.task), (BackgroundTaskStatus.FINISHED, kind, kind))
    equal({name: task.data[name] for name in data}, data)
    return task


def tried(app, message, count=1):
    options = MessageAttemptListByMsgOptions(with_content=True)
    list_attempts = lambda: api.message_attempt.list_by_msg(app, message, options).data
    return eventually(list_attempts, lambda attempts: len(attempts) >= count)


@case
def what_failed_is_recovered():
    # Each is tried four times in vain: that is all that the server's schedule has. Two more failures
    # in a row would open the endpoint's circuit.
    app, place = application(), receiver.place(*[500] * 8)
    made = endpoint(app, place)
    messages = [send(app, payload={"n": n}).id for n in range(2)]
    for message in messages:
        tried(app, message, 4)
    recovered = api.endpoint.recover(app, made.id, RecoverIn(since=since()))
    task = finished(recovered, BackgroundTaskType.ENDPOINT_RECOVER, messagesSent=2)
    equal({one.id for one in place.wait(10)[8:]}, set(messages))
    for message in messages:
        tried(app, message, 5)
    again = api.endpoint.recover(app, made.id, RecoverIn(since=since()))
    finished(again, BackgroundTaskType.ENDPOINT_RECOVER, messagesSent=0)

    options = BackgroundTaskListOptions(
        status=BackgroundTaskStatus.FINISHED, task=BackgroundTaskType.ENDPOINT_RECOVER
    )
    true(task.id in ids(api.background_task.list(options)), "it is in the list")
    other = BackgroundTaskListOptions(task=BackgroundTaskType.MESSAGE_BROADCAST)
    equal(api.background_task.list(other).data, [])
    raises(HttpError, lambda: api.background_task.get("qtask_none"), status_code=404)


@case
def a_later_endpoint_gets_what_it_missed():
    app, place = application(), receiver.place()
    message = send(app).id
    late = endpoint(app, place)
    begun = api.endpoint.replay_missing(app, late.id, ReplayIn(since=since()))
    finished(begun, BackgroundTaskType.ENDPOINT_REPLAY, messagesSent=1)
    delivery = place.wait()[0]
    equal(delivery.id, message)
    verify(delivery, api.endpoint.get_secret(app, late.id).key)


@case
def what_was_sent_is_replayed():
    app, place = application(), receiver.place()
    made = endpoint(app, place)
    for event_type in ["replay.this", "replay.that"]:
        tried(app, send(app, event_type).id)
    for wanted, count in [
        (BulkReplayIn(since=since(), event_types=["replay.this"]), 1),
        (BulkReplayIn(since=since(), status_code_class=StatusCodeClass.CODE5XX), 0),
        (BulkReplayIn(since=since(), tag="none"), 0),
    ]:
        begun = api.endpoint.bulk_replay(app, made.id, wanted)
        finished(begun, BackgroundTaskType.ENDPOINT_BULK_REPLAY, messagesSent=count)
    place.wait(3)


@case
def nothing_is_promised_for_a_disabled_endpoint():
    app = application()
    made = endpoint(app, receiver.place(), disabled=True)
    name = next(names)
    api.event_type.create(EventTypeIn(name=name, description="d"))
    for call in [
        lambda: api.endpoint.recover(app, made.id, RecoverIn(since=since())),
        lambda: api.endpoint.replay_missing(app, made.id, ReplayIn(since=since())),
        lambda: api.endpoint.bulk_replay(app, made.id, BulkReplayIn(since=since())),
        lambda: api.endpoint.send_example(app, made.id, EventExampleIn(event_type=name)),
    ]:
        raises(HttpError, call, status_code=409, code="endpoint_disabled")
    wrong = RecoverIn(since=since(), until=since() - timedelta(hours=1))
    call = lambda: api.endpoint.recover(app, made.id, wrong)
    equal(raises(HTTPValidationError, call).detail[0].loc, ["body", "until"])


@case
def an_example_reaches_an_endpoint_that_filters_its_type():
    app, place, other = application(), receiver.place(), receiver.place()
    made = endpoint(app, place, event_types=["something.else"])
    endpoint(app, other)
    name = next(names)
    schemas = {"1": {"examples": [{"n": 0}, {"n": 1}]}}
    api.event_type.create(EventTypeIn(name=name, description="d", schemas=schemas))
    sent = api.endpoint.send_example(app, made.id, EventExampleIn(event_type=name, example_index=1))
    equal((sent.event_type, sent.payload), (name, {"n": 1}))
    delivery = place.wait()[0]
    equal((delivery.id, delivery.body), (sent.id, b'{"n":1}'))
    # What comes later goes to the other endpoint, which has not got the example before.
    marker = send(app, name).id
    equal([one.id for one in other.wait()], [marker])


@case
def a_precheck_tells_whether_anybody_listens():
    app = application()
    check = lambda name: api.message.precheck(app, MessagePrecheckIn(event_type=name)).active
    equal(check("order.paid"), False)
    endpoint(app, receiver.place(), event_types=["order.paid"])
    equal((check("order.paid"), check("order.lost")), (True, False))


@case
def content_is_expunged():
    app, place = application(), receiver.place()
    made = endpoint(app, place)
    first, second, third = [send(app, payload={"secret": n}).id for n in range(3)]
    for message in [first, second, third]:
        tried(app, message)
    payload = lambda message: api.message.get(app, message, MessageGetOptions(with_content=True))
    equal(api.message.expunge_content(app, first), None)
    wanted = BulkExpungeContentsIn(ids=[second, "nobody"])
    results = api.message.bulk_expunge_content(app, wanted).results
    results = {name: str(status) for name, status in results.items()}
    equal(results, {second: "expunged", "nobody": "not-found"})
    equal(payload(third).payload, {"secret": 2})
    purged = api.message.expunge_all_contents(app)
    finished(purged, BackgroundTaskType.APPLICATION_PURGE_CONTENT, messagesPurged=1)
    for message in [first, second, third]:
        equal(payload(message).payload, {"expired": True})
        resend = lambda: api.message_attempt.resend(app, message, made.id)
        raises(HttpError, resend, status_code=400, code="missing_payload")
    attempt = tried(app, third)[0]
    equal(api.message_attempt.expunge_content(app, third, attempt.id), None)
    equal(api.message_attempt.get(app, third, attempt.id).response, "EXPUNGED")


@case
def usage_is_counted():
    app, place = application(), receiver.place()
    endpoint(app, place)
    for n in range(2):
        send(app, payload={"n": n})
    until = datetime.now(timezone.utc) + timedelta(hours=1)
    window = AppUsageStatsIn(since=since(), until=until, app_ids=[app, "nothing-has-this-name"])
    begun = api.statistics.aggregate_app_stats(window)
    equal(begun.unresolved_app_ids, ["nothing-has-this-name"])
    task = ended(begun)
    equal((task.status, task.task), (BackgroundTaskStatus.FINISHED, begun.task))
    equal(begun.task, BackgroundTaskType.APPLICATION_STATS)
    lines = task.data["appStats"]
    equal([(line["appId"], line["messageDestinations"]) for line in lines], [(app, 2)])


@case
def event_types_of_endpoints_are_listed():
    app, place = application(), receiver.place()
    endpoint(app, place, event_types=["user.signup"])
    begun = api.statistics.aggregate_event_types()
    equal(begun.task, BackgroundTaskType.EVENT_TYPE_AGGREGATE)
    task = ended(begun)
    equal(task.status, BackgroundTaskStatus.FINISHED)
    line = next(line for line in task.data["event_types"] if line["appId"] == app)
    equal(line["explicitlySubscribedEventTypes"], ["user.signup"])
    equal(line["hasCatchAllEndpoint"], False)
