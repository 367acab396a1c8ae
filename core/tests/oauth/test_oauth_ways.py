"""What platforms do their own way: parameters of theirs, names of theirs, settings in groups."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from cdp_bridge import settings
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.oauth import Grants, SignIns
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.settings import option
from cdp_bridge.store import Store
from msgspec import Struct
from msgspec.structs import replace

from .conftest import Clock
from .twin import (
    BACK,
    CONNECTOR,
    OWN_TERMS,
    TERMS,
    OwnWay,
    Platform,
    Settings,
    account,
    connect,
    opened,
    served,
    sign_in,
)


@pytest.fixture
def own() -> Iterator[Platform]:
    with served(OwnWay()) as platform:
        yield platform


def test_a_platform_with_names_of_its_own_is_connected_for_ever(
    store: Store, sign_ins: SignIns, grants: Grants, raw: dict[str, Any], own: Platform, clock: Clock
) -> None:
    raw |= {"base_url": own.url}
    connect(sign_ins, account(raw, OWN_TERMS))
    clock.now += 86_400 * 365
    assert (
        settings.load(Settings, raw, Resolver(stored=store.secrets.secret, granted=grants.token)).access_token.reveal()
        == own.issued[1]
    )
    assert own.calls == ["own"]


@pytest.mark.parametrize(
    ("change", "fault", "message"),
    [({"auth_code": "stolen"}, None, r"gives no token \(error 40105\)"), ({}, 503, "answered 503")],
)
def test_its_refusals_are_told_without_its_words(
    sign_ins: SignIns, raw: dict[str, Any], own: Platform, change: dict[str, str], fault: int | None, message: str
) -> None:
    redirect = opened(sign_ins, account(raw | {"base_url": own.url}, OWN_TERMS))
    answer = sign_in(redirect.url)
    own.faults += [fault] if fault else []
    with pytest.raises(TransientError if fault else ConfigError, match=message) as caught:
        sign_ins.finish(CONNECTOR, redirect.browser, answer | change)
    assert "stolen" not in str(caught.value)


@pytest.mark.parametrize("body", [{}, [], {"code": 0}, {"code": 0, "data": []}, {"code": True, "data": {}}])
def test_an_answer_without_a_token_is_none(
    sign_ins: SignIns, raw: dict[str, Any], own: Platform, monkeypatch: pytest.MonkeyPatch, body: Any
) -> None:
    redirect = opened(sign_ins, account(raw | {"base_url": own.url}, OWN_TERMS))
    answer = sign_in(redirect.url)
    monkeypatch.setattr(own, "token", lambda _: body)
    with pytest.raises(TransientError, match="answered without a token"):
        sign_ins.finish(CONNECTOR, redirect.browser, answer)


class App(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """What belongs together."""

    id: Annotated[str, option("App id")]
    secret: Annotated[Secret, option("App secret")]
    token: Annotated[Secret, option("Access token")]


class Grouped(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Settings in groups."""

    app: Annotated[App, option("App")]
    base_url: Annotated[str, option("Base URL")]


def test_settings_in_a_group_are_named_with_a_dot(
    store: Store, sign_ins: SignIns, grants: Grants, platform: Platform
) -> None:
    terms = replace(TERMS, client_id="app.id", client_secret="app.secret", access_token="app.token")
    app = {"id": "app-1", "secret": "store:app-secret", "token": "oauth:grouped"}
    raw = {"app": app, "base_url": platform.url}
    connect(sign_ins, account(raw, terms, Grouped))
    assert (
        settings.load(Grouped, raw, Resolver(stored=store.secrets.secret, granted=grants.token)).app.token.reveal()
        == platform.issued[1]
    )
    with pytest.raises(ConfigError, match=r"^app\.id: signing in needs it"):
        sign_ins.begin(account(raw | {"app": app | {"id": ""}}, terms, Grouped), BACK)
