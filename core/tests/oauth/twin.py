"""A platform with a strict OAuth server: PKCE, codes and refresh tokens that are good once, tokens that expire."""

from __future__ import annotations

import hashlib
import itertools
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import requests
from cdp_bridge.model import Connector, OAuth
from cdp_bridge.oauth import Account, SignIns
from cdp_bridge.oauth.sign_ins import Redirect
from cdp_bridge.secrets import Secret
from cdp_bridge.settings import option
from msgspec import Struct

CONNECTOR = "destination-shop"
BACK = f"https://bridge.example/oauth/callback/{CONNECTOR}"
TERMS = OAuth(
    authorize_url="{base_url}/authorize?prompt=consent",
    token_url="{base_url}/token/",
    scope="ads.read ads.write",
    client_id="client_id",
    client_secret="client_secret",
    access_token="access_token",
)


OWN_TERMS = OAuth(
    authorize_url="{base_url}/portal/auth",
    token_url="{base_url}/token/",
    client_id="client_id",
    client_secret="client_secret",
    access_token="access_token",
    names={"client_id": "app_id", "client_secret": "secret", "code": "auth_code"},
)


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """What a connector of this platform wants."""

    client_id: Annotated[str, option("App id")]
    client_secret: Annotated[Secret, option("App secret")]
    access_token: Annotated[Secret, option("Access token")]
    base_url: Annotated[str, option("Base URL")]


def account(raw: Mapping[str, Any], terms: OAuth = TERMS, schema: type[Struct] = Settings) -> Account:
    """An account with these settings."""
    connector = Connector(name=CONNECTOR, kind="destination", settings=schema, load="shop", oauth=terms)
    return Account(connector=connector, kind="destination", name="shop", settings=raw)


def opened(sign_ins: SignIns, account: Account) -> Redirect:
    """A sign-in that was begun and opened."""
    return sign_ins.open(CONNECTOR, sign_ins.begin(account, BACK))


def connect(sign_ins: SignIns, account: Account) -> None:
    """Connect an account, with each step as it should be."""
    redirect = opened(sign_ins, account)
    done = sign_ins.finish(CONNECTOR, redirect.browser, sign_in(redirect.url))
    sign_ins.confirm(account, done.code)


class RefusalError(Exception):
    """An error of RFC 6749, section 5.2."""


class Platform:
    """What the server knows; `faults` are used up first, one a call: an HTTP status, or `after` (taken, then 503)."""

    def __init__(self) -> None:
        self.url = ""
        self.life: float | None = 3_600
        self.rotates = True
        self.issuer = ""
        self.codes: dict[str, dict[str, str]] = {}
        self.refresh_tokens: set[str] = set()
        self.faults: list[int | str] = []
        self.urls: list[str] = []
        self.calls: list[str] = []
        self.issued: list[str] = []
        self._lock, self._numbers = threading.Lock(), itertools.count(1)

    def sign_in(self, query: dict[str, str]) -> str:
        """The person says yes: where the browser goes."""
        assert query["response_type"] == "code"
        assert (query["client_id"], query["code_challenge_method"]) == ("app-1", "S256")
        assert query["prompt"] == "consent"
        code = self._new("code")
        self.codes[code] = query
        answer = {"code": code, "state": query["state"]} | ({"iss": self.issuer} if self.issuer else {})
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def token(self, form: dict[str, str]) -> dict[str, Any]:
        """New tokens; RefusalError."""
        with self._lock:
            self.calls.append(form["grant_type"])
            if (form.get("client_id"), form.get("client_secret")) != ("app-1", "app-secret-1"):
                raise RefusalError("invalid_client")
            if form["grant_type"] == "authorization_code":
                self._check_code(form)
            elif form["refresh_token"] not in self.refresh_tokens:
                # Somebody uses an old one: all are void.
                self.refresh_tokens.clear()
                raise RefusalError("invalid_grant")
            answer: dict[str, Any] = {"access_token": self._new("access"), "token_type": "bearer"}
            if self.life is not None:
                answer["expires_in"] = self.life
            if form["grant_type"] == "authorization_code" or self.rotates:
                answer["refresh_token"] = self._new("refresh")
                self.refresh_tokens = {answer["refresh_token"]}
            return answer

    def _check_code(self, form: dict[str, str]) -> None:
        asked = self.codes.pop(form["code"], None)
        challenge = urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        right = {"redirect_uri": form["redirect_uri"], "code_challenge": challenge}
        if asked is None or any(asked[name] != value for name, value in right.items()):
            raise RefusalError("invalid_grant")

    def _new(self, kind: str) -> str:
        self.issued.append(f"{kind}-canary-{next(self._numbers)}")
        return self.issued[-1]


class OwnWay(Platform):
    """A platform as TikTok: other names, JSON, an envelope with a code of its own, tokens without end."""

    def sign_in(self, query: dict[str, str]) -> str:
        """The person says yes."""
        assert sorted(query) == ["app_id", "redirect_uri", "state"]
        code = self._new("code")
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'auth_code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str]) -> dict[str, Any]:
        """A token; errors have status 200."""
        self.calls.append("own")
        assert sorted(form) == ["app_id", "auth_code", "secret"]
        if (form["app_id"], form["secret"]) != ("app-1", "app-secret-1") or not self.codes.pop(form["auth_code"], None):
            return {"code": 40105, "message": f"not {form['auth_code']}", "data": {}}
        return {"code": 0, "message": "OK", "data": {"access_token": self._new("access"), "scope": [3, 4]}}


class _Handler(BaseHTTPRequestHandler):
    platform: Platform

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.platform.urls.append(self.path)
        self.send_response(302)
        self.send_header("Location", self.platform.sign_in(dict(parse_qsl(urlsplit(self.path).query))))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.platform.urls.append(self.path)
        fault = self.platform.faults.pop(0) if self.platform.faults else None
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_json = self.headers["Content-Type"] == "application/json"
        form = msgspec.json.decode(body) if is_json else dict(parse_qsl(body))
        if self.path != "/token/":
            return self._answer(404, {})
        if isinstance(fault, int):
            return self._answer(fault, {})
        try:
            answer = self.platform.token(form)
        except RefusalError as refusal:
            return self._answer(400, {"error": str(refusal), "error_description": f"not {sorted(form.values())}"})
        return self._answer(503 if fault == "after" else 200, answer)

    def _answer(self, status: int, body: Any) -> None:
        data = msgspec.json.encode(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def sign_in(url: str) -> dict[str, str]:
    """The person signs in where a URL leads: what the browser brings back."""
    back = urlsplit(requests.get(url, allow_redirects=False).headers["Location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == BACK
    return dict(parse_qsl(back.query))


@contextmanager
def served(platform: Platform) -> Iterator[Platform]:
    """The platform at its `url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"platform": platform}))
    platform.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield platform
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
