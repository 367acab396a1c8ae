"""Publish and consume on a real server: what is acknowledged comes until somebody is done with it, or is given up."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.errors import ConfigError, RejectedError, TransientError
from cdp_bridge.flow import Address, Flow, FlowMessage, FullError, LocalServer, Queue, RunOrder, local
from cdp_bridge.secrets import Secret
from msgspec.structs import replace
from nats.aio.client import Client

from .conftest import Work

Until = Callable[[Callable[[], Any]], Any]

Order = Callable[[str], bool]


def put_raw(flow: Flow, queue: Queue[Any], name: str, body: bytes) -> None:
    """What a stranger may put on the queue."""

    async def send(client: Client) -> None:
        await client.jetstream().publish(queue.subject.replace("*", name), body)

    flow._run(flow._connection.use(send))


def test_every_message_comes_and_is_gone_once_it_is_done(
    flow: Flow, queue: Queue[Any], order: Order, work: Work, until: Until
) -> None:
    assert all(order(str(number)) for number in range(50))
    worker = work(slots=4)
    assert sorted(worker.wait(50)) == sorted((str(number), 1) for number in range(50))
    until(lambda: flow.count(queue) == 0)


def test_an_id_is_in_the_queue_once_however_late_it_comes_again(flow: Flow, queue: Queue[Any], order: Order) -> None:
    assert order("a")
    assert not order("a")
    # Beyond what the server remembers of ids, which is at least 100 ms.
    short = replace(queue, name="short", remembered=0.1)
    with Flow(flow._connection._find, [short]) as other:
        assert other.publish(short, RunOrder(request="b"), id="b")
        time.sleep(0.3)
        assert not other.publish(short, RunOrder(request="b"), id="b")
        assert other.count(short) == flow.count(queue) == 1


def test_an_id_that_was_done_a_moment_ago_does_not_come_again(
    flow: Flow, queue: Queue[Any], order: Order, work: Work, until: Until
) -> None:
    order("a")
    work()
    until(lambda: flow.count(queue) == 0)
    assert not order("a")
    assert flow.count(queue) == 0


def test_any_text_may_be_an_id(flow: Flow, queue: Queue[Any]) -> None:
    ids = ["", "a b", "x.y", "*", ">", "\r\nNats-Rollup: all", "é", "x" * 5_000]
    assert all(flow.publish(queue, RunOrder(request="r"), id=id) for id in ids)
    assert flow.count(queue) == len(ids)


def test_a_full_queue_is_an_error_and_loses_nothing(server: LocalServer, queue: Queue[Any]) -> None:
    small = replace(queue, max_messages=3)
    with Flow(server.find, [small]) as flow:
        for number in range(3):
            flow.publish(small, RunOrder(request=str(number)), id=str(number))
        with pytest.raises(FullError, match="the queue is full; nothing was stored"):
            flow.publish(small, RunOrder(request="3"), id="3")
        stop, seen = threading.Event(), []

        def take(delivery: FlowMessage[RunOrder]) -> None:
            seen.append(delivery.message.request)
            if len(seen) == 3:
                stop.set()

        flow.consume(small, take, stop=stop)
        assert seen == ["0", "1", "2"]
        assert flow.publish(small, RunOrder(request="3"), id="3")


def test_a_message_that_is_too_large_is_refused(flow: Flow, queue: Queue[Any]) -> None:
    with pytest.raises(RejectedError, match="larger than the queue takes") as refused:
        flow.publish(queue, RunOrder(request="x" * 5_000), id="large")
    assert refused.value.reason == "too_large"


def test_who_works_for_long_keeps_the_message(queue: Queue[Any], order: Order, work: Work) -> None:
    ended = threading.Event()

    def take_long(_: object) -> None:
        time.sleep(queue.silence * 3)
        ended.set()

    worker, idle = work(take_long), work()
    order("long")
    assert ended.wait()
    assert worker.seen + idle.seen == [("long", 1)]


def test_a_failure_brings_the_message_again(order: Order, work: Work, caplog: pytest.LogCaptureFixture) -> None:
    failures = [TransientError("busy", retry_after=0.1), TransientError("busy"), ValueError("of anna@example.com")]

    def fail(_: object) -> None:
        if failures:
            raise failures.pop(0)

    order("a")
    worker = work(fail)
    failures.reverse()
    assert worker.wait(4)[-1] == ("a", 4)
    assert "failed: ValueError" in caplog.text
    assert "anna" not in caplog.text


def test_what_the_handler_rejects_is_kept_aside_with_the_reason(
    flow: Flow, queue: Queue[Any], order: Order, work: Work, until: Until
) -> None:
    def reject(_: object) -> None:
        raise RejectedError("no such request", reason="unknown_request")

    order("a")
    work(reject)
    until(lambda: flow.count(queue) == 0)
    letter = flow.undeliverable()[-1]
    assert (letter.stream, letter.reason, letter.attempts) == (queue.name, "unknown_request", 1)
    assert letter.body == b'{"request":"a"}'


def test_what_came_too_often_is_given_up(server: LocalServer, queue: Queue[Any], until: Until) -> None:
    twice = replace(queue, attempts=2)
    stop, seen = threading.Event(), []

    def fail(delivery: FlowMessage[RunOrder]) -> None:
        seen.append(delivery.attempt)
        raise TransientError("busy", retry_after=0.05)

    with Flow(server.find, [twice]) as flow:
        flow.publish(twice, RunOrder(request="a"), id="a")
        consuming = threading.Thread(target=flow.consume, args=(twice, fail), kwargs={"stop": stop})
        consuming.start()
        until(lambda: flow.count(twice) == 0)
        stop.set()
        consuming.join()
        assert seen == [1, 2]
        assert flow.undeliverable()[-1].reason == "too_many_attempts"


FOREIGN = (
    b"",
    b"not json",
    b'{"request": 5}',
    b'{"request": ""}',
    b"{}",
    b"[" * 1_900,
    b'{"request": "\xff"}',
    b"\0" * 1_999,
)


def test_what_is_not_ours_is_kept_aside_and_the_rest_goes_on(
    flow: Flow, queue: Queue[Any], order: Order, work: Work, until: Until
) -> None:
    for number, body in enumerate(FOREIGN):
        put_raw(flow, queue, f"stranger{number}", body)
    order("ours")
    worker = work()
    worker.wait(1)
    until(lambda: flow.count(queue) == 0)
    given_up = [letter for letter in flow.undeliverable() if letter.stream == queue.name]
    assert [(letter.reason, letter.body) for letter in given_up] == [("malformed", body) for body in FOREIGN]
    assert worker.seen == [("ours", 1)]


def test_what_is_not_done_at_the_end_goes_to_another_at_once(
    server: LocalServer, queue: Queue[Any], until: Until
) -> None:
    patient = replace(queue, silence=60)
    stop, released = threading.Event(), threading.Event()
    seen: list[str] = []

    def hang(_: object) -> None:
        seen.append("first")
        stop.set()
        released.wait()

    def take(delivery: FlowMessage[RunOrder]) -> None:
        seen.append(f"again, {delivery.attempt}")
        stop.set()

    with Flow(server.find, [patient]) as flow:
        flow.publish(patient, RunOrder(request="a"), id="a")
        flow.consume(patient, hang, stop=stop, grace=0.1)
        stop.clear()
        started = time.monotonic()
        flow.consume(patient, take, stop=stop)
        assert seen == ["first", "again, 2"]
        assert time.monotonic() - started < patient.silence / 2
        until(lambda: flow.count(patient) == 0)
        released.set()


def test_streams_of_the_same_name_that_are_not_ours_are_named_with_what_differs(
    server: LocalServer, flow: Flow, queue: Queue[Any]
) -> None:
    with pytest.raises(ConfigError, match=r"stream \w+: max_msgs is 1000 instead of 7\. Change it") as refused:
        Flow(server.find, [replace(queue, max_messages=7)])
    assert refused.value.place == f"stream {queue.name}"
    with pytest.raises(ConfigError, match=r"consumer workers of stream \w+: ack_wait is 0.6 instead of 9"):
        Flow(server.find, [replace(queue, silence=9)])


@pytest.mark.parametrize("replacement", [{"token": None}, {"token": Secret("wrong-token-of-ours")}])
def test_who_has_not_the_token_is_told_so_at_once(
    server: LocalServer, replacement: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = replace(server.find(), **replacement)
    with pytest.raises(ConfigError, match=r"refuses the credentials\. Check the token") as refused:
        Flow(lambda: wrong, [])
    assert "wrong-token" not in str(refused.value) + caplog.text


def test_a_server_that_is_not_there_is_waited_for_and_then_named(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"no queue server is running in .*; cdp-bridge serve starts one"):
        Flow(local(tmp_path), [], patience=0.3)
    nowhere = Address(url="nats://127.0.0.1:1,nats://127.0.0.1:2")
    with pytest.raises(TransientError, match=r"nats://127.0.0.1:1.*: the queue server cannot be reached"):
        Flow(lambda: nowhere, [], patience=0.3)
