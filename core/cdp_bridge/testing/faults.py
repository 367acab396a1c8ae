"""The MUSTs of every connector about what goes wrong on the way (10, 11, 13 to 16)."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.testing.bench import Clock
from cdp_bridge.testing.relay import Fault, Relay

ASKED = 600.0
"""Seconds that a limited answer asks to wait for."""
AN_HOUR = 3_600.0
LIMITED: Mapping[str, Callable[[], str | None]] = {
    "seconds": lambda: f"{ASKED:.0f}",
    "date": lambda: email.utils.formatdate(time.time() + ASKED, usegmt=True),
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
    """What every connector makes of faults; each is tried at every kind of request that the job consists of."""

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_must_10_redirects_are_not_followed(self, bench: Any, wire: Relay, status: int) -> None:
        """A redirect ends the work in a ConfigError, and nobody calls the address that it names."""
        with Relay(bench.twin.url).running() as elsewhere:
            headers = {"Location": f"{elsewhere.url}/"}
            for when, fresh in _at_each_request(bench, wire, Fault(status=status, headers=headers), times=None):
                ended_in(ConfigError, fresh, f"a redirect ({status}) {when}")
                assert not elsewhere.requests, f"it followed a redirect ({status}) {when}"

    def test_must_11_a_refused_credential_ends_the_work(self, bench: Any, wire: Relay) -> None:
        """A 401 ends the work in a ConfigError, and no further request is sent."""
        for when, fresh in _at_each_request(bench, wire, Fault(status=401), times=None):
            ended_in(ConfigError, fresh, f"a 401 {when}")
            assert wire.failed == 1, f"it sent {wire.failed - 1} more requests after a 401 {when}; stop at the first"

    @pytest.mark.parametrize("form", LIMITED)
    def test_must_13_a_limit_is_obeyed(self, bench: Any, wire: Relay, clock: Clock, form: str) -> None:
        """After a 429 it waits as long as it is asked to, at most an hour, and then does the work."""
        asked_at, value = time.time(), LIMITED[form]()
        limited = Fault(status=429, headers={"Retry-After": value} if value else {})
        expected, usual = _done(bench.anew(), clock, "no fault")
        for when, fresh in _at_each_request(bench, wire, limited):
            done, waited = _done(fresh, clock, f"a 429 {when}")
            assert done == expected, f"the result differs after a 429 {when}"
            # A date asks for less with each second that has passed, and has no fractions.
            spent = time.time() - asked_at + 1 if form == "date" else 0.0
            least = {"nothing": 0.0, "absurd": ASKED}.get(form, ASKED - spent)
            extra = sum(waited) - sum(usual)
            assert extra > 0, f"it went on without a wait after a 429 {when}"
            assert extra >= least, f"it waited {extra:.0f} s after a 429 {when}, where {least:.0f} s were asked for"
            assert max(waited) <= AN_HOUR, f"it waited {max(waited):.0f} s after a 429 {when}; cut that to an hour"

    @pytest.mark.parametrize("kind", [*NOT_DONE, *DONE])
    def test_must_14_a_fault_on_the_way_changes_nothing(self, bench: Any, wire: Relay, clock: Clock, kind: str) -> None:
        """The result is the same after one answer that was none."""
        _same_in_spite_of(bench, wire, clock, {**NOT_DONE, **DONE}[kind], kind)

    def test_must_15_a_lost_answer_changes_nothing(self, bench: Any, wire: Relay, clock: Clock) -> None:
        """The result is the same after a connection that was cut when the work was done."""
        _same_in_spite_of(bench, wire, clock, Fault(kind="cut_after"), "connection cut after the work was done")

    def test_must_16_a_long_failure_is_transient(self, bench: Any, wire: Relay) -> None:
        """It raises TransientError when nothing but 503 comes back."""
        wire.fail(Fault(status=503), times=None)
        ended_in(TransientError, bench, "nothing but 503")


def ended_in(kind: type[Exception], bench: Any, cause: str) -> None:
    """Fail unless the job ends in an error of this kind."""
    try:
        bench.work()
    except kind:
        return
    except Exception as error:
        pytest.fail(f"{cause} ended in a {type(error).__name__}, not in a {kind.__name__}: {error}")
    pytest.fail(f"the work went on to a normal end in spite of {cause}; raise a {kind.__name__}")


def _done(bench: Any, clock: Clock, cause: str) -> tuple[Any, list[float]]:
    """What the job gives, and how long it waited."""
    before = len(clock.slept)
    try:
        return bench.work(), clock.slept[before:]
    except Exception as error:
        pytest.fail(f"{cause} led to a {type(error).__name__}; raise a TransientError, or try again: {error}")


def _same_in_spite_of(bench: Any, wire: Relay, clock: Clock, fault: Fault, name: str) -> None:
    expected, _ = _done(bench.anew(), clock, "no fault")
    for when, fresh in _at_each_request(bench, wire, fault, prepared=fault.kind != "answer"):
        done, _ = _done(fresh, clock, f"one {name} {when}")
        assert done == expected, f"the result differs after one {name} {when}"


def _at_each_request(
    bench: Any, wire: Relay, fault: Fault, *, times: int | None = 1, prepared: bool = False
) -> Iterator[tuple[str, Any]]:
    """A fresh bench for each kind of request of the job, and for the last one, where the fault strikes.

    `prepared`: the audience is there already, since a creation whose answer gets lost has a MUST of its own.
    """
    for position, place in _turning_points(bench, wire, prepared):
        fresh = bench.anew()
        if prepared:
            fresh.prepare()
        wire.fail(fault, after=position, times=times)
        yield f"at request {position + 1} ({place})", fresh
        wire.heal()


def _turning_points(bench: Any, wire: Relay, prepared: bool) -> list[tuple[int, str]]:
    """How many requests precede the first of each kind and the last one in a job without faults."""
    fresh = bench.anew()
    if prepared:
        fresh.prepare()
    before = len(wire.requests)
    fresh.work()
    places = [f"{request.method} {urlsplit(request.path).path}" for request in wire.requests[before:]]
    assert places, "the job sent no request through the relay: does the base URL of the settings begin with twin.url?"
    found = {places.index(place): place for place in places}
    return sorted({**found, len(places) - 1: places[-1]}.items())
