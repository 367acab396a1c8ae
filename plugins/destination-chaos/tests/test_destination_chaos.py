"""A good platform, each fault on its own, and state that outlives the process."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest
from cdp_bridge import settings as settings_module
from cdp_bridge.sdk import Audience, Batch, ConfigError, RejectedError, TransientError
from destination_chaos import CONNECTOR, bridge_connectors, destination, held
from destination_chaos.settings import Settings

KEYS = [number.to_bytes(16) for number in range(100)]


class Platform:
    """One folder; each call is a run of its own, as by a new process."""

    def __init__(self, path: Path, **faults: Any) -> None:
        self.path, self.faults = str(path), faults

    @property
    def settings(self) -> Settings:
        return settings_module.load(Settings, {"path": self.path} | self.faults)

    def write(self, keys: Any = KEYS, operation: Any = "add", value: str = "e", times: int = 1) -> Any:
        """The outcome of the last of so many writes of one run."""
        with destination.open(self.settings) as writer:
            ref = writer.ensure(Audience(marker="m1", name="vip"))
            identifiers = {"email": [[value, key.hex()] for key in keys], "phone": [[] for _ in keys]}
            batch = Batch(audience=ref, operation=operation, keys=list(keys), identifiers=identifiers)
            return [writer.write(batch) for _ in range(times)][-1]

    def settle(self, pending: str) -> Any:
        with destination.open(self.settings) as writer:
            return writer.settle(writer.ensure(Audience(marker="m1", name="vip")), pending)

    def ensure(self, marker: str) -> str:
        with destination.open(self.settings) as writer:
            return writer.ensure(Audience(marker=marker, name="vip")).id

    @property
    def held(self) -> Any:
        (people,) = held(self.path).values()
        return people

    @property
    def keys(self) -> list[bytes]:
        return sorted(map(bytes.fromhex, self.held))


class MakePlatform(Protocol):
    """A platform in a folder of the test, with these faults."""

    def __call__(self, **faults: Any) -> Platform: ...


@pytest.fixture
def chaos(tmp_path: Path) -> MakePlatform:
    def make(**faults: Any) -> Platform:
        return Platform(tmp_path / "chaos", **faults)

    return make


def test_without_faults_it_keeps_what_it_is_told(chaos: MakePlatform) -> None:
    platform = chaos()
    for _ in range(2):
        outcome = platform.write(KEYS[:3])
        assert (outcome.rejected, outcome.unknown, outcome.pending, outcome.pause) == ({}, frozenset(), None, 0)
    platform.write(KEYS[:1], value="other")
    platform.write(KEYS[2:4], operation="remove")
    first, second = (key.hex() for key in KEYS[:2])
    assert platform.held == {first: {"email": ["other", first]}, second: {"email": ["e", second]}}


def test_an_audience_is_found_by_its_marker_and_only_in_its_folder(chaos: MakePlatform, tmp_path: Path) -> None:
    first, second = chaos().ensure("m1"), chaos().ensure("m2")
    assert first != second
    assert chaos().ensure("m1") == first
    assert set(held(chaos().path)) == {first, second}
    assert Platform(tmp_path / "another").ensure("m1") not in (first, second)


def test_nothing_is_held_where_nothing_was_written(tmp_path: Path) -> None:
    assert held(str(tmp_path)) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("faults", "error", "kept"),
    [
        ({"unavailable": 1}, TransientError, 0),
        ({"lost_answers": 1}, TransientError, len(KEYS)),
        ({"poison": 1}, RejectedError, 0),
        ({"unauthorised_after": 0}, ConfigError, 0),
        ({"bug_after": 0}, RuntimeError, 0),
    ],
)
def test_a_write_that_fails(chaos: MakePlatform, faults: dict[str, Any], error: type[Exception], kept: int) -> None:
    platform = chaos(**faults)
    with pytest.raises(error):
        platform.write()
    assert len(platform.held) == kept


@pytest.mark.parametrize("fault", ["unavailable", "lost_answers"])
@pytest.mark.parametrize("wait", [None, 7])
def test_a_passing_failure_says_how_long_to_wait(chaos: MakePlatform, fault: str, wait: Any) -> None:
    with pytest.raises(TransientError) as raised:
        chaos(**{fault: 1}, **({"retry_after": wait} if wait else {})).write()
    assert raised.value.retry_after == wait


@pytest.mark.parametrize(("fault", "error"), [("unauthorised_after", ConfigError), ("bug_after", RuntimeError)])
def test_a_run_that_breaks_after_some_writes_and_the_next_one(
    chaos: MakePlatform, fault: str, error: type[Exception]
) -> None:
    platform = chaos(**{fault: 2})
    for _ in range(2):
        platform.write(times=2)
        with pytest.raises(error):
            platform.write(times=3)


def failures(platform: Platform) -> list[bool]:
    """Of twenty writes, which fail."""

    def fails() -> bool:
        try:
            platform.write(KEYS[:1])
        except TransientError:
            return True
        return False

    return [fails() for _ in range(20)]


def test_the_same_calls_fail_again_by_seed_and_by_no_other(tmp_path: Path) -> None:
    first, again, other = (
        failures(Platform(tmp_path / name, unavailable=0.5, seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again != other
    assert {True, False} == set(first)


def poisonous(platform: Platform) -> set[bytes]:
    """Who cannot be added even alone."""

    def reason(key: bytes) -> str:
        try:
            platform.write([key])
        except RejectedError as error:
            return error.reason
        return ""

    return {key for key in KEYS[:40] if reason(key) == "chaos:poison"}


def test_a_batch_is_refused_for_the_same_members_in_each_run(chaos: MakePlatform) -> None:
    platform = chaos(poison=0.2)
    poison = poisonous(platform)
    assert 0 < len(poison) < 20
    assert poisonous(platform) == poison != poisonous(chaos(poison=0.2, seed=1))
    good = [key for key in KEYS[:40] if key not in poison]
    platform.write(good)
    for key in poison:
        with pytest.raises(RejectedError):
            platform.write([*good, key])
    platform.write(operation="remove")
    assert platform.held == {}


def test_members_are_refused_by_key_in_each_batch(chaos: MakePlatform) -> None:
    platform = chaos(refused=0.2)
    refused = platform.write().rejected
    assert set(refused.values()) == {"chaos:refused"}
    assert 0 < len(refused) < 50
    assert platform.keys == [key for key in KEYS if key not in refused]
    assert platform.write(KEYS[:50]).rejected.keys() == refused.keys() & set(KEYS[:50])
    assert platform.write(operation="remove").rejected == {}


def test_of_the_unknown_some_are_kept_and_the_next_call_tells_of_others(chaos: MakePlatform) -> None:
    platform = chaos(unknown=0.5)
    first = platform.write().unknown
    kept = first & set(platform.keys)
    assert set(KEYS) - first <= set(platform.keys)
    assert 0 < len(kept) < len(first) < len(KEYS)
    assert platform.write().unknown != first


def test_a_member_is_not_both_refused_and_unknown(chaos: MakePlatform) -> None:
    outcome = chaos(unknown=1, refused=0.5).write()
    assert outcome.unknown == set(KEYS) - outcome.rejected.keys()


def test_a_pending_write_is_done_when_a_later_process_has_asked_often_enough(chaos: MakePlatform) -> None:
    platform = chaos(pending=1, settled_after=3, refused=0.2)
    job = platform.write().pending
    for _ in range(2):
        assert platform.settle(job).pending == job
        assert platform.held == {}
    settled = platform.settle(job)
    assert settled.pending is None
    assert platform.keys == [key for key in KEYS if key not in settled.rejected]
    platform.faults["pending"] = 0
    platform.write(operation="remove")
    assert platform.settle(job) == settled
    assert platform.held == {}, "a repeated question did it again"
    with pytest.raises(RejectedError, match="no such job"):
        platform.settle("0")


def test_slow_and_pause(chaos: MakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    assert chaos(slow=1.5, pause=7).write().pause == 7
    assert slept == [1.5]


def test_a_killed_process_leaves_whole_batches(chaos: MakePlatform) -> None:
    code = """
from destination_chaos import destination, settings
from cdp_bridge.sdk import Audience, Batch
with destination.open(settings.Settings(path={path!r})) as writer:
    ref = writer.ensure(Audience(marker="m1", name="vip"))
    for number in range(1_000_000):
        keys = [(number * 50 + place).to_bytes(16) for place in range(50)]
        writer.write(Batch(audience=ref, operation="add", keys=keys, identifiers={{}}))
        print(number, flush=True)
"""
    platform = chaos()
    process = subprocess.Popen(
        [sys.executable, "-c", code.format(path=platform.path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        acknowledged = int([process.stdout.readline() for _ in range(5)][-1]) + 1
        process.kill()
        acknowledged += len(process.stdout.readlines())
    batches, rest = divmod(len(platform.held), 50)
    assert rest == 0
    assert acknowledged <= batches <= acknowledged + 1


def test_check_names_folder_and_credential(chaos: MakePlatform, tmp_path: Path) -> None:
    assert [(probe.name, probe.passed) for probe in destination.check(chaos().settings)] == [
        ("folder", True),
        ("credential", True),
    ]
    (tmp_path / "chaos" / "chaos.db").write_text("something else, long enough to be looked at")
    folder, credential = destination.check(chaos(unauthorised_after=0).settings)
    assert (folder.passed, credential.passed) == (False, False)
    assert "name another folder" in folder.remedy
    assert "Take this setting away" in credential.remedy
    with pytest.raises(ConfigError, match="file is not a database"):
        held(chaos().path)
    (tmp_path / "taken").write_text("")
    folder, _ = destination.check(Platform(tmp_path / "taken").settings)
    assert not folder.passed


def test_a_busy_folder_is_a_passing_failure(chaos: MakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    chaos().write()
    monkeypatch.setattr("destination_chaos.audiences.PATIENCE", 0)
    with closing(sqlite3.connect(Path(chaos().path, "chaos.db"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TransientError, match="another process"):
            chaos().write()


def test_discover_names_the_chosen_profile(chaos: MakePlatform) -> None:
    (audience,) = destination.discover(chaos(profile="google").settings).streams
    assert (audience.name, audience.profile, audience.operations) == ("audience", "google", ("add", "remove"))


def test_the_readme_explains_each_setting() -> None:
    text = Path(__file__).parent.parent.joinpath("README.md").read_text()
    assert [name for name in Settings.__struct_fields__ if f"`{name}" not in text and f"{name}:" not in text] == []


def test_the_package_announces_its_connector_and_imports_nothing_heavy() -> None:
    assert list(bridge_connectors()) == [CONNECTOR]
    code = "import destination_chaos, sys; print(*{'requests', 'duckdb', 'pyarrow', 'sqlite3'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
