"""Runs commands with bad input in a sandbox and checks complaint, store and platform."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cdp_bridge.staging.packing import unpack

TABOO = ("Traceback", "bug:", "fault in the connector", "hunter2", "secret.person")
"""Nobody should see these; bad input holds `hunter2` where a secret belongs and `secret.person` where people do."""
STRONG = {"email": "EMAIL", "phone": "PHONE", "mobile_ad_id": "MADID"}
Pairs = set[tuple[str, str]]


class Judge:
    """Runs commands with bad input in a sandbox, and says what the store and the platform hold."""

    def __init__(self, harness: Any) -> None:
        self.harness = harness

    def complains(self, patterns: Iterable[str], *arguments: str, code: int = 1, **more: str) -> None:
        """Run a command that must fail with one line on stderr for each pattern, in any order."""
        command = self.harness.bridge(*arguments, **more)
        output = command.err + command.out
        assert command.code == code, output
        for taboo in TABOO:
            assert taboo not in output
        lines, patterns = command.err.splitlines(), list(patterns)
        assert len(lines) == len(patterns), output
        for pattern in patterns:
            assert any(re.search(pattern, line) for line in lines), (pattern, output)

    def traces(self, pattern: str, *arguments: str, **more: str) -> Any:
        """Run a command of Airbyte's protocol that must fail with a configuration error as its last message."""
        command = self.harness.bridge(*arguments, **more)
        assert (command.code, command.err) == (1, "")
        for taboo in TABOO:
            assert taboo not in command.out
        error = json.loads(command.out.splitlines()[-1])["trace"]["error"]
        assert error["failure_type"] == "config_error"
        assert re.search(pattern, error["message"]), error["message"]
        return command

    def state(self) -> dict[str, Any]:
        """Everything that must not change: configuration, ledger and open deliveries here, every audience there."""
        held = {"platform": self.harness.meta("audiences")}
        if not Path(self.harness.store_url.removeprefix("sqlite:///")).exists():
            return held
        with self.harness.store() as store:
            bridge = store.bridge()
            names = [one.name for one in store.audiences()]
            return held | {
                "bridge": msgspec.to_builtins(bridge),
                "ledger": {name: [one for chunk in store.ledger.members(name) for one in chunk] for name in names},
                "deliveries": {name: store.deliveries(name) for name in names},
            }

    def eligible(self, segment: str) -> set[str]:
        """Who belongs into an audience by the ground truth of the Segment twin."""
        people = self.harness.ask(f"{self.harness.twins.segment}/_twin/people")
        return {
            one["canonical_segment_id"]
            for one in people
            if segment in one["audiences"] and one["consent"] and not one["suppressed"] and one["identifiable_by"]
        }

    def members(self, audience: str) -> set[str]:
        """Who is in by the ledger; what it holds of them must be exactly what the platform holds."""
        with self.harness.store() as store:
            known = [one for chunk in store.ledger.members(audience) for one in chunk]
            ref = store.audience_ref(audience)
            assert store.deliveries(audience) == []
        rows = self.harness.ask(f"{self.harness.twins.meta}/_twin/audiences/{ref.id}/rows")
        there: Pairs = {(column, row[key]) for row in rows for column, key in STRONG.items() if key in row}
        here: Pairs = set().union(*(_strong(unpack(one.identifiers)) for one in known))
        assert here == there
        return {str(one.user_id) for one in known}


def _strong(identifiers: Mapping[str, list[Any]]) -> Pairs:
    return {
        (column, value.hex() if isinstance(value, bytes) else value)
        for column in STRONG
        for value in identifiers.get(column, ())
    }


@pytest.fixture(scope="session")
def harness(bridge_sandbox: Any) -> Iterator[Any]:
    """A sandbox with 300 people and the audience `meta-everyone`, applied and not yet synced."""
    with bridge_sandbox(300, "everyone") as created:
        yield created


@pytest.fixture(scope="session")
def judge(harness: Any) -> Judge:
    return Judge(harness)


@pytest.fixture
def empty_judge(harness: Any, tmp_path: Path) -> Judge:
    """The same twins, with a folder and a store of its own."""
    environment = {**harness.environment, "CDP_BRIDGE_STORE": f"sqlite:///{tmp_path}/cdp-bridge.db"}
    return Judge(dataclasses.replace(harness, folder=tmp_path, environment=environment))


@pytest.fixture
def untouched(judge: Judge) -> Iterator[None]:
    """Nothing of the sandbox may change while the test runs."""
    before = judge.state()
    yield
    assert judge.state() == before
