"""Catalogs, states and lines that are no good: the place is named, what came before a bad line is kept, and once the
input is mended nothing is missing or double.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

CATALOG = '{"streams": [{"stream": {"name": "members"}}]}'
CATALOGS = {
    "{": r"catalog\.json: the catalog is not JSON in UTF-8\. Give a catalog in JSON",
    "[]": r"catalog\.json: is not a catalog: Expected `object`, got `array`\. See the Airbyte protocol",
    CATALOG.replace("members", "secret.person@example.com"): r"there is no stream <email>\. Choose from: members",
    CATALOG.replace("}]", '}, {"stream": {"name": "members"}}]'): "the stream members is there twice. Keep one entry",
}
STATES = {
    "hunter2": r"state\.json: the state is not JSON in UTF-8\. Give a state in JSON",
    '{"members": "hunter2"}': r"state\.json: is not a list of states\. Give the STATE messages of the last read",
}
LINES = {
    '{"type": "RECORD", "record": {"stream": "members", "data": {"email": "secret.person@exam': "is not JSON in UTF-8",
    '{"type": "RECORD", "record": {"stream": "members", "data": "secret.person@example.com"}}': "is not a message",
    '{"type": "RECORD", "record": {"stream": "others", "data": {"email": "secret.person@example.com"}}}': "the catalog",
    '{"type": "RECORD"}': "is a RECORD without its content",
}
QUESTIONS = ("secret.person@example.com", '{"field": "shoe", "raw": "secret.person"}', '["secret.person"]')
STATE = '{"type": "STATE", "state": {"type": "LEGACY", "data": {}}}'


@pytest.fixture
def reader(empty_judge: Any) -> Any:
    """A judge in whose folder `settings.json` and `catalog.json` read a file of two people."""
    harness = empty_judge.harness
    harness.write("id,email\n1,secret.person@example.com\n2,b@example.com\n", "people.csv")
    harness.write(json.dumps({"path": str(harness.folder / "people.csv")}), "settings.json")
    harness.write(CATALOG, "catalog.json")
    return empty_judge


@pytest.mark.parametrize(("text", "words"), CATALOGS.items(), ids=range(len(CATALOGS)))
def test_a_catalog_that_is_no_good(reader: Any, text: str, words: str) -> None:
    reader.harness.write(text, "catalog.json")
    told = reader.traces(words, "read", "source-file", "--config", "settings.json", "--catalog", "catalog.json")
    assert '"RECORD"' not in told.out


@pytest.mark.parametrize(("text", "words"), STATES.items(), ids=range(len(STATES)))
def test_a_state_that_is_no_good(reader: Any, text: str, words: str) -> None:
    reader.harness.write(text, "state.json")
    files = ("--config", "settings.json", "--catalog", "catalog.json", "--state", "state.json")
    assert '"RECORD"' not in reader.traces(words, "read", "source-file", *files).out


def test_a_bad_line_stops_the_writing_and_costs_nobody(empty_judge: Any, tmp_path: Path) -> None:
    harness, name = empty_judge.harness, tmp_path.name
    settings = {"access_token": "env:META_TOKEN", "ad_account_id": "1001", "base_url": harness.twins.meta}
    harness.write(json.dumps(settings), "settings.json")
    harness.write(CATALOG.replace("members", name), "catalog.json")
    write = ("write", "destination-meta", "--config", "settings.json", "--catalog", "catalog.json")
    first, rest = [*records(name, range(2)), STATE], [*records(name, range(2, 5)), STATE]
    for bad, words in LINES.items():
        stdin = "\n".join([*first, bad.replace("members", name), *rest])
        told = empty_judge.traces(rf"line 4 of the input: .*{words}.*\. Nothing after it was", *write, stdin=stdin)
        assert told.out.count('"STATE"') == 1
        assert held(harness, name) == 2
    mended = harness.bridge(*write, stdin="\n".join([*first, *rest]))
    assert (mended.code, mended.out.count('"STATE"')) == (0, 2)
    assert held(harness, name) == 5


@pytest.mark.parametrize("bad", QUESTIONS, ids=range(len(QUESTIONS)))
def test_a_bad_question_is_named_by_its_line(empty_judge: Any, bad: str) -> None:
    stdin = f'{{"field": "email", "raw": "a@example.org"}}\n\n{bad}\n'
    words = r"error: line 3: .*\. Write"
    empty_judge.complains([words], "identity", "--profile", "meta", stdin=stdin)


def records(stream: str, numbers: Iterable[int]) -> list[str]:
    """One line for each person."""
    bodies = ({"stream": stream, "data": {"email": f"{n}@example.org"}, "emitted_at": 1} for n in numbers)
    return [json.dumps({"type": "RECORD", "record": body}) for body in bodies]


def held(harness: Any, name: str) -> int:
    """How many rows the platform holds in the audience of that name."""
    (audience,) = [one for one in harness.meta("audiences") if one["name"] == name]
    return int(audience["held_rows"])
