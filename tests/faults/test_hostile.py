"""Whatever a connector does to the core: one plain sentence names it, nothing of people or secrets turns up, ledger and
audience stay right, and the next good run makes both sides equal.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.cli import main
from cdp_bridge.cli.sync import _Watcher
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount
from cdp_bridge.staging.packing import unpack
from cdp_bridge.store import Store
from cdp_bridge.store.window import Window
from cdp_bridge.testing.configuring import configure
from cdp_bridge.testing.vendor import SEGMENT, TOKEN, Vendor
from hostile.misdeeds import PERSON, PHONE

NAME = "vip"
TABOO = (PERSON, PHONE, TOKEN, "person.", "Traceback")
"""What nobody may see or keep: the misdeeds' person, the credential, the vendor's people."""
FAULT = "{} failed with {}; this is a fault in the connector"
REDACTED = "cannot take <email> of <number>"

FAULTS = {
    ("source", "discover"): {
        "raises SystemExit": "SystemExit",
        "raises RecursionError": "RecursionError",
        "gives None": "TypeError",
        "offers no streams": "ValidationError",
        "offers a stream without a name": "ValidationError",
    },
    ("source", "read"): {
        "raises Quit": "Quit",
        "raises MemoryError": "MemoryError",
        "tells all in a bug": "RuntimeError",
        "gives a number": "TypeError",
        "gives a text": "TypeError",
    },
    ("source", "item"): {
        "raises GeneratorExit": "GeneratorExit",
        "raises SystemExit": "SystemExit",
        "raises StopIteration": "RuntimeError",
        "gives None": "TypeError",
        "gives a list of numbers": "TypeError",
        "yields numbers as records": "TypeError",
        "yields None as records": "TypeError",
        "yields a state of objects": "TypeError",
        "yields a state in itself": "RecursionError",
        "yields a state that is no object": "ValidationError",
    },
    ("destination", "discover"): {
        "raises KeyError": "KeyError",
        "gives a text": "TypeError",
        "offers a stream without a name": "ValidationError",
    },
    ("destination", "open"): {"raises SystemExit": "SystemExit", "gives None": "AttributeError"},
    ("destination", "ensure"): {
        "raises SystemExit": "SystemExit",
        "gives None": "TypeError",
        "names no audience": "ValidationError",
        "names an audience at length": "UnicodeEncodeError",
    },
    ("destination", "write"): {
        "raises SystemExit": "SystemExit",
        "raises Quit": "Quit",
        "tells all in a bug": "RuntimeError",
        "gives None": "TypeError",
        "gives an object": "TypeError",
        "rejects nobody": "KeyError",
        "rejects by number": "ValidationError",
        "rejects in None": "ValidationError",
        "pauses for ever": "ValidationError",
        "pauses for no number": "ValidationError",
        "leaves a number pending": "ValidationError",
    },
    ("destination", "close"): {"raises SystemExit": "SystemExit", "raises KeyError": "KeyError"},
}
"""Where which misdeed is a fault, and by what name it goes."""
CASES = [(*where, *case) for where, cases in FAULTS.items() for case in cases.items()]
ODD_RECORDS = ("keys that are no text", "bytes", "NaN", "objects", "a heap", "a record in itself", "a deep record")
"""The last two cannot be printed as JSON."""
PRINTABLE = 5
SURVIVED = [
    *(("source", "item", f"yields {records}") for records in ODD_RECORDS),
    ("source", "read", "yields another stream too"),
    ("source", "read", "yields an empty page too"),
    ("source", "read", "closes stdout"),
    ("source", "discover", "alters what it got"),
    ("destination", "ensure", "closes stdout"),
    ("destination", "ensure", "alters what it got"),
    ("destination", "write", "alters what it got"),
]
CHECKED = {
    "raises KeyError": "KeyError",
    "raises SystemExit": "SystemExit",
    "raises RecursionError": "RecursionError",
    "raises Quit": "Quit",
    "tells all in a bug": "RuntimeError",
    "gives None": "TypeError",
    "gives a list of numbers": "ValidationError",
    "probes without names": "ValidationError",
}


class SyncHarness:
    """The vendor, and a bridge from its segment to its list by the hostile connectors."""

    def __init__(self, folder: Path, vendor: Vendor, capture: pytest.CaptureFixture[str]) -> None:
        self._folder, self.vendor, self._capture = folder, vendor, capture
        self._store = f"sqlite:///{folder}/store.db"

    def run(self, *arguments: str, **files: Any) -> tuple[int, str, str]:
        """A command in this process: exit code, stdout, stderr; neither of them, nor what is kept, may hold a taboo."""
        code, out, err = self._ended(*arguments, **files)
        kept = b"".join(path.read_bytes() for path in self._folder.glob("store.db*")).decode("latin-1")
        found = [taboo for taboo in TABOO for text in (out, err, kept) if taboo in text]
        assert not found, (out, err)
        return code, out, err

    def _ended(self, *arguments: str, **files: Any) -> tuple[int, str, str]:
        for name, content in files.items():
            path = self._folder / f"{name}.json"
            path.write_text(json.dumps(content))
            arguments = (*arguments, f"--{name}", str(path))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = self._capture.readouterr()
        return int(str(ended.value.code)), out, err

    def sync(self, *more: str, **wrongs: dict[str, str]) -> tuple[int, str, str]:
        """`cdp-bridge sync` with misdeeds in `source` or `destination`."""
        settings = {"token": "env:VENDOR_TOKEN", "base_url": self.vendor.url}
        source, destination = (settings | wrongs.get(side, {}) for side in ("source", "destination"))
        bridge = Bridge(
            connections=(CDPConnection(name="cdp", cdp_provider="source-hostile", api_credentials=source),),
            destinations=(DestinationAccount(name="ads", connector="destination-hostile", settings=destination),),
            mappings={
                "people": (
                    DataMapping(omniads_field="user_id", cdp_field="id"),
                    DataMapping(omniads_field="email", cdp_field="emails"),
                )
            },
            audiences=(
                Activation(
                    name=NAME, connection="cdp", segment=SEGMENT, destination="ads", mapping="people", removal_limit=1.0
                ),
            ),
        )
        with Store.open(self._store) as store:
            configure(store, bridge)
        return self.run("sync", NAME, "--store", self._store, *more)

    @property
    def held(self) -> set[str]:
        """The addresses, hashed, of those at the vendor."""
        (members,) = self.vendor.held.values() or [{}]
        assert len(set(map(tuple, members.values()))) == len(members)
        return {value for values in members.values() for value in values}

    @property
    def wanted(self) -> set[str]:
        """The same of those in the segment."""
        return {hashed(address) for person in self.vendor.people.values() for address in person["emails"]}

    def acknowledged(self) -> set[str]:
        """The same of those whom the ledger calls accepted, for sure."""
        with Store.open(self._store) as store:
            members = [one for chunk in store.ledger.members(NAME) for one in chunk]
        accepted = [one for one in members if one.outcome == "accepted" and one.fingerprint]
        return {
            value.hex() for one in accepted for value in unpack(one.identifiers)["email"] if isinstance(value, bytes)
        }

    def reasons(self) -> set[str]:
        """Why people are dead letters."""
        with Store.open(self._store) as store:
            return {letter.reason for letter in store.dead_letters.listed(NAME, window=Window(limit=None))}

    def read(self, misdeed: str, at: str) -> tuple[int, str]:
        """`cdp-bridge read` of the source: exit code and stdout, which is full of people."""
        modes = {"sync_mode": "full_refresh", "destination_sync_mode": "append"}
        stream = {"name": "people", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
        catalog = {"streams": [{"stream": stream, **modes}]}
        code, out, err = self._ended("read", "source-hostile", config=self.settings(misdeed, at), catalog=catalog)
        assert err == ""
        return code, out

    def settings(self, misdeed: str, at: str) -> dict[str, str]:
        """Raw settings of either connector."""
        return {"token": "env:VENDOR_TOKEN", "base_url": self.vendor.url, "misdeed": misdeed, "at": at}

    def recovers(self) -> None:
        """The next good run ends well, with both sides and the ledger equal."""
        code, _, err = self.sync()
        assert (code, err) == (0, "")
        assert self.held == self.acknowledged() == self.wanted
        with Store.open(self._store) as store:
            assert store.deliveries(NAME) == []


def hashed(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A store and a vendor after a good first run: the folder of the one, what the other holds."""
    return tmp_path_factory.mktemp("beginning"), {}


@pytest.fixture
def harness(
    beginning: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[SyncHarness]:
    """A harness in which everybody was synced once; since then somebody came, changed, and left."""
    folder, state = beginning
    monkeypatch.setenv("VENDOR_TOKEN", TOKEN)
    vendor = Vendor()
    with vendor.running():
        if not state:
            SyncHarness(folder, vendor, capfd).recovers()
            state |= {name: copy.deepcopy(getattr(vendor, name)) for name in ("lists", "held")}
        for path in folder.glob("store.db*"):
            shutil.copy(path, tmp_path)
        for name, value in copy.deepcopy(state).items():
            setattr(vendor, name, value)
        vendor.churn()
        yield SyncHarness(tmp_path, vendor, capfd)


@pytest.mark.parametrize(("side", "at", "misdeed", "what"), CASES)
def test_a_fault_ends_the_run_and_names_its_connector(
    harness: SyncHarness, side: str, at: str, misdeed: str, what: str
) -> None:
    stay = harness.held & harness.wanted
    code, _, err = harness.sync(**{side: {"misdeed": misdeed, "at": at}})
    assert (code, err) == (1, f"{NAME}: {FAULT.format(f'{side}-hostile', what)}\n")
    assert stay <= harness.held
    assert harness.acknowledged() & harness.wanted <= harness.held
    harness.recovers()


@pytest.mark.parametrize(("side", "at", "misdeed"), SURVIVED)
def test_what_does_no_harm_is_borne(harness: SyncHarness, side: str, at: str, misdeed: str) -> None:
    code, _, err = harness.sync(**{side: {"misdeed": misdeed, "at": at}})
    assert (code, err) == (0, "")
    assert harness.held == harness.acknowledged() == harness.wanted


@pytest.mark.parametrize(("side", "at"), [("source", "item"), ("destination", "write")])
def test_what_a_connector_prints_is_redacted_and_no_part_of_the_result(
    harness: SyncHarness, side: str, at: str
) -> None:
    code, out, err = harness.sync("--json", **{side: {"misdeed": "prints", "at": at}})
    assert code == 0
    assert json.loads(out)[0]["status"] == "succeeded"
    assert set(re.findall(r'"email": "(.*?)"', err)) == {"<email>"}


@pytest.mark.parametrize(("side", "at"), [("source", "discover"), ("source", "item"), ("destination", "write")])
def test_an_error_that_quotes_everything_is_redacted(harness: SyncHarness, side: str, at: str) -> None:
    code, _, err = harness.sync(**{side: {"misdeed": "tells all in a ConfigError", "at": at}})
    assert code == 1
    assert err.startswith(f"{NAME}: {REDACTED}")
    harness.recovers()


def test_a_reason_that_quotes_people_is_redacted(harness: SyncHarness) -> None:
    code, _, _ = harness.sync(destination={"misdeed": "tells all in a reason", "at": "write"})
    assert code == 3
    assert harness.reasons() == {REDACTED}


def test_an_endless_wait_is_an_hour(harness: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(_Watcher, "sleep", lambda _, seconds: slept.append(seconds))
    code, _, err = harness.sync(destination={"misdeed": "asks for an endless wait", "at": "ensure"})
    assert (code, err.endswith(f"{NAME}: busy\n")) == (1, True)
    assert set(slept) == {3_600.0}
    harness.recovers()


@pytest.mark.parametrize("misdeed", ["raises SystemExit", "gives None"])
def test_what_is_pending_is_asked_for_again_after_a_fault(harness: SyncHarness, misdeed: str) -> None:
    assert harness.sync(destination={"misdeed": "leaves it pending", "at": "write"})[0] == 0
    code, _, err = harness.sync(destination={"misdeed": misdeed, "at": "settle"})
    assert code == 1
    assert err.startswith(f"{NAME}: destination-hostile failed with ")
    harness.recovers()


@pytest.mark.parametrize(
    ("side", "at", "misdeed", "said"),
    [
        ("source", "item", "raises SystemExit", "the process of source-hostile ended with exit code 0"),
        ("source", "item", "gives None", "source-hostile failed with AttributeError"),
        ("destination", "write", "raises Quit", "the process of destination-hostile ended with exit code 1"),
        ("destination", "write", "tells all in a bug", "destination-hostile failed with RuntimeError"),
        ("destination", "write", "gives an object", "destination-hostile failed with TypeError"),
    ],
)
def test_a_process_of_its_own_changes_nothing_of_that(
    harness: SyncHarness, side: str, at: str, misdeed: str, said: str
) -> None:
    code, _, err = harness.sync("--launcher", "local", **{side: {"misdeed": misdeed, "at": at}})
    assert code == 1
    assert err.startswith(f"{NAME}: {said}")
    harness.recovers()


@pytest.mark.parametrize(("misdeed", "what"), CHECKED.items())
@pytest.mark.parametrize("connector", ["source-hostile", "destination-hostile"])
def test_check_names_the_connector_at_fault(harness: SyncHarness, connector: str, misdeed: str, what: str) -> None:
    code, out, err = harness.run("check", connector, "--json", config=harness.settings(misdeed, "check"))
    (probe,) = json.loads(out)
    assert (code, err, probe["passed"], probe["detail"]) == (1, "", False, FAULT.format(connector, what))


@pytest.mark.parametrize("misdeed", ["tells all in a ConfigError", "tells all in a probe"])
def test_check_redacts_what_a_connector_finds(harness: SyncHarness, misdeed: str) -> None:
    code, out, _ = harness.run("check", "source-hostile", "--json", config=harness.settings(misdeed, "check"))
    assert code == 1
    assert REDACTED in out


@pytest.mark.parametrize(("misdeed", "what"), [("raises SystemExit", "SystemExit"), ("gives None", "TypeError")])
@pytest.mark.parametrize("connector", ["source-hostile", "destination-hostile"])
def test_discover_names_the_connector_at_fault(harness: SyncHarness, connector: str, misdeed: str, what: str) -> None:
    code, out, _ = harness.run("discover", connector, config=harness.settings(misdeed, "discover"))
    assert (code, error_in(out)) == (1, FAULT.format(connector, what))


@pytest.mark.parametrize(
    ("at", "misdeed", "what"), [(at, misdeed, what) for side, at, misdeed, what in CASES if side == "source"]
)
def test_read_names_the_connector_at_fault(harness: SyncHarness, at: str, misdeed: str, what: str) -> None:
    code, out = harness.read(misdeed, at)
    assert (code, error_in(out)) == (1, FAULT.format("source-hostile", what))


@pytest.mark.parametrize("records", ODD_RECORDS[:PRINTABLE])
def test_read_prints_odd_records_as_well_as_json_can(harness: SyncHarness, records: str) -> None:
    code, out = harness.read(f"yields {records}", "item")
    assert code == 0
    assert len([line for line in messages(out) if line["type"] == "RECORD"]) == len(harness.vendor.people)


@pytest.mark.parametrize("records", ODD_RECORDS[PRINTABLE:])
def test_read_of_what_no_json_can_hold_is_an_error(harness: SyncHarness, records: str) -> None:
    code, out = harness.read(f"yields {records}", "item")
    assert code == 1
    assert error_in(out)


@pytest.mark.parametrize(
    ("misdeed", "what"),
    [("raises SystemExit", "SystemExit"), ("gives None", "TypeError"), ("gives a text", "ValueError")],
)
def test_a_dry_run_names_the_connector_at_fault(harness: SyncHarness, misdeed: str, what: str) -> None:
    code, out, err = harness.sync("--dry-run", destination={"misdeed": misdeed, "at": "preview"})
    assert (code, out, err) == (1, "", f"error: {FAULT.format('destination-hostile', what)}\n")


def messages(out: str) -> list[dict[str, Any]]:
    """Every line that a command of the protocol printed."""
    return [json.loads(line) for line in out.splitlines()]


def error_in(out: str) -> str:
    """What the last message says."""
    return str(messages(out)[-1]["trace"]["error"]["message"])
