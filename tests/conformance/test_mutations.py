"""The kit finds each fault that it is there for, and blames nothing else: a connector that breaks one rule fails the
tests of this rule only.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.settings import schema
from cdp_bridge.testing import DestinationSuite, SourceSuite
from hostile.breaches import BREACHES, Breach
from hostile.settings import Account

SPEC = Path(__file__).parents[2] / "docs" / "connector-spec.md"
GOOD = ("source-good", "destination-good")
Lines = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Lines:
    """By connector, the lines that the kit reports."""
    folder = tmp_path_factory.mktemp("mutations")
    committed = dict.fromkeys(GOOD, Account) | {breach.connector.name: breach.committed for breach in BREACHES}
    (folder / "connector_specs").mkdir()
    for name, settings in committed.items():
        (folder / "connector_specs" / f"{name}.json").write_text(json.dumps(schema(settings)))
    shutil.copy(Path(__file__).with_name("breaches.py"), folder)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--tb=short"]
    done = subprocess.run([*command, "breaches.py", "--must-report", "report"], cwd=folder, capture_output=True)
    assert done.returncode == 1, done.stdout.decode()[-5_000:]
    found: Lines = defaultdict(list)
    for line in map(json.loads, (folder / "report").read_text().splitlines()):
        found[line["connector"]].append(line)
    return found


def musts_of(*suites: type) -> set[int]:
    """The rules that suites test."""
    names = [re.match(r"test_must_(\d\d)_[a-z0-9_]+$", name) for suite in suites for name in dir(suite)]
    return {int(name[1]) for name in names if name}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_connector_passes_all_and_skips_nothing(lines: Lines, name: str) -> None:
    assert [line for line in lines[name] if line["outcome"] != "passed"] == []
    suite = SourceSuite if name == "source-good" else DestinationSuite
    assert {line["must"] for line in lines[name]} == musts_of(suite)


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.must:02}-{breach.connector.name}")
def test_a_breach_is_found_and_nothing_else_is_blamed(lines: Lines, breach: Breach) -> None:
    failed = [line for line in lines[breach.connector.name] if line["outcome"] == "failed"]
    others = [line for line in failed if line["must"] != breach.must]
    assert {line["must"] for line in failed} == {breach.must}, others


BY_KEY = (17, 18, 19, 22, 23, 26, 28, 29, 30, 31, 32, 33, 42)
"""Rules about records, audiences and members."""


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.must:02}-{breach.connector.name}")
def test_a_message_says_what_was_seen_and_what_to_do_and_names_nobody(lines: Lines, breach: Breach) -> None:
    for line in lines[breach.connector.name]:
        if line["outcome"] == "failed":
            message = re.findall(r"^E +(?:AssertionError|Failed): (.*)", line["reason"], re.MULTILINE)[-1]
            assert line["rule"]
            assert "; " in message, "SEEN; REMEDY"
            assert not re.search(r"canar(y|ina)|birdwell|person\.\d|@", message, re.IGNORECASE)
            if breach.must in BY_KEY:
                assert re.search(r"expected .+ got ", message), message


def test_every_rule_has_a_test_and_every_test_a_rule() -> None:
    rules = [int(number) for number in re.findall(r"^\| MUST (\d\d) \|", SPEC.read_text(), re.MULTILINE)]
    assert rules == list(range(1, len(rules) + 1))
    assert musts_of(SourceSuite, DestinationSuite) == set(rules)
    assert {breach.must for breach in BREACHES} == set(rules)
