"""One stream of records on its way into one audience, or of conversions: collected, hashed, cut into batches, sent,
counted.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from cdp_bridge.delivery.sender import Sender
from cdp_bridge.errors import TransientError
from cdp_bridge.identity import CLEAR, FIELDS
from cdp_bridge.mapping import events
from cdp_bridge.model import Audience, AudienceRef, Batch, Limits, Operation, Outcome, Stream, Writer
from cdp_bridge.protocol.catalog import ConfiguredStream
from cdp_bridge.protocol.hashing import Fields, apply_profile, canonical
from cdp_bridge.staging.packing import batch_columns, conversions, sent_bytes

log = logging.getLogger(__name__)

SETTLE_SECONDS, SETTLE_ATTEMPTS = 5.0, 24
"""How often to ask what became of pending batches; a platform that takes hours has them, and is not waited for."""
DELETED = "_ab_cdc_deleted_at"
"""The field in which Airbyte's sources mark a deleted row."""


class Tally(Struct):
    """The records of one stream since its last STATE."""

    accepted: int = 0
    rejected: int = 0


class Entry(Struct, frozen=True):
    """A record that waits to be delivered; it is counted in `tallies` for itself and for those that it supersedes."""

    key: bytes
    operation: Operation
    fields: Fields
    tallies: tuple[Tally, ...]


class AudienceWriter:
    """One stream on its way into one audience or, as conversions, to the account; of several records of one person, or
    of one event, the last counts.
    """

    def __init__(
        self, chosen: ConfiguredStream, target: Stream, writer: Writer, sender: Sender, limits: Limits
    ) -> None:
        self.name = chosen.stream
        self._primary_key = chosen.primary_key or ()
        self._target, self._operations = target, target.operations
        self._tracks = "track" in target.operations
        self._fields = (*FIELDS, *(events.FIELDS if self._tracks else ()))
        self._writer, self._sender, self._limits = writer, sender, target.limits or limits
        self._ref = AudienceRef(id=target.name, account="") if self._tracks else None
        self._waiting: dict[bytes, Entry] = {}
        self._tally = Tally()
        self._reasons: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()
        self._unknown = 0

    def collect(self, data: Mapping[str, Any]) -> None:
        """Collect one record for the next delivery."""
        fields = canonical(data, self._fields)
        is_gone = data.get(DELETED) is not None or data.get("is_member") is False
        operation: Operation = "remove" if is_gone else "track" if self._tracks else "add"
        self._tally.accepted += 1
        if operation not in self._operations or not fields:
            self._reject([self._tally], f"{operation}_not_offered" if fields else "no_identifier")
            return
        key = self._key(data, fields)
        superseded = self._waiting.pop(key, None)
        tallies = (*(superseded.tallies if superseded else ()), self._tally)
        self._waiting[key] = Entry(key, operation, fields, tallies)

    def close_tally(self) -> Tally:
        """The counts up to here, which grow until the next delivery; the next record starts new ones."""
        closed, self._tally = self._tally, Tally()
        return closed

    def deliver(self) -> None:
        """Hash and send what was collected, removals first; raises what keeps it from being delivered."""
        entries = list(self._waiting.values())
        if not entries:
            return
        profile = self._target.profile
        # In clear no more goes out than the object asks for.
        wanted = () if profile else self._target.columns
        hashed = apply_profile(profile or CLEAR, [entry.fields for entry in entries], wanted)
        self._reasons += hashed.reasons
        for position, entry in enumerate(entries):
            if position not in hashed.members:
                _count_rejected(entry.tallies)
        for operation in ("remove", "add", "track"):
            members = [
                (entry, hashed.members[position])
                for position, entry in enumerate(entries)
                if entry.operation == operation and position in hashed.members
            ]
            self._send(operation, members, hashed.columns)
        self._waiting.clear()

    def summarise(self) -> None:
        """Log what was refused and what is in doubt: reasons and counts."""
        for reason, count in self._reasons.most_common():
            log.warning("stream %s: %s records rejected: %s", self.name, count, reason)
        for reason, count in self._counted.most_common():
            log.warning("stream %s: %s records refused, the platform does not say which: %s", self.name, count, reason)
        if self._unknown:
            log.warning("stream %s: the platform did not say which of %s records it took", self.name, self._unknown)

    def _send(self, operation: Operation, members: Sequence[tuple[Entry, bytes]], columns: Sequence[str]) -> None:
        cut = list(_cut(members, self._limits))
        entries = {entry.key: entry for entry, _ in members}
        pending: dict[str, set[bytes]] = {}
        for number, part in enumerate(cut, start=1):
            batch = Batch(
                audience=self._ensure(),
                operation=operation,
                keys=[entry.key for entry, _ in part],
                identifiers=batch_columns([member for _, member in part], columns),
                events=conversions(member for _, member in part) if self._tracks else (),
                number=number,
                last=number == len(cut),
                total=len(members),
            )
            for sent in self._sender.send(batch):
                if sent.outcome is None:
                    raise TransientError(f"{len(sent.batch.keys)} records of stream {self.name} could not be delivered")
                pending |= self._record(sent.outcome, set(sent.batch.keys), entries)
        self._settle(pending, entries)

    def _settle(self, pending: dict[str, set[bytes]], entries: Mapping[bytes, Entry]) -> None:
        """Wait a while for the outcome of members by the platform's references; who is left is in doubt."""
        for _ in range(SETTLE_ATTEMPTS):
            if not pending:
                return
            time.sleep(SETTLE_SECONDS)
            unsettled, pending = pending, {}
            for reference, keys in unsettled.items():
                pending |= self._record(self._writer.settle(self._ensure(), reference), keys, entries)
        self._unknown += sum(map(len, pending.values()))

    def _record(self, outcome: Outcome, keys: set[bytes], entries: Mapping[bytes, Entry]) -> dict[str, set[bytes]]:
        """Count what is known; returns whom the platform has yet to say something of, by its reference."""
        for key, reason in outcome.rejected.items():
            self._reject(entries[key].tallies, reason)
        self._counted.update(outcome.counts)
        unsaid = outcome.open(keys)
        if outcome.pending is not None:
            return {outcome.pending: unsaid}
        self._unknown += len(unsaid)
        return {}

    def _reject(self, tallies: Sequence[Tally], reason: str) -> None:
        self._reasons[reason] += 1
        _count_rejected(tallies)

    def _ensure(self) -> AudienceRef:
        if self._ref is None:
            audience = Audience(marker=f"airbyte-{self.name}", name=str(self.name), object=self._target.name)
            self._ref = self._sender.ensure(audience)
        return self._ref

    def _key(self, data: Mapping[str, Any], fields: Fields) -> bytes:
        """Sixteen bytes that stay the same: for an event by its id, for a person by the primary key, else the user id,
        else all identifiers.
        """
        named = [_at(data, path) for path in ([["event_id"]] if self._tracks else self._primary_key)]
        usable = bool(named) and all(isinstance(value, str | int | float) for value in named)
        user_id = data.get("user_id")
        identity = named if usable else user_id if isinstance(user_id, str | int) else sorted(fields.items())
        return hashlib.blake2b(repr(identity).encode(), digest_size=16).digest()


def _count_rejected(tallies: Iterable[Tally]) -> None:
    for tally in tallies:
        tally.accepted -= 1
        tally.rejected += 1


def _at(data: Any, path: Sequence[str]) -> Any:
    for name in path:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def _cut(members: Sequence[tuple[Entry, bytes]], limits: Limits) -> Iterator[Sequence[tuple[Entry, bytes]]]:
    """Batches within the connector's rows and bytes, counting digests as the hex that is sent."""
    start, size = 0, 0.0
    for position, (_, packed) in enumerate(members):
        wire = sent_bytes(len(packed))
        if position > start and (position - start >= limits.rows or size + wire > limits.bytes):
            yield members[start:position]
            start, size = position, 0.0
        size += wire
    if start < len(members):
        yield members[start:]
