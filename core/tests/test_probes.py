"""Checks: what is found, what failed with which remedy, and what was left out for it."""

from collections.abc import Callable

import pytest
from cdp_bridge.errors import ConfigError, RejectedError, TransientError
from cdp_bridge.model import Probe
from cdp_bridge.probes import run_probes


def good(text: str = "fine") -> Callable[[], str]:
    return lambda: text


def bad(error: Exception | None = None) -> Callable[[], str]:
    def check() -> str:
        raise error or ConfigError("no such list", remedy="Check the id")

    return check


def test_findings_come_in_order() -> None:
    assert run_probes({"token": good("valid"), "list": good()}) == [
        Probe("token", True, "valid"),
        Probe("list", True, "fine"),
    ]
    assert run_probes({}) == []


def test_a_failure_has_its_remedy_and_names_what_was_left_out() -> None:
    probes = run_probes({"token": good(), "list": bad(), "quota": bad(AssertionError()), "terms": good()})
    assert [probe.name for probe in probes] == ["token", "list"]
    assert probes[1] == Probe("list", False, "no such list (so not checked: quota, terms)", "Check the id")


@pytest.mark.parametrize("error", [TransientError("down"), RejectedError("no", reason="x:1"), ConfigError("no")])
def test_each_of_our_errors_is_a_finding(error: Exception) -> None:
    (probe,) = run_probes({"token": bad(error)})
    assert (probe.passed, str(error) in probe.detail) == (False, True)


def test_a_fault_of_the_connector_is_none() -> None:
    with pytest.raises(ZeroDivisionError):
        run_probes({"token": bad(ZeroDivisionError())})


def test_only_what_needs_a_failed_check_is_left_out() -> None:
    needs = {"warehouse": None, "profiles": "space"}
    checks = {"space": bad(), "audiences": good(), "warehouse": bad(), "tables": good(), "profiles": good()}
    probes = run_probes(checks, needs=needs)
    assert [(probe.name, probe.detail.partition("(")[2]) for probe in probes] == [
        ("space", "so not checked: audiences, profiles)"),
        ("warehouse", "so not checked: tables)"),
    ]
    checks["space"] = good()
    assert [probe.name for probe in run_probes(checks, needs=needs)] == ["space", "audiences", "warehouse", "profiles"]
