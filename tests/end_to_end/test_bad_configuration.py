"""A bridge.yaml, settings or a command line that are no good: every fault is named at once, and nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NO_BRIDGE = {
    "connections: [": r"error: bad\.yaml:1:\d+: .*\. Correct the YAML there",
    "mappings: {}\nmappings: {}\n": r"error: bad\.yaml:2:1: the key mappings stands here a second time",
    "just text": r"error: bad\.yaml:1:1: must be of type object",
    "audiences: !!python/object/apply:os.system touch leak": r"error: bad\.yaml:1:\d+: could not determine",
    "a: " + "[" * 1_000: r"error: bad\.yaml: is nested too deeply\. Nest less",
}
WRONG_SHAPE = [
    ("name: meta-everyone", "name: Meta Everyone!", r"\(audiences\.0\.name\): must match the pattern"),
    ("segment: everyone", "segmnt: everyone", r"\(audiences\.0\.segment\): is missing\. Add it"),
    ("", "", r"\(audiences\.0\.segmnt\): is not a known setting\. Did you mean segment\?"),
    ("removal_limit: 1.0", "removal_limit: 30", r"\(audiences\.0\.removal_limit\): must be at most 1"),
]
WRONG_MEANING = [
    ("mapping: people", "mapping: peple", r"there is no mapping peple\. Did you mean people\?"),
    ("env:SEGMENT_TOKEN", "hunter2-hunter2", r"\.public_api_token\): holds a secret itself\. Name where it is kept"),
    ("act_1001", "hunter2", r"\(destinations\.0\.settings\.ad_account_id\): must match the pattern"),
    ("omniads_field: city", "omniads_field: cty", r"cty is not a field of the bridge\. Did you mean city\?"),
    ("traits.country}", "traits..country}", r"\(mappings\.people\.9\.cdp_field\): the path has no key at column 8"),
]
RULES = {
    "read_text('/etc/passwd')": "the function read_text is not allowed in a rule",
    "(SELECT email FROM read_csv('opted_out.csv'))": "SELECT is not allowed in a rule",
    "value IN (SELECT 1)": "SELECT is not allowed in a rule",
    "glob('/*')": "the function glob is not allowed in a rule",
    "getenv('META_TOKEN')": "the function getenv is not allowed in a rule",
    "range(100000000000)": "the function range is not allowed in a rule",
    "repeat(value, 1000000000)": "the function repeat is not allowed in a rule",
    "lpad(value, 1000000000, 'x')": "the result may be more than 250 times as long as a field",
    "COPY page TO 'leak.csv'": "not allowed in a rule|cannot be read",
    "ATTACH 'leak.db'": "not allowed in a rule|cannot be read",
    "value; INSTALL httpfs": "; is not allowed in a rule",
    "lower(value": r"line 1, column \d+",
    "value + 1": "DuckDB refuses it: .* Every field is text: cast it to compute",
}
SETTINGS = {
    "": r"settings\.json: the config is not JSON in UTF-8\. Give a config in JSON",
    '["hunter2"]': r"settings\.json: is not a config: Expected `object`, got `array`",
    '{"public_api_token": ["hunter2"], "regoin": "hunter2"}': r"public_api_token: must be of type string",
    '{"public_api_token": "env:NOT_SET_ANYWHERE"}': r"public_api_token: the environment variable .* Export",
    '{"public_api_token": "file:/no/such/file"}': r"public_api_token: the secret file .* cannot be read\. Create it",
}
USAGE = [
    (["sync"], "name the audiences to sync, or give --all"),
    (["sync", "--all", "--rejection-limit", "30"], "Invalid value for '--rejection-limit'"),
    (["plan"], "Missing option '-f' / '--file'"),
    (["check", "source-segment"], "give either --config FILE or --connection NAME"),
    (["frobnicate"], "No such command 'frobnicate'"),
]


@pytest.mark.parametrize(("text", "words"), NO_BRIDGE.items(), ids=range(len(NO_BRIDGE)))
def test_what_is_no_bridge_yaml_is_not_applied(judge: Any, untouched: None, text: str, words: str) -> None:
    judge.harness.write(text, "bad.yaml")
    judge.complains([words], "apply", "-f", "bad.yaml", "--yes")
    assert not (judge.harness.folder / "leak").exists()


@pytest.mark.parametrize("changes", [WRONG_SHAPE, WRONG_MEANING], ids=["shape", "meaning"])
def test_every_fault_of_a_bridge_yaml_is_named_with_its_line(judge: Any, untouched: None, changes: Any) -> None:
    text = (judge.harness.folder / "bridge.yaml").read_text()
    for old, new, _ in changes:
        assert old in text
        text = text.replace(old, new, 1)
    judge.harness.write(text, "bad.yaml")
    judge.complains([rf"bad\.yaml:\d+:\d+.*{words}" for *_, words in changes], "apply", "-f", "bad.yaml", "--yes")


def test_hostile_rules_are_refused_each(judge: Any, untouched: None) -> None:
    rules = "".join(
        f"    - {{omniads_field: city, cdp_field: traits.city, transformation_rule: {json.dumps(rule)}}}\n"
        for rule in RULES
    )
    text = (judge.harness.folder / "bridge.yaml").read_text().replace("suppressions:", f"{rules}suppressions:")
    judge.harness.write(text, "bad.yaml")
    expected = [
        rf"bad\.yaml:\d+:\d+ \(mappings\.people\.{number}\.transformation_rule\): .*({words})"
        for number, words in enumerate(RULES.values(), start=10)
    ]
    judge.complains(expected, "plan", "-f", "bad.yaml")
    assert not list(judge.harness.folder.glob("leak*"))


@pytest.mark.parametrize(("text", "words"), SETTINGS.items(), ids=range(len(SETTINGS)))
def test_bad_settings_are_named(judge: Any, text: str, words: str) -> None:
    judge.harness.write(text, "settings.json")
    judge.traces(words, "discover", "source-segment", "--config", "settings.json")


def test_a_check_finds_every_fault_of_the_settings(judge: Any) -> None:
    judge.harness.write('{"public_api_token": ["hunter2"], "regoin": "hunter2"}', "settings.json")
    command = judge.harness.bridge("check", "source-segment", "--config", "settings.json", "--json")
    assert (command.code, command.err, "hunter2" in command.out) == (1, "", False)
    assert [(one["passed"], one["detail"], one["remedy"]) for one in command.json] == [
        (False, "public_api_token: must be of type string", ""),
        (False, "regoin: is not a known setting", "Did you mean region?"),
    ]


@pytest.mark.parametrize(("arguments", "words"), USAGE, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_wrong_usage_ends_with_2(judge: Any, arguments: list[str], words: str) -> None:
    usage = ["Usage: cdp-bridge ", r"Try 'cdp-bridge .*--help' for help\.", "^$", f"Error: .*{words}"]
    judge.complains(usage, *arguments, code=2)


def test_a_store_that_is_none_is_left_alone(empty_judge: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database at all\n" * 200)
    for url, words in {
        "sqlite:///notes.txt": "this is not a SQLite database. Name another file; this one is left as it is",
        "sqlite:////no/such/folder/x.db": "the file cannot be made .* Check that its folder exists",
        "postgresql://u:hunter2hunter2@127.0.0.1:1/x": "the database cannot be reached. Check host, port",
        "mysql://u:hunter2hunter2@127.0.0.1/x": "mysql is not a store. Write sqlite:///path",
    }.items():
        empty_judge.complains([f"error: .*{words}"], "runs", "--store", url)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt"}
    assert (tmp_path / "notes.txt").read_text() == "no database at all\n" * 200


def test_all_of_nothing_is_no_success(empty_judge: Any) -> None:
    empty_judge.complains([r"the store has no audience to sync\. Apply a bridge\.yaml first"], "sync", "--all")
    unknown = r"there is no audience or conversion feed named vips\. Apply a bridge\.yaml first"
    empty_judge.complains([unknown], "sync", "vips")
