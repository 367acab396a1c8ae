"""The sandbox as a process: one JSON line, both ways of ending, and the context manager."""

import hashlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import sandbox
from sandbox import people


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_serve_prints_one_line_and_ends_cleanly(ending: Any) -> None:
    command = [sys.executable, "-m", "sandbox.cli", "serve", "--people", "10"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        where = json.loads(process.stdout.readline())
        assert requests.get(where["meta"] + "/_twin/stats").json()["people_known"] > 0
        process.send_signal(ending)
        rest, _ = process.communicate()
    assert (process.returncode, rest) == (0, "")


def test_running_yields_urls_and_ends_the_process() -> None:
    with sandbox.running(people=10) as twins:
        assert requests.get(twins.meta + "/_twin/audiences").json() == []
    with pytest.raises(requests.ConnectionError):
        requests.get(twins.meta + "/_twin/audiences")


def test_port_in_use_is_told_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match="Choose another --host or port"), sandbox.running(meta_port=port):
            pass


@pytest.mark.parametrize("url", ["mysql://localhost/x", "duckdb:////nowhere/at/all.duckdb"])
def test_warehouse_that_cannot_be_filled_is_told(url: Any) -> None:
    told = pytest.raises(RuntimeError, match=r"Error: cannot fill the warehouse.*Check --warehouse")
    with told, sandbox.running(warehouse=url):
        pass


def test_meta_twin_learns_the_people_of_a_churn(tmp_path: Path) -> None:
    with sandbox.running(people=200, warehouse=f"duckdb:///{tmp_path}/sync.duckdb") as twins:
        known = requests.get(twins.meta + "/_twin/stats").json()["people_known"]
        churn = requests.post(f"{twins.segment}" + "/_twin/churn", json={"fraction": 0.5}).json()
        assert churn["created"] > 0
        after = requests.get(twins.meta + "/_twin/stats").json()["people_known"]
    assert after - known == churn["created"]


def test_unknown_people_are_not_matched_and_known_ones_are() -> None:
    known = next(person for person in people.generate(50, 1) if person.emails)
    digest = hashlib.sha256(known.emails[0].true.encode()).hexdigest()
    with sandbox.running(people=50, seed=1) as twins:
        auth = {"Authorization": "Bearer sandbox-token"}
        graph = twins.meta + "/v26.0/"
        wanted = {"name": "VIP", "customer_file_source": "USER_PROVIDED_ONLY"}
        created = requests.post(graph + "act_1001/customaudiences", json=wanted, headers=auth).json()
        payload = {"schema": ["EMAIL"], "data": [[digest], ["0" * 64]]}
        requests.post(f"{graph}{created['id']}/users", json={"payload": payload}, headers=auth)
        held = requests.get(f"{twins.meta}/_twin/audiences/{created['id']}/people").text
    assert held.splitlines() == [f'"{known.human_id}"']
