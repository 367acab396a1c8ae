"""Tiny real distributions, as plugin authors install them, in a temporary folder on sys.path."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import pytest
from airbyte_protocol_dataclasses.models import AirbyteMessage, AirbyteStateBlob
from cdp_bridge.cli import main
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.identity import installed
from cdp_bridge.protocol import execute
from serpyco_rs import CustomType, Serializer

INSTALLED = Path(__file__).parent / "installed"


class Site:
    """A folder of installed distributions."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(self, name: str, modules: dict[str, str], points: str | None = None, version: str = "1.2.3") -> None:
        """A distribution with these modules, each an entry point of its own unless `points` says otherwise."""
        for module, text in modules.items():
            (self.path / f"{module}.py").write_text(text)
        installed.cache_clear()
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        default = "[cdp_bridge]\n" + "".join(f"{module} = {module}\n" for module in modules)
        (info / "entry_points.txt").write_text(default if points is None else points)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield Site(folder)
    installed.cache_clear()
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def shop(site: Site) -> Site:
    """The site with a source and a destination installed."""
    site.install("cdp-bridge-shop", {path.stem: path.read_text() for path in INSTALLED.glob("*.py")})
    return site


class Told:
    """What an executable printed: every line parsed by Airbyte's own message types, nothing lost on the way."""

    def __init__(self, code: int, raw: bytes) -> None:
        self.code, self.raw = code, raw
        self.messages = [json.loads(line) for line in raw.splitlines()]
        assert not raw or raw.endswith(b"\n")
        for message in self.messages:
            assert _airbyte.dump(_airbyte.load(message)) == _as_airbyte(_without_nulls(message))

    def of(self, kind: str) -> list[Any]:
        """The bodies of all messages of a type."""
        return [message[_FIELDS[kind]] for message in self.messages if message["type"] == kind]

    @property
    def error(self) -> dict[str, Any]:
        """The one error trace."""
        (found,) = [trace["error"] for trace in self.of("TRACE") if trace["type"] == "ERROR"]
        return dict(found)

    @property
    def statuses(self) -> list[tuple[str, str]]:
        """(stream, status) in order."""
        traces = [trace["stream_status"] for trace in self.of("TRACE") if trace["type"] == "STREAM_STATUS"]
        return [(one["stream_descriptor"]["name"], one["status"]) for one in traces]


class _Blob(CustomType[Any, Any]):
    def serialize(self, value: Any) -> Any:
        return value

    def deserialize(self, value: Any) -> Any:
        return value

    def get_json_schema(self) -> dict[str, Any]:
        return {"type": "object"}


_airbyte = Serializer(
    AirbyteMessage,
    omit_none=True,
    custom_type_resolver=lambda kind: _Blob() if kind is AirbyteStateBlob else None,
)
_FIELDS = {
    "RECORD": "record",
    "STATE": "state",
    "LOG": "log",
    "SPEC": "spec",
    "CONNECTION_STATUS": "connectionStatus",
    "CATALOG": "catalog",
    "TRACE": "trace",
    "DESTINATION_CATALOG": "destination_catalog",
}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    return value


def _as_airbyte(message: Any) -> Any:
    """The message with the defaults of Airbyte's types, and without what they do not know of a STATE."""
    if message["type"] == "SPEC":
        return {**message, "spec": {"supportsNormalization": False, "supportsDBT": False, **message["spec"]}}
    if message["type"] == "STATE":
        # A state belongs to the platform; `global` is a Python keyword, which the generated types spell otherwise.
        known = {key: value for key, value in message["state"].items() if key not in ("id", "global")}
        return {**message, "state": known}
    return message


class Run(Protocol):
    """Run a connector's executable in this process, its files given as keyword arguments."""

    def __call__(self, name: str, command: str, *, stdin: bytes = b"", **files: Any) -> Told: ...


@pytest.fixture
def told() -> Callable[[int, bytes], Told]:
    return Told


@pytest.fixture
def executable(shop: Site, tmp_path: Path) -> Run:
    """Run a connector's executable in this process, its files given as keyword arguments."""

    def run(name: str, command: str, *, stdin: bytes = b"", **files: Any) -> Told:
        arguments = [command]
        for option, content in files.items():
            path = tmp_path / f"{option}.json"
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
            arguments += [f"--{option}", str(path)]
        output = io.BytesIO()
        code = execute(Registry().connector(name), arguments, io.BytesIO(stdin), output)
        return Told(code, output.getvalue())

    return run


class MakeCatalog(Protocol):
    """A configured catalog of streams by name; keyword arguments go into every stream."""

    def __call__(self, *names: str, **extra: Any) -> dict[str, Any]: ...


@pytest.fixture
def catalog() -> MakeCatalog:
    """A configured catalog of streams by name; keyword arguments go into every stream."""

    def configured(*names: str, **extra: Any) -> dict[str, Any]:
        streams = [
            {
                "stream": {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
                "sync_mode": "full_refresh",
                "destination_sync_mode": "append",
                **extra,
            }
            for name in names
        ]
        return {"streams": streams}

    return configured


class WriteScript(Protocol):
    """Settings of source-shop that make it yield these items."""

    def __call__(self, *items: dict[str, Any]) -> dict[str, str]: ...


@pytest.fixture
def script(tmp_path: Path) -> WriteScript:
    """Settings of source-shop that make it yield these items."""

    def write(*items: dict[str, Any]) -> dict[str, str]:
        path = tmp_path / "script.jsonl"
        path.write_text("\n".join(map(json.dumps, items)))
        return {"script": str(path)}

    return write


class Process(subprocess.Popen[bytes]):
    """A process that is spoken with by pipes."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]


Start = Callable[[str, Sequence[str]], Process]


@pytest.fixture
def start(shop: Site) -> Iterator[Start]:
    """Start a connector's executable as a process of its own."""
    started = []

    def run(module: str, arguments: Sequence[str]) -> Process:
        code = f"import sys; sys.path.insert(0, {str(shop.path)!r}); import {module}; {module}.main()"
        pipe = subprocess.PIPE
        process = Process([sys.executable, "-c", code, *arguments], stdin=pipe, stdout=pipe, stderr=pipe)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


class Answer:
    """What a `cdp-bridge` command printed, and its exit code."""

    def __init__(self, code: Any, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli(Protocol):
    """Run a `cdp-bridge` command in this process."""

    def __call__(self, *arguments: object, stdin: bytes = b"") -> Answer: ...


@pytest.fixture
def cli(
    shop: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    """Run a `cdp-bridge` command in this process, with a store in a folder of its own as default."""
    monkeypatch.setenv("CDP_BRIDGE_STORE", f"sqlite:///{tmp_path / 'bridge.db'}")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments: object, stdin: bytes = b"") -> Answer:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        printed = capfd.readouterr()
        return Answer(ended.value.code, printed.out, printed.err)

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
