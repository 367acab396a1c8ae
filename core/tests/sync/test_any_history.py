"""Whatever the CDP, the platform and death do in turn: one healthy run later all three sides are equal again."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.errors import ConfigError, RejectedError, TransientError
from cdp_bridge.model import Batch, Limits, Outcome
from cdp_bridge.store import Store
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ..conftest import SyncHarness

EXAMPLES, STEPS = 100 if "LONG_TESTS" in os.environ else 10, 12
PEOPLE = [f"u{number}" for number in range(8)]
# Few values, so that people often share one.
EMAILS = [f"e{number}@example.com" for number in range(7)]
PHONES = [f"+1415555010{number}" for number in range(4)]
POINTS = ["staged", "diffed", "delivery_opened", "written", "delivery_closed", "finished"]
FAULTS = [
    "busy",
    "busy, but applied",
    "revoked",
    "revoked, but applied",
    "unknown",
    "unknown, not applied",
    "cut",
    "pending",
]
# What was pending was applied, but that need not be what the platform says of it.
SETTLEMENTS = [Outcome(), Outcome(pending="job"), RejectedError("no such job", reason="404"), TransientError("busy")]


class Killed(BaseException):
    """Stands for the end of the process at a failpoint."""


class History(RuleBasedStateMachine):
    """A CDP, a platform and a bridge between them."""

    make_harness: Callable[[Store], SyncHarness]
    incremental: bool

    @initialize()
    def begin(self) -> None:
        self.folder = contextlib.ExitStack()
        path = Path(self.folder.enter_context(tempfile.TemporaryDirectory()))
        self.store = self.folder.enter_context(Store.open(f"sqlite:///{path}/store.db"))
        self.harness = type(self).make_harness(self.store)
        self.harness.configure(incremental=type(self).incremental)
        self.harness.limits = Limits(rows=2)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.close()
            sys.modules.pop("parts_of_the_sync_tests", None)

    @rule(
        who=st.sampled_from(PEOPLE),
        emails=st.lists(st.sampled_from(EMAILS), max_size=2, unique=True),
        phones=st.lists(st.sampled_from(PHONES), max_size=1),
        ok=st.sampled_from(["yes", "yes", "yes", "no"]),
    )
    def somebody_is(self, who: str, emails: list[str], phones: list[str], ok: str) -> None:
        self.harness.cdp.put(who, email=emails, phone=phones, ok=ok)

    @rule(who=st.sampled_from(PEOPLE))
    def somebody_leaves(self, who: str) -> None:
        if who in self.harness.cdp.people:
            self.harness.cdp.drop(who)

    @rule(
        faults=st.lists(st.sampled_from(["none", *FAULTS]), min_size=1, max_size=6),
        heard=st.lists(st.sampled_from(SETTLEMENTS), min_size=6, max_size=6),
    )
    def a_run_meets_faults(self, faults: list[str], heard: list[Exception | Outcome]) -> None:
        self.harness.platform.answers = [self._answer(fault) for fault in faults]
        self.harness.platform.settlements = heard
        self.harness.sync(approve_removals=True)

    @rule(point=st.sampled_from(POINTS), passes=st.integers(1, 4), fault=st.sampled_from(["none", *FAULTS]))
    def a_run_is_killed(self, point: str, passes: int, fault: str) -> None:
        left = [passes]

        def die(name: str) -> None:
            left[0] -= name == point
            if name == point and left[0] == 0:
                raise Killed

        self.harness.platform.answers = [self._answer(fault)]
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr("cdp_bridge.delivery.transfer.failpoint", die)
            patch.setattr("cdp_bridge.sync.audience.failpoint", die)
            self.harness.sync(approve_removals=True)

    @rule()
    def the_extract_is_empty(self) -> None:
        people, self.harness.cdp.people = self.harness.cdp.people, {}
        self.harness.configure(incremental=False)
        self.harness.sync()
        self.harness.configure(incremental=type(self).incremental)
        self.harness.cdp.people = people

    @rule()
    def the_platform_loses_the_audience(self) -> None:
        self.harness.platform.lose()
        # It shows at the next request only.
        self.harness.cdp.put("u0", email=[f"again{len(self.harness.cdp.journal)}@example.com"])

    @rule()
    def a_healthy_run(self) -> None:
        self._settle()
        self.harness.assert_equal()

    @invariant()
    def nobody_is_at_the_platform_without_a_trace(self) -> None:
        """Whatever went wrong: who is there can be taken out again."""
        if not hasattr(self, "harness") or not self.harness.platform.audiences:
            return
        known = set(self.harness.ledger().values())
        known |= {row for delivery in self.store.deliveries("vip") for row in self._rows(delivery)}
        traced = {pair for row in known for pair in row}
        assert all(row & traced for row in self.harness.platform.held)

    def _settle(self) -> None:
        """Two runs: what was pending is known after the first, and those whom it held back come with the second."""
        for _ in range(2):
            self.harness.platform.answers, self.harness.platform.settlements = [], [Outcome(unknown=frozenset())] * 9
            log = self.harness.sync(approve_removals=True)
        assert log.status == "succeeded", log.error

    def _answer(self, fault: str) -> Any:
        platform = self.harness.platform

        def applied(then: Exception | Callable[[Batch], Outcome]) -> Callable[[Batch], Outcome]:
            def answer(batch: Batch) -> Outcome:
                platform.apply(batch)
                if isinstance(then, Exception):
                    raise then
                return then(batch)

            return answer

        def unknown(batch: Batch) -> Outcome:
            return Outcome(unknown=frozenset(batch.keys))

        def cut(batch: Batch) -> Outcome:
            """Only the first member is taken, and the platform says so."""
            first = Batch(
                audience=batch.audience,
                operation=batch.operation,
                keys=batch.keys[:1],
                identifiers={name: values[:1] for name, values in batch.identifiers.items()},
            )
            platform.apply(first)
            return Outcome(unknown=frozenset(batch.keys[1:]))

        return {
            "none": platform.apply,
            "busy": TransientError("busy"),
            "busy, but applied": applied(TransientError("busy")),
            "revoked": ConfigError("revoked"),
            "revoked, but applied": applied(ConfigError("revoked")),
            "unknown": applied(unknown),
            "unknown, not applied": unknown,
            "cut": cut,
            "pending": applied(lambda batch: Outcome(pending="job")),
        }[fault]

    @staticmethod
    def _rows(delivery: Any) -> list[frozenset[tuple[str, str]]]:
        from cdp_bridge.staging.packing import unpack

        return [
            frozenset(
                (column, value.hex() if isinstance(value, bytes) else value)
                for column, values in unpack(packed).items()
                for value in values
            )
            for *_, packed in delivery.members
        ]


@pytest.mark.parametrize("incremental", [False, True])
def test_any_history_ends_well(make_harness: Callable[[Store], SyncHarness], incremental: bool) -> None:
    parts = {"make_harness": staticmethod(make_harness), "incremental": incremental}
    machine = type("Deltas" if incremental else "Wholes", (History,), parts)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            print_blob=True,
        ),
    )
