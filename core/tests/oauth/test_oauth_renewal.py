"""Tokens are renewed in good time, by one process at a time, and saved before they are used."""

import threading
from typing import Any

import pytest
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.oauth import Grants, SignIns
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.store import Store

from .conftest import Clock
from .twin import Platform, account, connect


@pytest.fixture
def connected(sign_ins: SignIns, grants: Grants, raw: dict[str, Any]) -> Grants:
    connect(sign_ins, account(raw))
    return grants


def token(grants: Grants) -> str:
    return grants.token("shop").reveal()


def test_a_token_is_renewed_after_half_of_its_life(connected: Grants, platform: Platform, clock: Clock) -> None:
    first = token(connected)
    clock.now += 1_799
    assert token(connected) == first
    clock.now += 1
    second = token(connected)
    assert second != first
    assert token(connected) == second
    assert platform.calls == ["authorization_code", "refresh_token"]


@pytest.mark.parametrize("rotates", [True, False])
def test_renewal_goes_on_for_ever(connected: Grants, platform: Platform, clock: Clock, rotates: bool) -> None:
    platform.rotates = rotates
    seen = set()
    for _ in range(5):
        clock.now += 3_000
        seen.add(token(connected))
    assert len(seen) == 5


@pytest.mark.parametrize("life", [None, 0, 1e300])
def test_a_token_without_end_is_never_renewed(
    sign_ins: SignIns, grants: Grants, raw: dict[str, Any], platform: Platform, clock: Clock, life: float | None
) -> None:
    platform.life = life
    connect(sign_ins, account(raw))
    clock.now += 86_400 * 365 * 20
    assert token(grants) == platform.issued[1]
    assert platform.calls == ["authorization_code"]


def test_while_the_platform_is_away_the_token_serves_to_its_end(
    connected: Grants, platform: Platform, clock: Clock
) -> None:
    first = token(connected)
    platform.faults += [503, 503]
    clock.now += 3_599
    assert token(connected) == first
    clock.now += 1
    with pytest.raises(TransientError):
        token(connected)
    assert token(connected) != first


def test_a_person_must_sign_in_again_when_the_grant_is_withdrawn(
    connected: Grants, platform: Platform, clock: Clock
) -> None:
    platform.refresh_tokens.clear()
    clock.now += 1_800
    with pytest.raises(ConfigError, match="invalid_grant") as caught:
        token(connected)
    assert "connect the account again" in caught.value.remedy


def test_many_at_once_use_a_refresh_token_once(
    store: Store, connected: Grants, platform: Platform, clock: Clock
) -> None:
    clock.now += 3_600
    found: list[str] = []
    barrier = threading.Barrier(8)

    def use() -> None:
        barrier.wait()
        found.append(token(Grants(store, Resolver(stored=store.secrets.secret), clock=clock)))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert platform.calls == ["authorization_code", "refresh_token"]


def test_who_finds_another_renewing_uses_the_old_token_or_waits(store: Store, connected: Grants, clock: Clock) -> None:
    first = token(connected)
    clock.now += 1_800
    with store.lease("oauth:shop"):
        assert (token(connected), clock.slept) == (first, 0)
    clock.now += 1_800
    with store.lease("oauth:shop"):
        with pytest.raises(TransientError, match="for too long"):
            token(connected)
        assert clock.slept > 10
    assert token(connected) != first


def test_a_new_refresh_token_is_saved_before_anybody_gets_its_access_token(
    store: Store, connected: Grants, platform: Platform, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise ConfigError("the disk is full")

    clock.now += 1_800
    with monkeypatch.context() as patch:
        patch.setattr(store.secrets, "put", full)
        with pytest.raises(ConfigError, match="the disk is full"):
            token(connected)
    assert platform.calls == ["authorization_code", "refresh_token"]


def test_one_resolver_knows_connected_accounts_the_store_and_plugins(store: Store, connected: Grants) -> None:
    plugins = {"vault:x": Secret("from the vault")}.get
    resolver = Resolver(stored=store.secrets.secret, granted=connected.token, plugins=plugins)
    values = {"oauth:shop": token(connected), "store:app-secret": "app-secret-1", "vault:x": "from the vault"}
    assert {reference: resolver.secret(reference).reveal() for reference in values} == values
    assert resolver.secret("plain").reveal() == "plain"
