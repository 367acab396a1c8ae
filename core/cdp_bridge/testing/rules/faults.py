"""The MUSTs of every connector about faults of HTTP (10, 11, 13 to 16)."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.testing.harness import AnyHarness, Clock
from cdp_bridge.testing.relay import Fault, Relay

RETRY_AFTER = 600.0
"""Seconds that an answer with status 429 wants the connector to wait."""
AN_HOUR = 3_600.0
LIMITED: Mapping[str, Callable[[], str | None]] = {
    "seconds": lambda: f"{RETRY_AFTER:.0f}",
    "date": lambda: email.utils.formatdate(time.time() + RETRY_AFTER, usegmt=True),
    "absurd": lambda: "31536000",
    "nothing": lambda: None,
}
NOT_DONE = {
    "500": Fault(status=500),
    "502": Fault(status=502),
    "503": Fault(status=503),
    "page": Fault(status=200, headers={"Content-Type": "text/html"}),
    "cut": Fault(kind="cut_before"),
}
DONE = {"half": Fault(kind="half"), "slow": Fault(kind="slow")}


class FaultSuite:
    """How every connector reacts to faults; each is tried at every kind of request that the job consists of."""

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_must_10_redirects_are_not_followed(self, harness: AnyHarness, wire: Relay, status: int) -> None:
        """A redirect ends the work in a ConfigError, and the address that it names is not called."""
        with Relay(harness.twin.url).running() as elsewhere:
            headers = {"Location": f"{elsewhere.url}/"}
            for when, fresh in _at_each_request(harness, wire, Fault(status=status, headers=headers), times=None):
                ended_in(ConfigError, fresh, f"a redirect ({status}) {when}")
                assert not elsewhere.requests, (
                    f"it followed a redirect ({status}) {when}; use Client, or allow_redirects=False"
                )

    def test_must_11_a_refused_credential_ends_the_work(self, harness: AnyHarness, wire: Relay) -> None:
        """A 401 ends the work in a ConfigError, and no further request is sent."""
        for when, fresh in _at_each_request(harness, wire, Fault(status=401), times=None):
            ended_in(ConfigError, fresh, f"a 401 {when}")
            assert wire.failed == 1, f"it sent {wire.failed - 1} more requests after a 401 {when}; stop at the first"

    @pytest.mark.parametrize("form", LIMITED)
    def test_must_13_a_limit_is_obeyed(self, harness: AnyHarness, wire: Relay, clock: Clock, form: str) -> None:
        """After a 429 it waits as long as Retry-After says, at most an hour, and then does the work."""
        started_at, value = time.time(), LIMITED[form]()
        limited = Fault(status=429, headers={"Retry-After": value} if value else {})
        expected, usual = _done(harness.anew(), clock, "no fault")
        for when, fresh in _at_each_request(harness, wire, limited):
            done, waited = _done(fresh, clock, f"a 429 {when}")
            assert done == expected, f"after a 429 {when}: {fresh.differs(expected, done)}; send the request again"
            # A date asks for less with each second that has passed, and has no fractions.
            spent = time.time() - started_at + 1 if form == "date" else 0.0
            least = {"nothing": 0.0, "absurd": RETRY_AFTER}.get(form, RETRY_AFTER - spent)
            extra = sum(waited) - sum(usual)
            assert extra > 0, f"it went on without a wait after a 429 {when}; raise TransientError"
            assert extra >= least, (
                f"after a 429 {when} expected a wait of {least:.0f} s, got {extra:.0f} s; obey Retry-After"
            )
            assert max(waited) <= AN_HOUR, f"it waited {max(waited):.0f} s after a 429 {when}; wait at most an hour"

    @pytest.mark.parametrize("kind", [*NOT_DONE, *DONE])
    def test_must_14_a_fault_on_the_way_changes_nothing(
        self, harness: AnyHarness, wire: Relay, clock: Clock, kind: str
    ) -> None:
        """The result is the same after one request that failed: an error, a page, half an answer, a slow one, none."""
        _same_in_spite_of(harness, wire, clock, {**NOT_DONE, **DONE}[kind], kind)

    def test_must_15_a_lost_answer_changes_nothing(self, harness: AnyHarness, wire: Relay, clock: Clock) -> None:
        """The result is the same after a connection was cut when the vendor had done the work."""
        _same_in_spite_of(harness, wire, clock, Fault(kind="cut_after"), "connection cut after the work was done")

    def test_must_16_a_long_failure_is_transient(self, harness: AnyHarness, wire: Relay) -> None:
        """It raises TransientError when the vendor only answers 503."""
        wire.fail(Fault(status=503), times=None)
        ended_in(TransientError, harness, "nothing but 503")


def ended_in(kind: type[Exception], harness: AnyHarness, cause: str) -> None:
    """Fail unless the job ends in an error of this kind."""
    try:
        harness.work()
    except kind:
        return
    except Exception as error:
        pytest.fail(f"{cause} ended in a {type(error).__name__}; raise a {kind.__name__}: {error}")
    pytest.fail(f"the work ended normally in spite of {cause}; raise a {kind.__name__}")


def _done(harness: AnyHarness, clock: Clock, cause: str) -> tuple[Any, list[float]]:
    """What the job gives, and how long it waited."""
    before = len(clock.slept)
    try:
        return harness.work(), clock.slept[before:]
    except Exception as error:
        pytest.fail(f"{cause} led to a {type(error).__name__}; raise a TransientError, or try again: {error}")


def _same_in_spite_of(harness: AnyHarness, wire: Relay, clock: Clock, fault: Fault, name: str) -> None:
    expected, _ = _done(harness.anew(), clock, "no fault")
    for when, fresh in _at_each_request(harness, wire, fault, prepared=fault.kind != "answer"):
        done, _ = _done(fresh, clock, f"one {name} {when}")
        assert done == expected, (
            f"after one {name} {when}: {fresh.differs(expected, done)}; raise TransientError, or repeat"
        )


def _at_each_request(
    harness: AnyHarness, wire: Relay, fault: Fault, *, times: int | None = 1, prepared: bool = False
) -> Iterator[tuple[str, AnyHarness]]:
    """A fresh harness for each kind of request of the job, and for the last one, at which the fault occurs.

    `prepared`: the audience is there already, since a creation whose answer gets lost has a MUST of its own.
    """
    for position, place in _positions(harness, wire, prepared):
        fresh = harness.anew()
        if prepared:
            fresh.prepare()
        wire.fail(fault, after=position, times=times)
        yield f"at request {position + 1} ({place})", fresh
        wire.heal()


def _positions(harness: AnyHarness, wire: Relay, prepared: bool) -> list[tuple[int, str]]:
    """The positions of the first request of each kind and of the last one, in a job without faults."""
    fresh = harness.anew()
    if prepared:
        fresh.prepare()
    before = len(wire.requests)
    fresh.work()
    places = [f"{request.method} {urlsplit(request.path).path}" for request in wire.requests[before:]]
    assert places, (
        "the job sent no request through the relay; let the base URL in the twin's settings begin with twin.url"
    )
    firsts = {places.index(place): place for place in places}
    return sorted({**firsts, len(places) - 1: places[-1]}.items())
