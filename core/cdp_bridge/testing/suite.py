"""The MUSTs of every connector (01 to 09, 12; the others are in faults.py), which both kinds build on."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from jsonschema import Draft7Validator

from cdp_bridge import settings
from cdp_bridge.model import Connector, Probe, Stream
from cdp_bridge.testing import leaks, schemas, streams, waits
from cdp_bridge.testing.bench import Bench, Clock, pointed_at
from cdp_bridge.testing.executable import Executable
from cdp_bridge.testing.faults import FaultSuite
from cdp_bridge.testing.relay import Fault, Relay
from cdp_bridge.testing.twin import DestinationTwin, SourceTwin

HEAVY = {
    *("requests", "urllib3", "httpx", "aiohttp", "pyarrow", "pandas", "polars", "numpy", "duckdb", "sqlalchemy"),
    *("psycopg", "sqlglot", "airbyte_cdk", "google", "boto3", "botocore", "grpc", "facebook_business"),
}
_PRIVATE = re.compile(
    r"(^|_)(token|secret|pass(word|wd|phrase)|credential|(api|access|private|secret|signing|write)_?key|dsn"
    r"|e?_?mail(_address)?|phone(_number)?|mobile(_number)?|msisdn)s?$",
    re.IGNORECASE,
)
_REVEALING = re.compile(r"\w+://[^\s/:@]+:[^\s/@]+@|[^\s@/:]+@[^\s@/:]+\.\w+|\+\d[\d\s().-]{7,}")


class ConnectorSuite(FaultSuite):
    """What both kinds have in common. A subclass sets `connector`; a fixture `twin` says what it works against."""

    connector: ClassVar[Connector]

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """Waits that cost nothing, but for those for the end of a process."""
        clock = Clock()
        monkeypatch.setattr(subprocess, "time", SimpleNamespace(sleep=time.sleep))
        waits.replaced(monkeypatch, clock.sleep)
        return clock

    @pytest.fixture
    def relay(self, twin: SourceTwin | DestinationTwin) -> Iterator[Relay | None]:
        """What stands between connector and twin, where they speak HTTP."""
        if not twin.url:
            yield None
            return
        with Relay(twin.url).running() as relay:
            yield relay

    @pytest.fixture
    def wire(self, relay: Relay | None) -> Relay:
        """The relay, for tests of what can only happen over HTTP."""
        if relay is None:
            pytest.skip("does not speak HTTP with its twin")
        return relay

    @pytest.fixture
    def executable(self, tmp_path: Path) -> Executable:
        """The connector as a process."""
        folder = tmp_path / "executable"
        folder.mkdir()
        return Executable(self.connector, folder)

    @pytest.fixture
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the connector's settings."""
        return settings.schema(self.connector.settings)

    def test_must_01_settings_have_a_strict_schema(self, schema: dict[str, Any]) -> None:
        """The schema is valid, refuses unknown settings, and has a title for each."""
        Draft7Validator.check_schema(schema)
        assert schema.get("type") == "object"
        open_groups = [f"{path or 'the root'}" for path, group in schemas.groups(schema) if not _is_closed(group)]
        assert not open_groups, f"takes unknown settings; set forbid_unknown_fields=True: {open_groups}"
        untitled = [path for path, part in schemas.settings(schema) if not part.get("title") and "const" not in part]
        assert not untitled, f"has no title; annotate it with option(TITLE, SENTENCE): {untitled}"

    def test_must_02_secrets_are_marked(self, schema: dict[str, Any], twin: SourceTwin | DestinationTwin) -> None:
        """What is named or looks like a credential, an address or a number of a person is a Secret."""
        clear = [path for path, part in schemas.settings(schema) if schemas.is_clear_text(part)]
        named = [path for path in clear if _PRIVATE.search(path.rpartition(".")[2])]
        assert not named, f"sounds like a credential or like somebody's address: make it a Secret: {named}"
        hidden = settings.secrets(schema, twin.settings)
        given = [(path, text) for path, text in _texts(twin.settings) if path not in hidden]
        shown = [".".join(path) for path, text in given if _REVEALING.search(text)]
        assert not shown, f"holds a password, an address or a number in the twin's settings: make it a Secret: {shown}"

    def test_must_03_settings_stay_compatible(self, schema: dict[str, Any], request: pytest.FixtureRequest) -> None:
        """All that the committed schema accepts is accepted, and what it marks as secret stays marked."""
        file = Path("connector_specs") / f"{self.connector.name}.json"
        committed = next((path / file for path in request.path.parents if (path / file).is_file()), None)
        if committed is None:
            pytest.fail(f"there is no {file} beside the tests or above: cdp-bridge spec {self.connector.name} > {file}")
        old = json.loads(committed.read_text(encoding="utf-8"))
        narrowed = schemas.narrowed(old.get("connectionSpecification", old), schema)
        assert not narrowed, f"refuses settings that {file} accepts: {narrowed}"

    def test_must_04_spec_loads_nothing_heavy(self, executable: Executable) -> None:
        """Importing the connector and printing its spec imports no client, database or CDK."""
        ended = executable("spec", interpreter=["-X", "importtime"])
        assert ended.of("SPEC"), f"spec ended with exit code {ended.code} and without a SPEC"
        lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
        loaded = HEAVY & {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
        assert not loaded, f"import them where they are used, not when the package is imported: {sorted(loaded)}"

    def test_must_05_check_passes_and_names_its_probes(self, bench: Bench) -> None:
        """Each probe has a name of its own, and all pass under good settings."""
        probes = bench.code.check(bench.settings)
        names = [probe.name for probe in probes]
        assert names, "check found nothing; return a Probe for each thing that can be wrong"
        assert all(names), f"a probe has no name: {names}"
        assert len(set(names)) == len(names), f"a name is there twice: {names}"
        failed = [f"{probe.name}: {probe.detail}" for probe in probes if not probe.passed]
        assert not failed, f"good settings do not pass: {failed}"

    def test_must_06_wrong_settings_fail_with_a_remedy(self, bench: Any) -> None:
        """A wrong credential or path fails a probe that says what to do; nothing is raised."""
        _failed_with_remedies(bench, bench.load(_wrong(bench)), "wrong settings")

    def test_must_07_an_absent_vendor_fails_with_a_remedy(self, bench: Any, wire: Relay) -> None:
        """A vendor that only answers 503 fails a probe that says what to do; nothing is raised."""
        wire.fail(Fault(status=503), times=None)
        _failed_with_remedies(bench, bench.settings, "nothing but 503")

    def test_must_08_streams_are_complete(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """Streams have unique names and what a mapping needs; those of a destination need no network."""
        if self.connector.kind == "destination":
            monkeypatch.setattr(socket.socket, "connect", _no_network)
        offered: Sequence[Stream] = bench.code.discover(bench.settings).streams
        assert offered, "discover offers no stream"
        complaints = streams.complaints(offered, self.connector.kind)
        assert not complaints, complaints

    def test_must_09_nothing_leaks(
        self, bench: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """No secret and no person turns up in logs, streams, errors, probes or URLs, whatever happens."""
        private = leaks.secrets(bench) | leaks.people(bench)
        ear = leaks.Ear(caplog, capfd)
        _work_and_listen(bench, ear, "good settings")
        _work_and_listen(dataclasses.replace(bench, raw=_wrong(bench)), ear, "wrong settings")
        if bench.relay:
            cut, half = Fault(kind="cut_before"), Fault(kind="half")
            for fault in (
                leaks.echoes(400, private),
                leaks.echoes(401, private),
                leaks.echoes(500, private),
                cut,
                half,
            ):
                bench.relay.fail(fault, times=None)
                _work_and_listen(bench, ear, f"{fault.kind} {fault.status}")
                bench.relay.heal()
            for sent in bench.relay.requests:
                ear.hears(f"the URL of a {sent.method}", sent.path)
        found = ear.leaks(private)
        assert not found, f"a secret or a person turned up in {found}"

    def test_must_12_the_executable_does_the_same(self, bench: Any, executable: Executable) -> None:
        """Check and the job itself end the same in process and as an executable."""
        passed = all(probe.passed for probe in bench.code.check(bench.settings))
        (status,) = executable("check", config=bench.raw).of("CONNECTION_STATUS")
        assert (status["status"] == "SUCCEEDED") == passed, "check says one thing in process and another as executable"
        assert bench.by_executable(executable) == bench.in_process(), "the executable's result differs"


def _wrong(bench: Any) -> dict[str, Any]:
    return pointed_at(bench.relay, bench.twin, bench.twin.wrong_settings)


def _no_network(connecting: socket.socket, address: object) -> None:
    connecting.close()
    pytest.fail("discover of a destination must answer without the network; it connects to something")


def _is_closed(group: schemas.Schema) -> bool:
    return group.get("additionalProperties") is False


def _texts(raw: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in raw settings, and where it stands."""
    if isinstance(raw, str):
        yield path, raw
    elif isinstance(raw, Sequence):
        for part in raw:
            yield from _texts(part, (*path, "*"))
    elif isinstance(raw, Mapping):
        for name, part in raw.items():
            yield from _texts(part, (*path, name))


def _failed_with_remedies(bench: Bench, loaded: Any, cause: str) -> None:
    try:
        probes: list[Probe] = bench.code.check(loaded)
    except Exception as error:
        pytest.fail(f"check raised a {type(error).__name__} under {cause}; build its probes with Probe.of: {error}")
    failed = [probe for probe in probes if not probe.passed]
    assert failed, f"check passes under {cause}"
    silent = [probe.name for probe in failed if not probe.remedy.strip()]
    assert not silent, f"a failed probe must say in remedy what to do about it: {silent}"


def _work_and_listen(bench: Any, ear: leaks.Ear, cause: str) -> None:
    """Check, discover and do the job, whatever comes of it."""
    fresh = bench.anew()
    for name, job in (
        ("check", lambda: ear.probes(fresh.code.check(fresh.settings))),
        ("discover", lambda: fresh.code.discover(fresh.settings)),
        ("the work", fresh.work),
    ):
        try:
            job()
        except Exception as error:
            ear.hears(f"the {type(error).__name__} that {name} raised under {cause}", error)
