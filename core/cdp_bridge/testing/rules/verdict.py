"""The outcome of each member of a batch, over all parts that the core had to cut it into."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from cdp_bridge.delivery.sender import Part
from cdp_bridge.errors import RejectedError
from cdp_bridge.model import Audience, AudienceRef, Batch, Outcome, Writer


class Verdict(Struct, frozen=True):
    """The member keys by outcome: `rejected` with reasons; `open` are those without a word of the platform, or yet."""

    accepted: frozenset[bytes]
    rejected: dict[bytes, str]
    open: frozenset[bytes]

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Verdict:
        """The verdict on all members of the parts."""
        rejected: dict[bytes, str] = {}
        still_open: set[bytes] = set()
        for part in parts:
            if part.outcome is None:
                still_open.update(part.batch.keys)
            else:
                rejected |= part.outcome.rejected
                still_open |= part.outcome.open(part.batch.keys)
        everybody = {key for part in parts for key in part.batch.keys}
        return cls(frozenset(everybody - rejected.keys() - still_open), rejected, frozenset(still_open))


class Statement(Struct, frozen=True):
    """An outcome as far as it names members: their keys, and the reasons."""

    batch: Batch
    keys: frozenset[bytes]
    reasons: frozenset[str]


class RecordingWriter:
    """A writer that passes each call on to another, and remembers the outcomes in `statements`."""

    def __init__(self, writer: Writer) -> None:
        self.statements: list[Statement] = []
        self._writer = writer
        self._pending: dict[str, Batch] = {}

    def ensure(self, audience: Audience) -> AudienceRef:
        """As the other writer does."""
        return self._writer.ensure(audience)

    def write(self, batch: Batch) -> Outcome:
        """As the other writer does."""
        try:
            return self._note(batch, self._writer.write(batch))
        except RejectedError as refusal:
            self.statements.append(Statement(batch, frozenset(), frozenset([refusal.reason])))
            raise

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """As the other writer does."""
        return self._note(self._pending[pending], self._writer.settle(audience, pending))

    def _note(self, batch: Batch, outcome: Outcome) -> Outcome:
        if outcome.pending is not None:
            self._pending[outcome.pending] = batch
        keys = outcome.unknown.union(outcome.rejected)
        self.statements.append(Statement(batch, keys, frozenset(outcome.rejected.values()) | outcome.counts.keys()))
        return outcome
