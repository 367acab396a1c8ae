"""Real runs that a worker carries out and may cancel: they end at once and leave nothing held."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount, RunRequest, SyncLog
from cdp_bridge.errors import ConfigError
from cdp_bridge.orchestration import worker
from cdp_bridge.orchestration.runner import Runner
from cdp_bridge.orchestration.worker import Cancellation, sync_on_request
from cdp_bridge.store import Store
from cdp_bridge.sync.reading import SharedRead
from cdp_bridge.sync.session import held
from cdp_bridge.testing.configuring import configure

PEOPLE = 3_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with one audience, from a file of people into files."""
    rows = [f"u{number},person{number}@example.com" for number in range(PEOPLE)]
    (tmp_path / "people.csv").write_text("\n".join(["id,email", *rows]))
    source = CDPConnection(
        name="exports",
        cdp_provider="source-file",
        api_credentials={"path": f"{tmp_path}/people.csv", "id_column": "id"},
    )
    out = DestinationAccount(name="out", connector="destination-file", settings={"path": f"{tmp_path}/out"})
    mapping = tuple(DataMapping(omniads_field=name, cdp_field=field) for name, field in FIELDS.items())
    vip = Activation(name="vip", connection="exports", segment="vip", destination="out", mapping="people")
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        configure(
            opened, Bridge(connections=(source,), destinations=(out,), mappings={"people": mapping}, audiences=(vip,))
        )
        yield opened


FIELDS = {"user_id": "id", "email": "email"}


def run(store: Store, asked: RunRequest, cancellation: Cancellation) -> SyncLog:
    with held(store, asked.audience) as lease:
        return sync_on_request(Runner(store, Registry()))(asked, cancellation, lease, SharedRead().tickets[0])


def request(audience: str = "vip") -> RunRequest:
    return RunRequest(
        id="1", audience=audience, kind="manual", requested_at=datetime.now(UTC), requested_by="test", state="running"
    )


def test_a_run_that_is_let_go_succeeds(store: Store) -> None:
    cancellation = Cancellation(store, request(), threading.Event())
    log = run(store, request(), cancellation)
    assert (log.status, log.adds, cancellation.reason) == ("succeeded", PEOPLE, None)


def test_a_run_that_is_handed_over_ends_at_once_and_the_next_one_goes_on(store: Store) -> None:
    shutdown = threading.Event()
    shutdown.set()
    cancellation = Cancellation(store, request(), shutdown)
    log = run(store, request(), cancellation)
    assert (log.status, cancellation.reason) == ("failed", "handed over")
    assert log.error == "the worker was asked to stop, and has handed the run over to another one"
    assert store.ledger.count("vip") == 0
    next_log = run(store, request(), Cancellation(store, request(), threading.Event()))
    assert next_log.status == "succeeded"


def test_a_run_that_is_cancelled_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.0)
    asked = store.requests.add("vip", "test")
    with store.requests.hold("vip") as lease:
        store.requests.start(asked.id, lease)
    store.requests.cancel(asked.id)
    cancellation = Cancellation(store, asked, threading.Event())
    log = run(store, asked, cancellation)
    assert (log.status, log.error, cancellation.reason) == ("failed", "the run was cancelled", "cancelled")


def test_an_audience_that_is_gone_is_named(store: Store) -> None:
    with pytest.raises(ConfigError, match=r"audiences\.gone: is not configured any more"):
        run(store, request("gone"), Cancellation(store, request(), threading.Event()))
