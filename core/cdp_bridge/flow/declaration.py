"""Creates the JetStream stream and consumer of a queue, or compares them with those that exist."""

from __future__ import annotations

from typing import Any

from nats.js import api
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from cdp_bridge.errors import ConfigError
from cdp_bridge.flow.queues import Queue

CONSUMER = "workers"
"""The durable consumer of a `work` queue, which all its workers share."""
_DISTRIBUTED = {"work": api.RetentionPolicy.WORK_QUEUE, "keep": api.RetentionPolicy.LIMITS}


async def declare(jetstream: JetStreamContext, queue: Queue[Any], replicas: int) -> None:
    """Create the stream of a queue; ConfigError that names the differences if it exists otherwise."""
    declared = _stream(queue, replicas)
    try:
        existing = (await jetstream.stream_info(queue.name)).config
    except NotFoundError:
        existing = (await jetstream.add_stream(declared)).config
    _compare(declared, existing, f"stream {queue.name}")
    if queue.retention == "work":
        await _declare_consumer(jetstream, queue)


async def _declare_consumer(jetstream: JetStreamContext, queue: Queue[Any]) -> None:
    declared = _consumer(queue)
    try:
        existing = (await jetstream.consumer_info(queue.name, CONSUMER)).config
    except NotFoundError:
        existing = (await jetstream.add_consumer(queue.name, declared)).config
    _compare(declared, existing, f"consumer {CONSUMER} of stream {queue.name}")


def _stream(queue: Queue[Any], replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=queue.name,
        subjects=[queue.subject],
        retention=_DISTRIBUTED[queue.retention],
        storage=api.StorageType.FILE,
        # Refuse a message when the queue is full, rather than drop the oldest one.
        discard=api.DiscardPolicy.NEW,
        # Each id has a subject of its own, so that it is in the stream at most once.
        max_msgs_per_subject=1,
        discard_new_per_subject=True,
        max_msgs=queue.max_messages,
        max_bytes=queue.max_bytes,
        max_msg_size=queue.largest,
        max_age=0,
        duplicate_window=queue.remembered,
        num_replicas=replicas,
    )


def _consumer(queue: Queue[Any]) -> api.ConsumerConfig:
    return api.ConsumerConfig(
        name=CONSUMER,
        durable_name=CONSUMER,
        deliver_policy=api.DeliverPolicy.ALL,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=queue.silence,
        # The bridge gives up a message itself: the server would stop delivering without a word.
        max_deliver=-1,
        max_ack_pending=queue.max_in_hand,
    )


def _compare(declared: api.Base, existing: api.Base, place: str) -> None:
    pairs = {name: (value, getattr(existing, name)) for name, value in vars(declared).items() if value is not None}
    differing = [f"{name} is {is_} instead of {value}" for name, (value, is_) in pairs.items() if is_ != value]
    if differing:
        remedy = "Change it with the nats command, or delete it once it is empty: it is made anew then"
        raise ConfigError(", ".join(differing), place=place, remedy=remedy)
