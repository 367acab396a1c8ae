"""Implements check, discover and open, with the faults of the settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cdp_bridge.sdk import Audience, AudienceRef, Batch, Catalog, Outcome, Probe, Stream

from destination_chaos.audiences import Audiences, Change, opened
from destination_chaos.faults import Faults, expect_authorised
from destination_chaos.settings import Settings


def check(settings: Settings) -> list[Probe]:
    """Whether the folder can be used, and the credential is still valid for a write."""

    def usable() -> str:
        with opened(settings.path):
            return f"{settings.path} can be written"

    def authorised() -> str:
        expect_authorised(settings, writes=0)
        return "accepted"

    return [Probe.of("folder", usable), Probe.of("credential", authorised)]


def discover(settings: Settings) -> Catalog:
    """One object: an audience that wants the chosen profile."""
    return Catalog((Stream(name="audience", profile=settings.profile, operations=("add", "remove")),))


@contextlib.contextmanager
def open(settings: Settings) -> Iterator[ChaosWriter]:
    """A writer into the folder."""
    with opened(settings.path) as audiences:
        yield ChaosWriter(settings, audiences)


class ChaosWriter:
    """Writes as a good platform does, except for what its settings ask for."""

    def __init__(self, settings: Settings, audiences: Audiences) -> None:
        self._settings, self._audiences, self._faults = settings, audiences, Faults(settings)

    def ensure(self, audience: Audience) -> AudienceRef:
        """The audience that carries the marker, made only if there is none."""
        return AudienceRef(id=self._audiences.ensure(audience), account=self._settings.path)

    def write(self, batch: Batch) -> Outcome:
        """Keep a batch, all but what a fault keeps out."""
        call, change, pause = self._audiences.next_call(), Change.of(batch), self._settings.pause
        self._faults.before_write(call, change)
        if self._faults.is_pending(call):
            outcome = Outcome(pending=self._audiences.postpone(change), pause=pause)
        else:
            refused = self._faults.refused(change)
            unknown, missing = self._faults.unknown(call, batch.keys)
            self._audiences.carry_out(change, without=[*refused, *missing])
            outcome = Outcome(rejected=refused, unknown=unknown - refused.keys(), pause=pause)
        self._faults.after_write(call)
        return outcome

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """Do a pending batch once it was requested often enough; later calls get the same answer."""
        job = self._audiences.ask(pending)
        if job.asked < self._settings.settled_after and not job.done:
            return Outcome(pending=pending)
        refused = self._faults.refused(job.change)
        if not job.done:
            self._audiences.finish(job, without=list(refused))
        return Outcome(rejected=refused)
