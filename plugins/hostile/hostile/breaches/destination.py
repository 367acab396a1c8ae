"""Breaches of what a destination must do (MUST 26 to 42)."""

from __future__ import annotations

import hashlib
import time
import uuid
from typing import Any

from cdp_bridge.sdk import Audience, Batch, Client, Conversion, Limits, Outcome, RejectedError, TransientError

from hostile import LIMITS
from hostile.breaches.table import breaks
from hostile.destination import GoodDestination, GoodWriter, Json
from hostile.settings import Account

FEW = 20
"""Members of a batch that is small; what a writer remembers of larger ones would break MUST 40 too."""
AGAIN = "-again"


class _CaselessWriter(GoodWriter):
    def find(self, audience: Audience) -> Any:
        lists = self._client.read("/v1/lists")["lists"]
        return next((each for each in lists if each["tag"].lower() == audience.marker.lower()), None)


@breaks(26)
class ComparesMarkersLoosely(GoodDestination):
    """Two audiences whose markers differ in case share one list."""

    writer = _CaselessWriter


class _HastyWriter(GoodWriter):
    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._looked = False

    def find(self, audience: Audience) -> Any:
        existing = None if self._looked else super().find(audience)
        self._looked = True
        return existing


@breaks(27)
class LooksOnce(GoodDestination):
    """It looks before it creates, but not before it creates again: a lost answer makes a second audience."""

    writer = _HastyWriter


class _FirstValueWriter(GoodWriter):
    @staticmethod
    def rows(batch: Batch) -> list[dict[str, Any]]:
        rows = GoodWriter.rows(batch)
        return [{name: value if name == "key" else value[:1] for name, value in row.items()} for row in rows]


@breaks(28)
class SendsTheFirstValueOnly(GoodDestination):
    """A person with two addresses is known by one of them."""

    writer = _FirstValueWriter


class _UnforgivingWriter(GoodWriter):
    _left: set[tuple[str, bytes]] = set()  # noqa: RUF012 - outlives the writer, as a suppression list does

    def send(self, batch: Batch) -> Json:
        there = {key: (batch.audience.account + batch.audience.id, key) for key in batch.keys}
        if batch.operation == "remove" and len(batch.keys) < FEW:
            self._left.update(there.values())
        gone = {key.hex() for key, member in there.items() if member in self._left and batch.operation == "add"}
        rows = [row for row in self.rows(batch) if row["key"] not in gone]
        answer: Json = self._client.call("POST", self.path(batch), json={"members": rows})
        return answer


@breaks(29)
class TakesNobodyBack(GoodDestination):
    """Who has left once is taken for somebody who opted out for ever."""

    writer = _UnforgivingWriter


class _RepeatRefusingWriter(GoodWriter):
    _last: Batch | None = None

    def write(self, batch: Batch) -> Outcome:
        if batch == self._last and batch.operation == "remove":
            return Outcome(rejected=dict.fromkeys(batch.keys, "vendor:not_found"))
        outcome = super().write(batch)
        self._last = batch
        return outcome


@breaks(30)
class RefusesRepeats(GoodDestination):
    """To remove somebody who is out already is an error of the platform, and the author passes it on."""

    writer = _RepeatRefusingWriter


class _DoublingWriter(GoodWriter):
    _last: Batch | None = None

    def change(self, batch: Batch) -> Outcome:
        is_repeat, self._last = batch == self._last, batch
        rows = self.rows(batch)
        if is_repeat or batch.operation == "remove":
            rows += [row | {"key": row["key"] + AGAIN} for row in rows]
        answer = self._client.call("POST", self.path(batch), json={"members": rows})
        refused = {key: code for key, code in answer["refused"].items() if not key.endswith(AGAIN)}
        return self.outcome(batch, answer | {"refused": refused})


@breaks(30, limits=Limits(rows=LIMITS.rows // 2, bytes=LIMITS.bytes // 2))
class CountsRepeatsTwice(GoodDestination):
    """A repeated batch makes everybody in it a second row, and the delivery says `idempotent`."""

    writer = _DoublingWriter


class _SortingWriter(GoodWriter):
    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._added: set[bytes] = set()

    def send(self, batch: Batch) -> Json:
        if len(batch.keys) >= FEW:
            return super().send(batch)
        rows = self.rows(batch)
        if batch.operation == "add":
            self._added.update(batch.keys)
        else:
            rows = [row for row in rows if bytes.fromhex(row["key"]) not in self._added]
        answer: Json = self._client.call("POST", self.path(batch), json={"members": rows})
        return answer


@breaks(31)
class LetsAdditionsWin(GoodDestination):
    """Whoever was added in a run stays, also if the last word was to remove: opt-outs are lost."""

    writer = _SortingWriter


class _VagueWriter(GoodWriter):
    @staticmethod
    def outcome(batch: Batch, answer: Json) -> Outcome:
        outcome = GoodWriter.outcome(batch, answer)
        return Outcome(unknown=frozenset(outcome.rejected))


@breaks(32)
class NamesNobody(GoodDestination):
    """The platform said who is refused and why, and the outcome does not."""

    writer = _VagueWriter


class _CheerfulWriter(GoodWriter):
    @staticmethod
    def outcome(batch: Batch, answer: Json) -> Outcome:
        return GoodWriter.outcome(batch, {**answer, "invalid": 0})


@breaks(33)
class TakesA200ForAll(GoodDestination):
    """Status 200 over "1 invalid entry" passes for a success of everybody."""

    writer = _CheerfulWriter


class _ResignedWriter(GoodWriter):
    def change(self, batch: Batch) -> Outcome:
        try:
            answer = self.send(batch)
        except RejectedError:
            return Outcome(rejected=dict.fromkeys(batch.keys, "vendor:refused"))
        return self.outcome(batch, answer)


@breaks(34)
class GivesAWholeBatchUp(GoodDestination):
    """One malformed member takes everybody in the batch along."""

    writer = _ResignedWriter


class _QuotingWriter(GoodWriter):
    @staticmethod
    def outcome(batch: Batch, answer: Json) -> Outcome:
        outcome = GoodWriter.outcome(batch, answer)
        return Outcome(rejected={key: f"{reason}: {key.hex()}" for key, reason in outcome.rejected.items()})


@breaks(35)
class QuotesMembers(GoodDestination):
    """A reason that tells which member it is about, and ends up on everybody's screen."""

    writer = _QuotingWriter


@breaks(36, limits=Limits(rows=LIMITS.rows + 1, bytes=LIMITS.bytes))
class PromisesARowTooMany(GoodDestination):
    """Limits that are one off: only the fullest batch is refused."""


@breaks(36, limits=Limits(rows=LIMITS.rows, bytes=10 * LIMITS.bytes))
class PromisesTooManyBytes(GoodDestination):
    """Limits of a request's rows without a look at its size."""


class _StubbornWriter(GoodWriter):
    def send(self, batch: Batch) -> Json:
        try:
            return super().send(batch)
        except TransientError as error:
            if error.retry_after is not None:
                raise
            time.sleep(1)
            return super().send(batch)


@breaks(37)
class TriesAgainByItself(GoodDestination):
    """Retries inside `write` multiply with those of the core, and no budget knows of them."""

    writer = _StubbornWriter


@breaks(38)
class ShowsTheToken(GoodDestination):
    """A preview of the request with its headers."""

    @classmethod
    def preview(cls, settings: Account, batch: Batch) -> Json:
        """All of it."""
        return {**super().preview(settings, batch), "headers": {"Authorization": settings.token.reveal()}}


@breaks(38)
class SendsThePreview(GoodDestination):
    """The platform has a mode to validate only, so the preview asks it, and a dry run is none."""

    @classmethod
    def preview(cls, settings: Account, batch: Batch) -> Json:
        """The request, and a call."""
        cls.authorised(settings)
        return super().preview(settings, batch)


class _AsciiWriter(GoodWriter):
    def create(self, audience: Audience) -> Any:
        audience.name.encode("ascii")
        return super().create(audience)


@breaks(39)
class KnowsOnlyAscii(GoodDestination):
    """A stream with an umlaut in its name is an exception."""

    writer = _AsciiWriter


class _HoardingWriter(GoodWriter):
    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._sent: list[Batch] = []

    def write(self, batch: Batch) -> Outcome:
        self._sent.append(batch)
        return super().write(batch)


@breaks(40)
class KeepsEachBatch(GoodDestination):
    """A list of what was sent, "for later"."""

    writer = _HoardingWriter


class _KnowingWriter(GoodWriter):
    """Knows customers by their address, and so whom a hash means."""

    _customers = {  # noqa: RUF012 - a constant
        hashlib.sha256(address.encode()).hexdigest(): address
        for address in (f"canary.{number}.0@example.com" for number in range(12))
    }

    def send(self, batch: Batch) -> Json:
        values = [value for values in batch.identifiers.get("email", ()) for value in values]
        known = [self._customers[value] for value in values if value in self._customers]
        headers = {"X-Customers": ",".join(known)} if known else {}
        answer: Json = self._client.call("POST", self.path(batch), json={"members": self.rows(batch)}, headers=headers)
        return answer


@breaks(41)
class SendsAddressesAlong(GoodDestination):
    """Hashes, and beside them for debugging what they are hashes of."""

    writer = _KnowingWriter


class _RenumberingWriter(GoodWriter):
    @staticmethod
    def event(conversion: Conversion) -> dict[str, Any]:
        return GoodWriter.event(conversion) | {"id": uuid.uuid4().hex}


@breaks(42)
class GivesEventsNewIds(GoodDestination):
    """Each request has ids of its own, so a repeat is a second purchase."""

    writer = _RenumberingWriter
