"""Signing in to the Google twin: the code flow with PKCE, refreshing, service accounts, revocation."""

import base64
import hashlib
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import credentials, service_account

from .conftest import GoogleClient

APP = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
BACK = "https://bridge.example/oauth"
SCOPES = ["https://www.googleapis.com/auth/datamanager", "https://www.googleapis.com/auth/adwords"]
VERIFIER = "a-verifier-of-more-than-forty-three-characters"
LISTS = "v1/accountTypes/GOOGLE_ADS/accounts/1234567890/userLists"
ACCOUNT = "bridge@project.iam.gserviceaccount.com"


def signed_in(google_twin: Any, **more: str) -> dict[str, str]:
    """What comes back with the browser."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    query = {"client_id": "sandbox-client", "redirect_uri": BACK, "response_type": "code", "scope": " ".join(SCOPES)}
    query |= {"state": "s1", "access_type": "offline", "prompt": "consent"}
    query |= {"code_challenge": challenge, "code_challenge_method": "S256"} | more
    url = f"{google_twin.url}/o/oauth2/v2/auth"
    answer = google_twin.http.get(url, params=query, allow_redirects=False)
    assert answer.headers["Location"].startswith(BACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def ask(google_twin: Any, path: str = "token", **form: str) -> Any:
    return google_twin.http.post(f"{google_twin.url}/{path}", data=form)


def exchange(google_twin: Any, code: str, **more: str) -> Any:
    form = APP | {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    return ask(google_twin, **(form | more))


def may(google_twin: Any, token: str) -> bool:
    return bool(google_twin.send("GET", LISTS, token=token).status_code == 200)


def test_code_becomes_tokens_that_expire_and_are_renewed(google_twin: GoogleClient) -> None:
    back = signed_in(google_twin)
    assert back["state"] == "s1"
    tokens = exchange(google_twin, back["code"]).json()
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 3599, " ".join(SCOPES))
    assert may(google_twin, tokens["access_token"])
    google_twin.advance(3600)
    assert not may(google_twin, tokens["access_token"])
    form = APP | {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    renewed = ask(google_twin, "oauth2/v4/token", **form).json()
    assert may(google_twin, renewed["access_token"])
    assert "refresh_token" not in renewed


@pytest.mark.parametrize(
    "wrong",
    [{"code_verifier": "other"}, {"redirect_uri": "https://evil.example"}, {"client_secret": "x"}],
)
def test_code_is_good_for_its_client_redirect_and_verifier_only(google_twin: GoogleClient, wrong: Any) -> None:
    code = signed_in(google_twin)["code"]
    assert exchange(google_twin, code, **wrong).status_code in (400, 401)


def test_code_is_good_once_and_for_ten_minutes(google_twin: GoogleClient) -> None:
    code = signed_in(google_twin)["code"]
    assert exchange(google_twin, code).status_code == 200
    assert exchange(google_twin, code).json()["error"] == "invalid_grant"
    late = signed_in(google_twin)["code"]
    google_twin.advance(600)
    assert exchange(google_twin, late).json()["error"] == "invalid_grant"


def test_scopes_may_be_declined_and_a_refresh_token_must_be_asked_for(google_twin: GoogleClient) -> None:
    google_twin.configure(declined_scopes=SCOPES[:1])
    tokens = exchange(google_twin, signed_in(google_twin, prompt="none")["code"]).json()
    assert (tokens["scope"], "refresh_token" in tokens) == (SCOPES[1], False)
    assert google_twin.send("GET", LISTS, token=tokens["access_token"]).status_code == 403
    google_twin.configure(declined_scopes=SCOPES)
    assert signed_in(google_twin)["error"] == "access_denied"


def test_consent_of_an_unknown_client_is_not_redirected(google_twin: GoogleClient) -> None:
    answer = google_twin.http.get(f"{google_twin.url}/o/oauth2/v2/auth", params={"client_id": "other"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_refresh_tokens_of_an_app_in_testing_end_after_a_week(google_twin: GoogleClient) -> None:
    google_twin.configure(testing=True)
    token = exchange(google_twin, signed_in(google_twin)["code"]).json()["refresh_token"]
    google_twin.advance(7 * 86_400)
    answer = ask(google_twin, grant_type="refresh_token", refresh_token=token, **APP)
    wanted = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    assert (answer.status_code, answer.json()) == (400, wanted)


def test_revocation_ends_what_the_refresh_token_gave(google_twin: GoogleClient) -> None:
    tokens = exchange(google_twin, signed_in(google_twin)["code"]).json()
    assert ask(google_twin, "revoke", token=tokens["refresh_token"]).status_code == 200
    assert not may(google_twin, tokens["access_token"])
    again = ask(google_twin, grant_type="refresh_token", refresh_token=tokens["refresh_token"], **APP)
    assert again.json()["error"] == "invalid_grant"
    assert ask(google_twin, "revoke", token=tokens["refresh_token"]).json()["error"] == "invalid_token"


def test_google_auth_refreshes_and_says_when_to_sign_in_again(google_twin: GoogleClient) -> None:
    def of(token: str) -> Any:
        made: Any = credentials.Credentials
        return made(None, refresh_token=token, token_uri=f"{google_twin.url}/token", scopes=SCOPES, **APP)

    request = Request(google_twin.http)
    good = of("sandbox-refresh-token")
    good.refresh(request)
    assert may(google_twin, good.token)
    with pytest.raises(RefreshError, match="expired or revoked"):
        of("other").refresh(request)


def test_google_auth_signs_in_a_service_account(google_twin: GoogleClient) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    public = key.public_key().public_bytes(pem[0], serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    google_twin.configure(service_accounts={ACCOUNT: public})
    google_twin.configure(accounts={"1234567890": {"users": [ACCOUNT]}})
    info = {"client_email": ACCOUNT, "token_uri": f"{google_twin.url}/token"}
    info["private_key"] = key.private_bytes(*pem).decode()
    made: Any = service_account.Credentials
    signed = made.from_service_account_info(info, scopes=SCOPES)
    signed.refresh(Request(google_twin.http))
    assert may(google_twin, signed.token)
    now = int(time.time())
    claims = {"iss": ACCOUNT, "scope": SCOPES[0], "aud": "https://oauth2.googleapis.com/token", "iat": now}
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for wrong, by in (
        ({"exp": now + 60}, other),
        ({"exp": now - 60}, key),
        ({"exp": now + 7_200}, key),
        ({"exp": now + 60, "aud": "https://evil.example"}, key),
        ({"exp": now + 60, "iss": "nobody"}, key),
    ):
        assertion = jwt.encode(claims | wrong, by, algorithm="RS256")
        answer = ask(google_twin, grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=assertion)
        assert answer.json()["error"] == "invalid_grant"


def test_unknown_grants_are_refused(google_twin: GoogleClient) -> None:
    assert ask(google_twin, grant_type="password").json()["error"] == "unsupported_grant_type"
