"""Files of batches: content, order, repeats, durability, and clear errors."""

import csv
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
from cdp_bridge import settings as settings_module
from cdp_bridge.model import Operation
from cdp_bridge.sdk import Audience, Batch, ConfigError, Outcome
from destination_file import CONNECTOR, bridge_connectors, destination
from destination_file.settings import Settings

A, B = b"\x01" * 16, b"\x02" * 16


class MakeSettings(Protocol):
    """Settings for a folder of the test, some of them changed."""

    def __call__(self, **more: object) -> Settings: ...


@pytest.fixture
def settings(tmp_path: Path) -> MakeSettings:
    def make(**more: object) -> Settings:
        return settings_module.load(Settings, {"path": str(tmp_path / "out")} | more)

    return make


class Write(Protocol):
    """Write a batch of members into the audience of a marker."""

    def __call__(
        self,
        operation: Operation = "add",
        keys: Sequence[bytes] = (A, B),
        marker: str = "vip",
        format: str = "jsonl",
        **identifiers: Sequence[Sequence[str]],
    ) -> Outcome: ...


@pytest.fixture
def write(settings: MakeSettings) -> Write:
    def send(
        operation: Operation = "add",
        keys: Sequence[bytes] = (A, B),
        marker: str = "vip",
        format: str = "jsonl",
        **identifiers: Sequence[Sequence[str]],
    ) -> Outcome:
        identifiers = identifiers or {"email": [["e1", "e2"], ["e3"]], "external_id": [[], ["a,b\n"]]}
        with destination.open(settings(format=format)) as writer:
            ref = writer.ensure(Audience(marker=marker, name="VIP"))
            return writer.write(Batch(audience=ref, operation=operation, keys=list(keys), identifiers=identifiers))

    return send


def files(tmp_path: Any) -> Any:
    """All but the hidden ones."""
    return sorted(path for path in (tmp_path / "out").rglob("[!.]*") if path.is_file())


def test_a_line_for_each_member(write: Write, tmp_path: Path) -> None:
    outcome = write()
    assert (outcome.rejected, outcome.unknown, outcome.pending) == ({}, frozenset(), None)
    (path,) = files(tmp_path)
    assert path.parent.name == "vip"
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"operation": "add", "key": A.hex(), "email": ["e1", "e2"]},
        {"operation": "add", "key": B.hex(), "email": ["e3"], "external_id": ["a,b\n"]},
    ]


def test_a_csv_line_for_each_value(write: Write, tmp_path: Path) -> None:
    write(format="csv")
    (path,) = files(tmp_path)
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["operation", "key", "identifier", "value"],
            ["add", A.hex(), "email", "e1"],
            ["add", A.hex(), "email", "e2"],
            ["add", B.hex(), "email", "e3"],
            ["add", B.hex(), "external_id", "a,b\n"],
        ]


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_a_repeat_adds_nothing_and_a_later_add_counts_again(write: Write, tmp_path: Path, format: Any) -> None:
    for operation in ("add", "add", "remove", "remove", "add"):
        write(operation, format=format)
    assert [path.name.split("-")[:2] for path in files(tmp_path)] == [
        ["00000001", "add"],
        ["00000002", "remove"],
        ["00000003", "add"],
    ]


def test_numbers_go_on_when_earlier_files_are_taken_away(write: Write, tmp_path: Path) -> None:
    for operation in ("add", "remove"):
        write(operation)
    files(tmp_path)[0].unlink()
    (tmp_path / "out" / "vip" / "notes.jsonl").write_text("kept")
    write("add")
    assert [path.name[:8] for path in files(tmp_path)] == ["00000002", "00000003", "notes.js"]


@pytest.mark.parametrize("marker", ["..", "a/b", "../../etc", "é *?", "."])
def test_no_marker_leaves_the_folder(write: Write, tmp_path: Path, marker: Any) -> None:
    write(marker=marker)
    (path,) = files(tmp_path)
    assert path.parent.parent == tmp_path / "out"


def test_only_this_user_reads_what_is_written(settings: MakeSettings, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "of" / "today"
    before = os.umask(0)
    try:
        with destination.open(settings(path=str(folder))) as writer:
            ref = writer.ensure(Audience(marker="vip", name="VIP"))
            writer.write(Batch(audience=ref, operation="add", keys=[A], identifiers={"email": [["e1"]]}))
    finally:
        os.umask(before)
    written = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").rglob("*")}
    assert {mode for path, mode in written.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in written.items() if path.is_file()} == {0o600}


def test_audiences_do_not_share_a_folder(write: Write, tmp_path: Path) -> None:
    for marker in ("a.b", "a%2Eb", "a/b", "é" * 300, "é" * 301):
        write(marker=marker)
    assert len({path.parent for path in files(tmp_path)}) == 5


def test_a_write_that_fails_leaves_no_file_and_is_done_by_the_next(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    write()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match=r"vip: cannot be written: No space left on device\. Free space"):
            write("remove")
    assert [path.suffix for path in files(tmp_path)] == [".jsonl", ".part"]
    write("remove")
    assert [path.suffix for path in files(tmp_path)] == [".jsonl", ".jsonl"]


def test_a_folder_that_is_taken_away_meanwhile_is_not_begun_in_the_middle(
    settings: MakeSettings, tmp_path: Path
) -> None:
    with destination.open(settings()) as writer:
        ref = writer.ensure(Audience(marker="vip", name="VIP"))
        shutil.rmtree(tmp_path / "out")
        with pytest.raises(ConfigError, match=r"vip: cannot be written: No such file or directory\. Free space"):
            writer.write(Batch(audience=ref, operation="add", keys=[A], identifiers={"email": [["e1"]]}))
        assert writer.ensure(Audience(marker="vip", name="VIP", ref=ref)).id != ref.id


def test_an_audience_that_cannot_be_made_is_explained(settings: MakeSettings, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with (
        destination.open(settings(path=str(tmp_path / "taken"))) as writer,
        pytest.raises(ConfigError, match=r"taken/vip: cannot be written: Not a directory\. Free space"),
    ):
        writer.ensure(Audience(marker="vip", name="VIP"))


def test_check(settings: MakeSettings, tmp_path: Path) -> None:
    (probe,) = destination.check(settings())
    assert probe.passed
    assert files(tmp_path) == []
    (tmp_path / "taken").write_text("")
    (probe,) = destination.check(settings(path=str(tmp_path / "taken")))
    assert (probe.passed, "another folder" in probe.remedy) == (False, True)


def test_discover_names_the_chosen_profile(settings: MakeSettings) -> None:
    (audience,) = destination.discover(settings(profile="google")).streams
    assert (audience.name, audience.profile, audience.operations) == ("audience", "google", ("add", "remove"))


def test_the_package_announces_its_connector_and_imports_nothing_heavy() -> None:
    assert list(bridge_connectors()) == [CONNECTOR]
    code = "import destination_file, sys; print(*{'requests', 'duckdb', 'pyarrow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
