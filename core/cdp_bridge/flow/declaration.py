"""Streams and their consumers at the server: created as declared, or compared with what is there."""

from __future__ import annotations

from typing import Any

from nats.js import api
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from cdp_bridge.errors import ConfigError
from cdp_bridge.flow.streams import Stream

CONSUMER = "workers"
"""The one durable consumer of a `work` stream: whoever works on it shares it."""
_DISTRIBUTED = {"work": api.RetentionPolicy.WORK_QUEUE, "keep": api.RetentionPolicy.LIMITS}


async def declare(jetstream: JetStreamContext, stream: Stream[Any], replicas: int) -> None:
    """Make the stream be there as it is declared; ConfigError naming what differs from an older or foreign one."""
    wanted = _stream(stream, replicas)
    try:
        found = (await jetstream.stream_info(stream.name)).config
    except NotFoundError:
        found = (await jetstream.add_stream(wanted)).config
    _compare(wanted, found, f"stream {stream.name}")
    if stream.retention == "work":
        await _declare_consumer(jetstream, stream)


async def _declare_consumer(jetstream: JetStreamContext, stream: Stream[Any]) -> None:
    wanted = _consumer(stream)
    try:
        found = (await jetstream.consumer_info(stream.name, CONSUMER)).config
    except NotFoundError:
        found = (await jetstream.add_consumer(stream.name, wanted)).config
    _compare(wanted, found, f"consumer {CONSUMER} of stream {stream.name}")


def _stream(stream: Stream[Any], replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=stream.name,
        subjects=[stream.subject],
        retention=_DISTRIBUTED[stream.retention],
        storage=api.StorageType.FILE,
        # The publisher learns that the queue is full, instead of the oldest message going quietly.
        discard=api.DiscardPolicy.NEW,
        # Each id has a subject of its own, so that it is in the stream once.
        max_msgs_per_subject=1,
        discard_new_per_subject=True,
        max_msgs=stream.most_messages,
        max_bytes=stream.most_bytes,
        max_msg_size=stream.largest,
        max_age=0,
        duplicate_window=stream.remembered,
        num_replicas=replicas,
    )


def _consumer(stream: Stream[Any]) -> api.ConsumerConfig:
    return api.ConsumerConfig(
        name=CONSUMER,
        durable_name=CONSUMER,
        deliver_policy=api.DeliverPolicy.ALL,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=stream.silence,
        # Giving up is ours: the server would just stop delivering.
        max_deliver=-1,
        max_ack_pending=stream.most_in_hand,
    )


def _compare(wanted: api.Base, found: api.Base, place: str) -> None:
    pairs = {name: (value, getattr(found, name)) for name, value in vars(wanted).items() if value is not None}
    differing = [f"{name} is {is_} instead of {value}" for name, (value, is_) in pairs.items() if is_ != value]
    if differing:
        remedy = "Change it with the nats command, or delete it once it is empty: it is made anew then"
        raise ConfigError(", ".join(differing), place=place, remedy=remedy)
