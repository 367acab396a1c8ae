"""Two workers, each on a host of its own as far as network and name go, share one PostgreSQL and one NATS and outlive
whatever happens to either.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount, Retry, Schedule
from cdp_bridge.errors import BridgeError
from cdp_bridge.flow import RUNS, Address, Flow
from cdp_bridge.orchestration import dispatcher as dispatch
from cdp_bridge.orchestration.dispatcher import Dispatcher
from cdp_bridge.secrets import Secret
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure
from destination_chaos import held
from msgspec.structs import replace

from tests.postgres import Postgres

Until = Callable[[Callable[[], Any]], Any]

HERE, SUBNET, SWITCH = "10.213.77.1", "10.213.77.0/24", "cdpb-switch"
POSTGRES, QUEUE = 54677, 42677
LISTENING = f"-h {HERE} -p {POSTGRES}"
STORE = f"postgresql://postgres@{HERE}:{POSTGRES}/postgres"
PEOPLE, AUDIENCES = 250, 10
OUTAGE_SECONDS = 6.0
SHORT = replace(RUNS, silence=1.5)
# `cdp-bridge worker` on a host of another name, with a lease of seconds.
WORKER = """
import socket, sys
import msgspec
from cdp_bridge import cli, flow
from cdp_bridge.orchestration import worker
from cdp_bridge.sync import session
socket.sethostname(sys.argv.pop(1))
msgspec.structs.force_setattr(flow.RUNS, "silence", 1.5)
session.LEASE_SECONDS, worker.MAX_WAIT = 4.0, 0.5
cli.main()
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Queue:
    """A NATS server of this test's own, reached through the network."""

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_urlsafe()
        self.file = folder / "queue.json"
        url = f"nats://{HERE}:{QUEUE}"
        self.file.write_text(json.dumps({"url": url, "token": "env:QUEUE_TOKEN"}))
        self.address = Address(url=url, token=Secret(self.token))
        self._configuration = folder / "nats.json"
        self._configuration.write_text(
            json.dumps(
                {
                    "listen": f"{HERE}:{QUEUE}",
                    "authorization": {"token": self.token},
                    "jetstream": {"store_dir": str(folder / "nats"), "sync_interval": "always"},
                }
            )
        )

    def start(self) -> None:
        program = Path(sys.executable).with_name("nats-server")
        self._process = subprocess.Popen([program, "-c", self._configuration], stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Site:
    """The two servers, and hosts that a switch connects with them; `name` stands for a host and its worker."""

    def __init__(self, folder: Path, postgres: Postgres, queue: Queue) -> None:
        self.folder, self.postgres, self.queue = folder, postgres, queue
        self.store, self.chaos = Store.open(STORE), folder / "chaos"
        self.workers: dict[str, subprocess.Popen[str]] = {}
        self._hosts: list[str] = []

    def connect(self, name: str) -> None:
        """A new host."""
        number = len(self._hosts) + 2
        self._hosts.append(name)
        ip("netns", "add", name)
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", name, "master", SWITCH, "up")
        ip("-n", name, "addr", "add", f"10.213.77.{number}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")

    def start(self, name: str) -> None:
        """The worker of a host."""
        separately = ["ip", "netns", "exec", name, "unshare", "--uts", sys.executable, "-c", WORKER, name]
        command = [*separately, "worker", "--slots", "1", "--queue", str(self.queue.file)]
        environment = {"CDP_BRIDGE_STORE": STORE, "QUEUE_TOKEN": self.queue.token}
        self.workers[name] = subprocess.Popen(
            command, env=os.environ | environment, stderr=subprocess.PIPE, text=True, process_group=0
        )

    def busy(self, name: str) -> tuple[str, int]:
        """An audience that a host is working on, in the middle of its run, and the fencing token."""
        query = """SELECT lease.name, lease.token FROM lease JOIN run ON 'audience:' || run.audience = lease.name
                   JOIN run_request ON run_request.audience = run.audience AND run_request.token = lease.token
                   WHERE holder LIKE %s AND expires_at > 0 AND run.status = 'running' AND run.adds > 0
                   AND run_request.state = 'running'"""
        while True:
            with psycopg.connect(STORE) as connection:
                row = connection.execute(query, [f"% on {name} %"]).fetchone()
            if row:
                return row[0].removeprefix("audience:"), row[1]
            assert self.workers[name].poll() is None, self.workers[name].communicate()
            time.sleep(0.02)

    def is_taken(self, audience: str, token: int) -> bool:
        """Whether somebody else has an audience now, or is done with it."""
        with psycopg.connect(STORE) as connection:
            row = connection.execute("SELECT token FROM lease WHERE name = %s", [f"audience:{audience}"]).fetchone()
        return row is not None and row[0] > token

    def configure(self, slow: float) -> list[str]:
        """Audiences of the same people whose runs take a second or two, and nobody in any of them yet."""
        people = ["id,email", *(f"u{number},person.{number}@example.com" for number in range(PEOPLE))]
        (self.folder / "people.csv").write_text("\n".join(people))
        source = {"path": str(self.folder / "people.csv"), "id_column": "id"}
        names = [f"vip-{number}" for number in range(AUDIENCES)]
        # A folder for each: one that sleeps in the middle of a write must not hold up the others.
        destinations = tuple(
            DestinationAccount(
                name=name, connector="destination-chaos", settings={"path": str(self.chaos / name), "slow": slow}
            )
            for name in names
        )
        schedule = Schedule(every="52w", retry=Retry(attempts=5, wait="1s"))
        rules = {"user_id": "id", "email": "email"}
        common = {"connection": "people", "mapping": "people", "schedule": schedule}
        configure(
            self.store,
            Bridge(
                connections=(CDPConnection(name="people", cdp_provider="source-file", api_credentials=source),),
                destinations=destinations,
                mappings={
                    "people": tuple(DataMapping(omniads_field=ours, cdp_field=his) for ours, his in rules.items())
                },
                audiences=tuple(Activation(name=name, segment=name, destination=name, **common) for name in names),  # type: ignore[arg-type]
            ),
        )
        for name in names:
            self.store.requests.add(name, "test")
        return names

    def differences(self, names: list[str]) -> list[str]:
        """What is not as it should be once all is over."""
        found = []
        for name in names:
            (members,) = held(str(self.chaos / name)).values()
            rows = {row.member_key.hex() for chunk in self.store.ledger.members(name) for row in chunk}
            if len(members) != PEOPLE or rows != members.keys() or self.store.deliveries(name):
                found.append(f"{name}: {len(members)} members, {len(rows)} in the ledger")
        return found

    def over(self, names: list[str]) -> bool:
        """Whether nothing waits or goes on."""
        open_states = {"queued", "running"}
        return not any(one.state in open_states for name in names for one in self.store.requests.newest(name))

    def close(self) -> None:
        for worker in self.workers.values():
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.communicate()
        self.store.close()
        for name in self._hosts:
            ip("link", "delete", name)
            ip("netns", "delete", name)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Two hosts, the servers running, and somebody who orders runs."""
    if os.geteuid():
        pytest.skip("NOT TESTED: only root can make hosts of their own network")
    monkeypatch.setattr(dispatch, "RUNS", SHORT)
    folder = Path(tempfile.mkdtemp(prefix="cdp-bridge-site-"))
    folder.chmod(0o755)
    ip("link", "add", SWITCH, "type", "bridge")
    try:
        ip("addr", "add", f"{HERE}/24", "dev", SWITCH)
        ip("link", "set", SWITCH, "up")
        postgres = Postgres(folder / "postgres", rules=f"host all all {SUBNET} trust\n")
        queue = Queue(folder)
        postgres.start(LISTENING)
        queue.start()
        made = Site(folder, postgres, queue)
        try:
            for name in ("east", "west"):
                made.connect(name)
            with ordering(made):
                yield made
        finally:
            made.close()
            queue.stop()
            postgres.stop()
    finally:
        ip("link", "delete", SWITCH)
        shutil.rmtree(folder)


@contextmanager
def ordering(site: Site) -> Iterator[None]:
    """What `cdp-bridge serve` does with runs that are asked for."""
    stop = threading.Event()

    def order() -> None:
        with Flow(lambda: site.queue.address, [SHORT]) as flow:
            dispatcher = Dispatcher(site.store, flow)
            while not stop.wait(0.1):
                with suppress(BridgeError):
                    dispatcher.tick()

    thread = threading.Thread(target=order)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_a_host_that_dies_is_cut_off_or_sleeps_loses_its_run_to_the_other(site: Site, until: Until) -> None:
    names = site.configure(slow=0.4)
    site.start("east")
    site.start("west")
    lost: list[tuple[str, int]] = []
    # Killed in the middle of a run.
    audience, token = site.busy("east")
    site.workers["east"].kill()
    lost.append((audience, token))
    until(lambda: site.is_taken(audience, token))
    site.workers["east"].communicate()
    site.start("east")
    # Cut off in the middle of a run.
    audience, token = site.busy("west")
    ip("link", "set", "west", "down")
    lost.append((audience, token))
    until(lambda: site.is_taken(audience, token))
    ip("link", "set", "west", "up")
    # Asleep in the middle of a run, and awake when another has it.
    audience, token = site.busy("east")
    os.kill(site.workers["east"].pid, signal.SIGSTOP)
    lost.append((audience, token))
    until(lambda: site.is_taken(audience, token))
    os.kill(site.workers["east"].pid, signal.SIGCONT)
    until(lambda: site.over(names))
    requests = [one for name in names for one in site.store.requests.newest(name)]
    assert [one.state for one in requests] == ["succeeded"] * AUDIENCES, [log for log in site.store.runs() if log.error]
    assert Counter({one.audience: one.takeovers for one in requests}) == Counter(audience for audience, _ in lost)
    tokens = {one.audience: one.token or 0 for one in requests}
    assert all(tokens[audience] > token for audience, token in lost)
    done = [log for name in names for log in site.store.runs(name) if log.status == "succeeded"]
    assert sorted(log.run_id for log in done) == sorted(str(one.run_id) for one in requests)
    assert site.differences(names) == []
    for worker in site.workers.values():
        worker.terminate()
        assert worker.wait() == 0


def test_database_and_queue_may_be_away_in_the_middle_of_runs(site: Site, until: Until) -> None:
    names = site.configure(slow=0.4)
    site.start("east")
    site.start("west")
    site.busy("east")
    site.busy("west")
    site.postgres.stop()
    site.queue.stop()
    time.sleep(OUTAGE_SECONDS)
    site.queue.start()
    site.postgres.start(LISTENING)
    until(lambda: site.over(names))
    newest = [site.store.requests.newest(name)[0] for name in names]
    assert [one.state for one in newest] == ["succeeded"] * AUDIENCES, [log for log in site.store.runs() if log.error]
    assert site.differences(names) == []
    assert all(worker.poll() is None for worker in site.workers.values())
