"""Reason codes: each one that the code can give is explained, and the page says the same."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cdp_bridge import reasons
from cdp_bridge.cli.identity import NOT_A_QUESTION, UNKNOWN_FIELD

ROOT = Path(__file__).parents[2]
SOURCES = [
    *(ROOT / "core/cdp_bridge").rglob("*.py"),
    *(path for path in (ROOT / "plugins").glob("destination-*/*/*.py") if "tests" not in path.parts),
]
GENERAL = "<platform>:<code>"
CODE = re.compile(r"(?:meta|google|tiktok|http):[a-z_]+")


def platform_codes() -> Iterator[str]:
    """The platform codes in lower case that are written in the code; others are the platforms' own."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                yield node.value


def value_codes() -> Iterator[str]:
    """The reasons of identity steps and of the checks of profiles."""
    for path in (ROOT / "core/cdp_bridge/identity").glob("*.py"):
        yield from re.findall(r"refus(?:e|al)\(['\"](\w+)['\"]\)", path.read_text())
    for path in [*(ROOT / "core").rglob("profiles/*.json"), *(ROOT / "plugins").rglob("profiles/*.json")]:
        for rule in json.loads(path.read_text()).get("fields", {}).values() if "vectors" not in path.name else ():
            yield from rule.get("checks", {}).values()
    yield from re.findall(r"'\w+:(\w+)'", (ROOT / "core/cdp_bridge/identity/compile.py").read_text())
    yield from re.findall(r'None, False, "(\w+)"\)', (ROOT / "core/cdp_bridge/identity/explain.py").read_text())
    yield from (NOT_A_QUESTION, UNKNOWN_FIELD)


def staging_codes() -> Iterator[str]:
    """The reasons by which mapping and staging drop a person or an event."""
    for path in [*(ROOT / "core/cdp_bridge/mapping").glob("*.py"), ROOT / "core/cdp_bridge/staging/stage.py"]:
        yield from re.findall(r"THEN '(\w+:?\w*)'", path.read_text())


def queue_codes() -> Iterator[str]:
    for room in ("flow", "orchestration"):
        for path in (ROOT / "core/cdp_bridge" / room).glob("*.py"):
            yield from re.findall(r"(?:reason=|_give_up\(message, )\"(\w+)\"", path.read_text())


def test_each_code_of_a_platform_is_explained() -> None:
    codes = set(platform_codes())
    assert len(codes) > 15
    assert [code for code in codes if (found := reasons.find(code)) is None or found.pattern == GENERAL] == []


def test_each_code_of_a_value_is_explained() -> None:
    codes = set(value_codes())
    assert codes > {"not_a_to_z", "incomplete", "not_taken", "unknown", "out_of_range", "unknown_field"}
    found = {code: reasons.find_value(f"email:{code}") for code in codes}
    assert [code for code, reason in found.items() if reason is None or not (reason.meaning and reason.remedy)] == []


def test_each_code_of_staging_is_explained() -> None:
    codes = {code for code in staging_codes() if ":" not in code or not code.endswith(":")}
    people = {code for code in codes if reasons.find(code)}
    values = {code for code in codes if reasons.find_value(code)}
    assert {"no_user_id", "too_old"} <= people
    assert "value:not_a_number" in values
    assert codes - people - values == set()


def test_each_code_of_a_queue_is_explained() -> None:
    codes = set(queue_codes())
    assert codes == {reason.pattern for reason in reasons.QUEUE}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("no_consent:ads", "no consent for ads"),
        ("unidentifiable:nothing_given", "no field that identifies the person has a value"),
        ("unidentifiable:email:invalid", "no value identifies the person; the first refused is email (invalid)"),
        ("meta:100/33", "meta refused it with its error 100/33"),
        ("http:413", "the request is too large"),
        ("what_is_this", ""),
        ("no_consent:", ""),
    ],
)
def test_a_code_in_words(code: str, words: str) -> None:
    assert reasons.explain(code) == words


def test_rows_of_a_table() -> None:
    assert reasons.explained({"suppressed": 2}) == [("suppressed", 2, "on a suppression list")]
    assert reasons.explained({"email:empty": 1}, values=True)[0][2] == "nothing is left after normalising"


def test_the_page_has_the_same_tables() -> None:
    assert (ROOT / "docs/reasons.md").read_text().endswith(reasons.page())
