"""Servers that others run: each way to be let in, and what is said when that fails."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.errors import BridgeError
from cdp_bridge.flow import RUNS, Address, Flow, RunOrder
from cdp_bridge.settings import SettingsError, load

SEED = "SUAKY2IESTZI4YUEGL6IOM6T7IGEECCFTYT2BRI7JMRGLQPKE5NOZ7YMOM"
PUBLIC = "UB53IHQNUO4O73BMY72TSJ3PX3T4PD7YOUJWTK63H64TRY466CSG45AO"
USERS = [{"user": "bridge", "password": "a-password"}, {"nkey": PUBLIC}]
JETSTREAM = {"jetstream": {"store_dir": "."}}


@pytest.fixture
def url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A server with the configuration that the test asks for."""
    (tmp_path / "nats.json").write_text(json.dumps({"listen": "127.0.0.1:-1", **request.param}))
    with subprocess.Popen(
        ["nats-server", "-c", "nats.json"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        address = ""
        for line in server.stderr:
            if "Listening for client connections on" in line:
                address = line.split()[-1]
            if "Server is ready" in line:
                break
        yield f"nats://{address}"
        server.kill()


@pytest.mark.parametrize(
    ("url", "credentials"),
    [
        (JETSTREAM, {}),
        ({**JETSTREAM, "authorization": {"token": "a-token"}}, {"token": "env:SECRET_OF_NATS"}),
        ({**JETSTREAM, "authorization": {"users": USERS}}, {"user": "bridge", "password": "a-password"}),
        ({**JETSTREAM, "authorization": {"users": USERS}}, {"nkey": SEED}),
    ],
    indirect=["url"],
    ids=["open", "token", "user", "nkey"],
)
def test_a_server_of_others_lets_us_in(url: str, credentials: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_NATS", "a-token")
    address = load(Address, {"url": url, **credentials})
    with Flow(lambda: address) as flow:
        assert flow.publish(RUNS, RunOrder(request="a"), id="a")


@pytest.mark.parametrize(
    ("url", "credentials", "said"),
    [
        ({**JETSTREAM, "authorization": {"users": USERS}}, {}, "refuses the credentials"),
        ({**JETSTREAM, "authorization": {"users": USERS}}, {"user": "bridge", "password": "wrong-one"}, "refuses the"),
        ({**JETSTREAM, "authorization": {"users": USERS}}, {"nkey": "SU-wrong-one"}, "the nkey is not one. Give the"),
        ({}, {}, "see that the server has JetStream"),
        (
            {**JETSTREAM, "accounts": {"A": {"users": USERS}}},
            {"user": "bridge", "password": "a-password"},
            "the server has no JetStream. Switch",
        ),
    ],
    indirect=["url"],
    ids=["nobody", "password", "nkey", "no JetStream", "no JetStream for the account"],
)
def test_what_does_not_let_us_in_is_said(url: str, credentials: dict[str, Any], said: str) -> None:
    address = load(Address, {"url": url, **credentials})
    with pytest.raises(BridgeError) as refused:
        Flow(lambda: address, patience=0.0)
    assert said in str(refused.value)
    assert url in str(refused.value)
    assert "wrong-one" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["localhost:4222", "http://host", "nats://user:word@host", "nats://host:port", "nats://a b"]
)
def test_what_is_not_a_url_is_refused_when_it_is_read(url: str) -> None:
    with pytest.raises(SettingsError, match="url: must match the pattern"):
        load(Address, {"url": url})
