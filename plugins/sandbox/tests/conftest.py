"""Twins on loopback for the tests of the sandbox."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from aiohttp import web
from sandbox import google, meta, tiktok
from sandbox.trial import Controlled


class Served:
    """An application served by a thread of its own until `close`."""

    def __init__(self, app: web.Application) -> None:
        self._loop = asyncio.new_event_loop()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.url = self._run(self._start())

    async def _start(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class GoogleClient(Controlled):
    """Plain requests to a Google twin, with the default token, and its controls."""

    token = "sandbox-token"
    account = "1234567890"

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {more.pop('token', self.token)}"} | more.pop("headers", {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers = {"Content-Type": "application/json"} | headers
        return self.http.request(method, f"{self.url}/{path}", data=body, headers=headers, params=more)

    def create(self, account: str = account, **fields: Any) -> str:
        info = {"uploadKeyTypes": ["CONTACT_ID"], "contactIdInfo": {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"}}
        body = {"displayName": "VIP", "ingestedUserListInfo": info} | fields
        answer = self.send("POST", f"v1/accountTypes/GOOGLE_ADS/accounts/{account}/userLists", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def to(self, user_list: str, account: str = account, **more: Any) -> dict[str, Any]:
        operating = {"accountType": "GOOGLE_ADS", "accountId": account}
        return {"operatingAccount": operating, "productDestinationId": user_list} | more

    def members(self, call: str, user_list: str, *links: Any, **more: Any) -> requests.Response:
        """`ingest` or `remove`; each of `links` is one member, a list of identifiers or a whole member."""
        members = [one if isinstance(one, dict) else {"userData": {"userIdentifiers": one}} for one in links]
        body: dict[str, Any] = {"destinations": [self.to(user_list)], "audienceMembers": members, "encoding": "HEX"}
        if call == "ingest":
            granted = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
            terms = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
            body |= {"consent": granted, "termsOfService": terms}
        body = {name: value for name, value in (body | more).items() if value is not None}
        return self.send("POST", f"v1/audienceMembers:{call}", body)

    def ingest(self, user_list: str, *links: Any, **more: Any) -> requests.Response:
        return self.members("ingest", user_list, *links, **more)

    def remove(self, user_list: str, *links: Any, **more: Any) -> requests.Response:
        return self.members("remove", user_list, *links, **more)

    def status(self, answer: requests.Response) -> Any:
        """The status of the first destination of an accepted request."""
        number = answer.json()["requestId"]
        found = self.send("GET", "v1/requestStatus:retrieve", requestId=number)
        return found.json()["requestStatusPerDestination"][0]

    def people(self, user_list: str) -> list[Any]:
        return self.lines(f"audiences/{user_list}/people")


class MetaClient(Controlled):
    """Plain requests to a Meta twin, with the default token, and its controls."""

    token = "sandbox-token"
    account = "act_1001"

    def send(self, method: str, path: str, *, token: str | None = token, **params: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.url}/v26.0/{path}"
        if method == "GET":
            return self.http.get(url, params=params, headers=headers)
        return self.http.request(method, url, json=params, headers=headers, allow_redirects=False)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.send("GET", path, **params)

    def post(self, path: str, **params: Any) -> requests.Response:
        return self.send("POST", path, **params)

    def delete(self, path: str, **params: Any) -> requests.Response:
        return self.send("DELETE", path, **params)

    def create(self, **fields: Any) -> str:
        wanted = {"name": "VIP", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"} | fields
        return str(self.post(f"{self.account}/customaudiences", **wanted).json()["id"])

    def add(self, audience: str, schema: Any, data: Any, **more: Any) -> requests.Response:
        return self.post(f"{audience}/users", payload={"schema": schema, "data": data}, **more)

    def remove(self, audience: str, schema: Any, data: Any, **more: Any) -> requests.Response:
        return self.delete(f"{audience}/users", payload={"schema": schema, "data": data}, **more)


class TikTokClient(Controlled):
    """Plain requests to a TikTok twin, with the default token, and its controls."""

    token = "sandbox-token"
    advertiser = "7000000000000000001"

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.configure(app={"per_second": 1_000_000, "per_minute": 1_000_000})

    def post(self, path: str, *, token: str | None = token, **body: Any) -> Any:
        headers = {"Access-Token": token} if token else {}
        return self.http.post(f"{self.url}/open_api/v1.3/{path}", json=body, headers=headers).json()

    def get(self, path: str, *, token: str = token, **params: Any) -> Any:
        return self.http.get(f"{self.url}/open_api/v1.3/{path}", params=params, headers={"Access-Token": token}).json()

    def code(self, path: str, **body: Any) -> int:
        return int(self.post(path, **body)["code"])

    def consent(self) -> str:
        params = {"app_id": "sandbox-app", "state": "s", "redirect_uri": "https://bridge.example/oauth"}
        answer = self.http.get(f"{self.url}/portal/auth", params=params, allow_redirects=False)
        return parse_qs(urlsplit(answer.headers["Location"]).query)["auth_code"][0]

    def create(self, **fields: Any) -> str:
        wanted = {"advertiser_id": self.advertiser, "custom_audience_name": "VIP"} | fields
        return str(self.post("segment/audience/", **wanted)["data"]["audience_id"])

    def map(self, schema: Any, rows: Any, **more: Any) -> Any:
        body = {"advertiser_ids": [self.advertiser], "id_schema": schema, "batch_data": rows} | more
        return self.post("segment/mapping/", **body)

    def upload(self, text: str | None, *, name: str = "people.csv", **changes: str) -> Any:
        data = (text or "").encode()
        fields = {"advertiser_id": self.advertiser, "calculate_type": "EMAIL_SHA256"}
        fields |= {"file_signature": hashlib.md5(data).hexdigest()} | changes
        files = {"other": ("", b"")} if text is None else {"file": (name, data)}
        url = f"{self.url}/open_api/v1.3/dmp/custom_audience/file/upload/"
        return self.http.post(url, data=fields, files=files, headers={"Access-Token": self.token}).json()

    def make(self, path: str, **changes: Any) -> Any:
        fields = {"advertiser_id": self.advertiser, "custom_audience_name": "VIP", "file_paths": [path]}
        return self.post("dmp/custom_audience/create/", **fields | {"calculate_type": "EMAIL_SHA256"} | changes)

    def update(self, audience: str, path: str, **more: Any) -> Any:
        fields = {"advertiser_id": self.advertiser, "custom_audience_id": audience, "file_paths": [path]}
        return self.post("dmp/custom_audience/update/", **fields | more)

    def track(self, events: Any, **changes: Any) -> Any:
        fields = {"event_source": "web", "event_source_id": "C4A1SANDBOXPIXEL", "data": events}
        return self.post("event/track/", **fields | changes)

    def _read(self, audience: str) -> Any:
        ids = json.dumps([audience])
        found = self.get("dmp/custom_audience/get/", advertiser_id=self.advertiser, custom_audience_ids=ids)
        return found["data"]["list"][0]

    def details(self, audience: str) -> Any:
        return self._read(audience)["audience_details"]

    def history(self, audience: str) -> Any:
        return self._read(audience)["audience_history"]

    def rows(self, audience: str) -> list[Any]:
        return self.lines(f"audiences/{audience}/rows")


@pytest.fixture
def serve() -> Iterator[Callable[[web.Application], str]]:
    """Serve an application on loopback; returns its base URL."""
    served: list[Served] = []

    def start(app: web.Application) -> str:
        served.append(Served(app))
        return str(served[-1].url)

    yield start
    for each in served:
        each.close()


class MakePerson(Protocol):
    """A person the platform knows, by true identifiers."""

    def __call__(
        self, human_id: str, *, emails: Any = (), phones: Any = (), mobile_ids: Any = ()
    ) -> SimpleNamespace: ...


@pytest.fixture
def person() -> MakePerson:
    """A person the platform knows, by true identifiers."""

    def make(human_id: str, *, emails: Any = (), phones: Any = (), mobile_ids: Any = ()) -> SimpleNamespace:
        kinds = {"emails": emails, "phones": phones, "mobile_ids": mobile_ids}
        entries = {
            kind: [SimpleNamespace(true=value, form="ios.idfa") for value in values] for kind, values in kinds.items()
        }
        return SimpleNamespace(human_id=human_id, **entries)

    return make


@pytest.fixture
def known_people(person: MakePerson) -> list[SimpleNamespace]:
    """Ann has all identifiers; Bob and Cem of one household share a phone."""
    ann = person(
        "p-ann",
        emails=["ann@example.com", "ann@example.org"],
        phones=["+15550100001"],
        mobile_ids=["aebe52e7-03ee-455a-b3c4-e57283966239"],
    )
    bob = person("p-bob", emails=["bob@example.com"], phones=["+15550100002"])
    return [ann, bob, person("p-cem", emails=["cem@example.com"], phones=["+15550100002"])]


@pytest.fixture
def meta_twin(serve: Callable[[web.Application], str], known_people: list[SimpleNamespace]) -> Iterator[MetaClient]:
    """A fresh Meta twin that knows `known_people`."""
    client = MetaClient(serve(meta.create_app(known_people)))
    yield client
    client.http.close()


@pytest.fixture
def tiktok_twin(serve: Callable[[web.Application], str], known_people: list[SimpleNamespace]) -> Iterator[TikTokClient]:
    """A fresh TikTok twin that knows `known_people`."""
    client = TikTokClient(serve(tiktok.create_app(known_people)))
    yield client
    client.http.close()


@pytest.fixture
def refusal() -> Callable[[requests.Response], tuple[int, int, int | None]]:
    """HTTP status, code and subcode of an answer that must be an error envelope with a trace id."""

    def read(response: requests.Response) -> tuple[int, int, int | None]:
        error = response.json()["error"]
        assert error["fbtrace_id"]
        assert error["message"]
        return response.status_code, error["code"], error.get("error_subcode")

    return read


@pytest.fixture
def google_twin(serve: Callable[[web.Application], str], known_people: list[SimpleNamespace]) -> Iterator[GoogleClient]:
    """A fresh Google twin that knows `known_people`: Ann and Bob live in Portugal, Cem in the United States."""
    homes = [("Ann", "Silva", "1229-076", "PT"), ("Bob", "Silva", "1229-076", "PT"), ("Cem", "Kaya", "94045", "US")]
    names = ("first_name", "last_name", "postal_code", "country")
    for each, home in zip(known_people, homes, strict=True):
        each.true = SimpleNamespace(**dict(zip(names, home, strict=True)))
    client = GoogleClient(serve(google.create_app(known_people)))
    yield client
    client.http.close()
