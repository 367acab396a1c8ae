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
from msgspec import Struct

from cdp_bridge import settings
from cdp_bridge.connectors import manifest
from cdp_bridge.model import Connector, Probe, Stream
from cdp_bridge.testing import leaks, waits
from cdp_bridge.testing.executable import Executable
from cdp_bridge.testing.harness import AnyHarness, Clock, Harness, pointed_at
from cdp_bridge.testing.relay import Fault, Relay
from cdp_bridge.testing.rules import schemas, streams
from cdp_bridge.testing.rules.faults import FaultSuite
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
    """The tests of both kinds. A subclass sets `connector`; a fixture `twin` gives the server that it works against."""

    connector: ClassVar[Connector]

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """Waits that take no time, except those for the end of a process."""
        clock = Clock()
        monkeypatch.setattr(subprocess, "time", SimpleNamespace(sleep=time.sleep))
        waits.replaced(monkeypatch, clock.sleep)
        return clock

    @pytest.fixture
    def relay(self, twin: SourceTwin | DestinationTwin) -> Iterator[Relay | None]:
        """The relay between connector and twin, where they speak HTTP."""
        if not twin.url:
            yield None
            return
        with Relay(twin.url).running() as relay:
            yield relay

    @pytest.fixture
    def wire(self, relay: Relay | None) -> Relay:
        """The relay, for rules about HTTP."""
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
        """The schema of the settings is valid, refuses unknown ones, and has a title for each."""
        Draft7Validator.check_schema(schema)
        assert schema.get("type") == "object", "the settings are no object; make them a Struct"
        open_groups = [f"{path or 'the root'}" for path, group in schemas.groups(schema) if not _is_closed(group)]
        assert not open_groups, f"unknown settings are taken; set forbid_unknown_fields=True: {open_groups}"
        untitled = [path for path, part in schemas.settings(schema) if not part.get("title") and "const" not in part]
        assert not untitled, f"settings have no title; annotate them with option(TITLE, SENTENCE): {untitled}"

    def test_must_02_secrets_are_marked(self, schema: dict[str, Any], twin: SourceTwin | DestinationTwin) -> None:
        """A setting that is named or looks like a credential, or a person's address or number, is a Secret."""
        clear = [path for path, part in schemas.settings(schema) if schemas.is_clear_text(part)]
        named = [path for path in clear if _PRIVATE.search(path.rpartition(".")[2])]
        assert not named, f"named like a credential or a person's address; make it a Secret: {named}"
        hidden = settings.secrets(schema, twin.settings)
        given = [(path, text) for path, text in _texts(twin.settings) if path not in hidden]
        shown = [".".join(path) for path, text in given if _REVEALING.search(text)]
        assert not shown, f"a password, an address or a number in the twin's settings; make it a Secret: {shown}"

    def test_must_03_settings_stay_compatible(self, schema: dict[str, Any], request: pytest.FixtureRequest) -> None:
        """Settings of the committed schema are taken, secrets stay marked, and connectors.json is true to the code."""
        file = Path("connector_specs") / f"{self.connector.name}.json"
        committed = next((path / file for path in request.path.parents if (path / file).is_file()), None)
        if committed is None:
            pytest.fail(f"there is no {file} beside the tests or above; cdp-bridge spec {self.connector.name} > {file}")
        old = json.loads(committed.read_text(encoding="utf-8"))
        narrowed = schemas.narrowed(old.get("connectionSpecification", old), schema)
        assert not narrowed, (
            f"refuses settings that {file} accepts; give them a default, or take the old form too: {narrowed}"
        )
        described = manifest.described(self.connector)
        assert described in (None, manifest.description(self.connector)), (
            f"{manifest.FILE} does not say what the code says; cdp-bridge spec {self.connector.name} --manifest"
            f" > {manifest.package_of(self.connector)}/{manifest.FILE}"
        )

    def test_must_04_spec_loads_nothing_heavy(self, executable: Executable) -> None:
        """Importing the connector and printing its spec imports no client, database or CDK."""
        completed = executable("spec", interpreter=["-X", "importtime"])
        assert completed.of("SPEC"), (
            f"spec ended with exit code {completed.code} and no SPEC; run it by hand: {completed.stderr[-200:]}"
        )
        lines = [line for line in completed.stderr.splitlines() if line.startswith("import time:")]
        loaded = HEAVY & {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
        assert not loaded, (
            f"spec imports {sorted(loaded)}; import them in the module of Connector.load, where they are used"
        )

    def test_must_05_check_passes_and_names_its_probes(self, harness: Harness) -> None:
        """The check has probes, each with a name of its own, and all pass under good settings."""
        probes = harness.code.check(harness.settings)
        names = [probe.name for probe in probes]
        assert names, "check gives no probe; return a Probe for each thing that can be wrong"
        assert all(names), f"a probe has no name; give each one: {names}"
        assert len(set(names)) == len(names), f"two probes have the same name; give each its own: {names}"
        failed = [f"{probe.name}: {probe.detail}" for probe in probes if not probe.passed]
        assert not failed, f"good settings do not pass; mend check, or the twin's settings: {failed}"

    def test_must_06_wrong_settings_fail_with_a_remedy(self, harness: AnyHarness) -> None:
        """A wrong credential or path fails a probe that has a remedy; nothing is raised."""
        _failed_with_remedies(harness, harness.load(_wrong(harness)), "wrong settings")

    def test_must_07_an_absent_vendor_fails_with_a_remedy(self, harness: AnyHarness, wire: Relay) -> None:
        """A vendor that only answers 503 fails a probe that has a remedy; nothing is raised."""
        wire.fail(Fault(status=503), times=None)
        _failed_with_remedies(harness, harness.settings, "nothing but 503")

    def test_must_08_streams_are_complete(self, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
        """Streams have unique names and all that a mapping needs; those of a destination need no network."""
        if self.connector.kind == "destination":
            monkeypatch.setattr(socket.socket, "connect", _no_network)
        offered: Sequence[Stream] = harness.code.discover(harness.settings).streams
        assert offered, "discover gives no stream; return at least one"
        complaints = streams.complaints(offered, self.connector.kind)
        assert not complaints, f"streams are not complete; mend discover: {complaints}"

    def test_must_09_nothing_leaks(
        self, harness: AnyHarness, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """No secret and no person turns up in logs, stdout, stderr, errors, probes or URLs, whatever fails."""
        private = leaks.secrets(harness) | leaks.people(harness)
        recorder = leaks.Recorder(caplog, capfd)
        _work_and_record(harness, recorder, "good settings")
        _work_and_record(dataclasses.replace(harness, raw=_wrong(harness)), recorder, "wrong settings")
        if harness.relay:
            cut, half = Fault(kind="cut_before"), Fault(kind="half")
            for fault in (
                leaks.echoes(400, private),
                leaks.echoes(401, private),
                leaks.echoes(500, private),
                cut,
                half,
            ):
                harness.relay.fail(fault, times=None)
                _work_and_record(harness, recorder, f"{fault.kind} {fault.status}")
                harness.relay.heal()
            for sent in harness.relay.requests:
                recorder.record(f"the URL of a {sent.method}", sent.path)
        leaks_in = recorder.leaks(private)
        assert not leaks_in, f"a secret or a person turned up; quote nothing of a request or an answer: {leaks_in}"

    def test_must_12_the_executable_does_the_same(self, harness: AnyHarness, executable: Executable) -> None:
        """Check and the job itself have the same result in process and as an executable."""
        passed = all(probe.passed for probe in harness.code.check(harness.settings))
        (status,) = executable("check", config=harness.raw).of("CONNECTION_STATUS")
        assert (status["status"] == "SUCCEEDED") == passed, (
            f"check passes in process: {passed}, as executable: {status['status']}; keep no state between commands"
        )
        by_executable, in_process = harness.by_executable(executable), harness.in_process()
        wrong = harness.differs(in_process, by_executable)
        assert by_executable == in_process, f"the executable: {wrong}; do the same in process and as an executable"


def _wrong(harness: AnyHarness) -> dict[str, Any]:
    return pointed_at(harness.relay, harness.twin, harness.twin.wrong_settings)


def _no_network(connecting: socket.socket, address: object) -> None:
    connecting.close()
    pytest.fail("discover of a destination uses the network; give the streams that the code knows")


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


def _failed_with_remedies(harness: Harness, loaded: Struct, cause: str) -> None:
    try:
        probes: list[Probe] = harness.code.check(loaded)
    except Exception as error:
        pytest.fail(f"check raised a {type(error).__name__} under {cause}; make its probes by Probe.of: {error}")
    failed = [probe for probe in probes if not probe.passed]
    assert failed, f"check passes under {cause}; try in a probe what the work will need"
    silent = [probe.name for probe in failed if not probe.remedy.strip()]
    assert not silent, f"failed probes have no remedy; say in Probe.remedy what to do: {silent}"


def _work_and_record(harness: AnyHarness, recorder: leaks.Recorder, cause: str) -> None:
    """Check, discover and do the job, whether or not they succeed."""
    fresh = harness.anew()
    for name, job in (
        ("check", lambda: recorder.probes(fresh.code.check(fresh.settings))),
        ("discover", lambda: fresh.code.discover(fresh.settings)),
        ("the work", fresh.work),
    ):
        try:
            job()
        except Exception as error:
            recorder.record(f"the {type(error).__name__} that {name} raised under {cause}", error)
