"""Connecting to Meta's twin: short tokens are traded for long ones, which are traded again."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import requests
from aiohttp import web
from cdp_bridge import settings
from cdp_bridge.model import OAuth
from cdp_bridge.oauth import Grants, SignIns
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.settings import option
from cdp_bridge.store import Store
from msgspec import Struct
from sandbox import meta

from .conftest import Clock
from .twin import account, connect

TERMS = OAuth(
    authorize_url="{login_url}/{api_version}/dialog/oauth",
    token_url="{base_url}/{api_version}/oauth/access_token",
    scope="ads_management,ads_read",
    client_id="app_id",
    client_secret="app_secret",
    access_token="access_token",
    exchange="fb_exchange_token",
)


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    app_id: Annotated[str, option("App id")]
    app_secret: Annotated[Secret, option("App secret")]
    access_token: Annotated[Secret, option("Access token")]
    base_url: str = "https://graph.facebook.com"
    login_url: str = "https://www.facebook.com"
    api_version: str = "v26.0"


@pytest.fixture
def twin() -> Iterator[str]:
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(meta.create_app(), access_log=None, shutdown_timeout=1)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    run(runner.setup())
    run(web.TCPSite(runner, "127.0.0.1", 0).start())
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    run(runner.cleanup())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_person_connects_meta_and_the_token_lasts(store: Store, clock: Clock, twin: str) -> None:
    def serves(token: Secret) -> bool:
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        return requests.get(f"{twin}/v26.0/act_1001", headers=headers).status_code == 200

    store.secrets.put("meta-app", Secret("sandbox-secret"))
    urls = {"base_url": twin, "login_url": twin}
    raw = {"app_id": "sandbox-app", "app_secret": "store:meta-app", "access_token": "oauth:meta", **urls}
    grants = Grants(store, Resolver(stored=store.secrets.secret), clock=clock)
    connect(SignIns(store, Resolver(stored=store.secrets.secret), clock=clock), account(raw, TERMS, Settings))
    seen = []
    for days in (0, 29, 2):
        clock.now += days * 86_400
        requests.post(f"{twin}/_twin/clock", json={"advance": days * 86_400}).raise_for_status()
        token = settings.load(Settings, raw, Resolver(stored=store.secrets.secret, granted=grants.token)).access_token
        assert serves(token)
        seen.append(token.reveal())
    assert seen[0] == seen[1] != seen[2]
