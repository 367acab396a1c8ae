"""What a connector's process is given, what it leaves behind, and that nothing keeps it, or us, waiting."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airbyte_connectors import folders, process, program
from airbyte_connectors import source as airbyte
from cdp_bridge.sdk import ConfigError, ReadRequest, TransientError

from .conftest import Lines, LoadSource
from .lines import Json, record, state, status

Load = Callable[..., Any]
Given = Callable[[], list[Json]]
REQUEST = ReadRequest(stream="users")
SECRET = {"config": {"region": "eu", "auth": {"user": "ann"}}, "secrets": {"auth.key": "hunter2-hunter2"}}
# Starts a child, notes both process ids, and goes on for ever.
LINGER = (
    "!import subprocess\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time\\nwhile True: time.sleep(1)'])\n"
    "here.with_suffix('.ids').write_text(f'{os.getpid()} {child.pid}')"
)
QUIET = LINGER.replace("])", "], stdout=subprocess.DEVNULL)")
FOR_EVER = f"!while True: print(json.dumps({record(id=1)!r}))"
STUBBORN = "!import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What is left in the folders for private and for temporary files."""
    memory, scratch = tmp_path / "memory", tmp_path / "scratch"
    for folder in (memory, scratch):
        folder.mkdir()
    monkeypatch.setattr(folders, "MEMORY", memory)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    return lambda: [path.name for folder in (memory, scratch) for path in folder.iterdir()]


@pytest.fixture
def ended(tmp_path: Path) -> Callable[[], bool]:
    """Whether the processes that noted their ids are gone."""

    def is_gone(number: str) -> bool:
        stat = Path(f"/proc/{number}/stat")
        # A child that lost its parent stays as a zombie where process 1 reaps nobody.
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"

    def wait() -> bool:
        ids = (tmp_path / "source-scripted.ids").read_text().split()
        for _ in range(1_000):
            if all(map(is_gone, ids)):
                return True
            time.sleep(0.01)
        return False

    return wait


def test_the_config_is_a_private_file_and_no_secret_is_anywhere_else(
    source: LoadSource, given: Given, left: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_TOKEN", "of-another-connector")
    list(airbyte.read(source(SECRET, read=[status()]), REQUEST))
    discover, read = given()
    assert discover["files"]["config"] == {"region": "eu", "auth": {"user": "ann", "key": "hunter2-hunter2"}}
    assert read["files"]["config"] == discover["files"]["config"]
    assert set(read["modes"]) == {"0o600", "0o700"}
    assert "hunter2" not in str(read["arguments"]) + str(read["environment"])
    assert "OTHER_TOKEN" not in read["environment"]
    assert Path(read["environment"]["TMPDIR"]).parent.name == "scratch"
    assert Path(read["arguments"][2]).parents[1].name == "memory"
    assert left() == []


@pytest.mark.parametrize("ends", [["!sys.exit(1)"], ["!os.kill(os.getpid(), 9)"], ["{"]])
def test_nothing_is_left_after_a_failure(source: LoadSource, left: Callable[[], list[str]], ends: list[str]) -> None:
    copy = "!pathlib.Path(os.environ['TMPDIR'], 'config.json').write_text('a copy, as airbyte-cdk makes it')"
    with pytest.raises((ConfigError, TransientError)):
        list(airbyte.read(source(SECRET, read=[copy, *ends]), REQUEST))
    assert left() == []


def test_what_a_killed_process_left_goes_with_the_next_one(
    source: LoadSource, left: Callable[[], list[str]], tmp_path: Path
) -> None:
    names = ["cdp-bridge-airbyte-killed", "cdp-bridge-airbyte-alive", "cdp-bridge-airbyte-young", "other"]
    for name in names:
        folder = tmp_path / "memory" / name
        folder.mkdir()
        (folder / "config").write_text("secret")
        if not name.endswith("young"):
            os.utime(folder, (0, 0))
    alive = os.open(tmp_path / "memory" / names[1], os.O_RDONLY)
    fcntl.flock(alive, fcntl.LOCK_EX)
    airbyte.discover(source())
    os.close(alive)
    assert sorted(left()) == sorted(names[1:])


@pytest.mark.parametrize("manner", [[], [STUBBORN]])
def test_a_read_that_is_given_up_ends_the_process_and_its_children(
    source: LoadSource,
    left: Callable[[], list[str]],
    ended: Callable[[], bool],
    monkeypatch: pytest.MonkeyPatch,
    manner: list[str],
) -> None:
    monkeypatch.setattr(process, "GRACE", 0.1)
    items = airbyte.read(source(read=[*manner, LINGER, FOR_EVER]), REQUEST)
    next(items)
    items.close()
    assert ended()
    assert left() == []


def test_children_of_a_process_that_has_ended_are_ended_too(source: LoadSource, ended: Callable[[], bool]) -> None:
    said: Lines = [QUIET, state({"at": 1}), status()]
    assert len(list(airbyte.read(source(read=said), REQUEST))) == 1
    assert ended()


def test_a_flood_on_stderr_stops_nothing_and_is_logged_in_part(
    source: LoadSource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", process.__name__)
    flood = "!for number in range(20_000): print('x' * 100, file=sys.stderr)"
    assert list(airbyte.read(source(read=[flood, status()]), REQUEST)) == []
    assert len([text for text in caplog.messages if "xxx" in text]) == process.LOGGED_LINES


def test_a_connector_that_falls_silent_counts_as_stuck(source: LoadSource, ended: Callable[[], bool]) -> None:
    settings = source({"patience": 1}, read=[LINGER, "!import time; time.sleep(600)"])
    with pytest.raises(TransientError, match="has said nothing for 1 seconds"):
        list(airbyte.read(settings, REQUEST))
    assert ended()


def test_a_connector_that_does_not_end_counts_as_stuck(source: LoadSource, ended: Callable[[], bool]) -> None:
    closed = "!os.close(1); os.close(2); import time; time.sleep(600)"
    settings = source({"patience": 1}, read=[QUIET, status(), closed])
    with pytest.raises(TransientError, match="does not end"):
        list(airbyte.read(settings, REQUEST))
    assert ended()


def test_a_line_without_end_is_refused(source: LoadSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LONGEST_LINE", 1_000)
    with pytest.raises(ConfigError, match="prints a line of more than 1000 bytes"):
        list(airbyte.read(source(read=["!print('x' * 1_000_000, flush=True)", status()]), REQUEST))


def test_a_last_line_without_a_break_counts(source: LoadSource) -> None:
    said = f"!print(json.dumps({status()!r}), end='')"
    assert list(airbyte.read(source(read=[record(id=1), said]), REQUEST))


def test_no_format_shows_a_secret_and_the_settings_stay_as_they_were(source: LoadSource) -> None:
    settings = source(SECRET)
    assert "hunter2" not in repr(settings) + repr(program.Program(settings))
    assert program.with_secrets(settings)["auth"]["key"] == "hunter2-hunter2"
    assert settings.config == {"region": "eu", "auth": {"user": "ann"}}
