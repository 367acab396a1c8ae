"""Access tokens: given, by refresh token or by a service account's key; got late, renewed once, and never shown."""

import json
from typing import Any

import jwt
import pytest
from cdp_bridge.sdk import ConfigError, Secret, TransientError
from cdp_bridge.testing import numbered
from cdp_bridge.testing.numbered import pending_of
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from destination_google import destination
from destination_google.credentials import assertion
from sandbox.trial import Clock

from .conftest import Account

ROBOT = "robot@sandbox.iam.example"


@pytest.fixture(scope="session")
def pair() -> tuple[str, str]:
    """A private key and its public key, as PEM."""
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    plain = serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    public = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.private_bytes(pem, form, plain).decode(), public.decode()


@pytest.fixture
def refreshing(account: Account) -> dict[str, Any]:
    """Credentials with a refresh token of the account's user."""
    token = f"1//0g-of-{account.number}"
    account.configure(refresh_tokens={token: {"user": account.user, "client_id": "sandbox-client"}})
    return {
        "type": "refresh_token",
        "refresh_token": token,
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
    }


@pytest.fixture
def robot(account: Account, pair: tuple[str, str]) -> dict[str, Any]:
    """Credentials of a service account that is a user of the account."""
    private, public = pair
    account.configure(service_accounts={ROBOT: public})
    account.configure_account(users=[ROBOT])
    key = {"type": "service_account", "client_email": ROBOT, "private_key": private, "private_key_id": "k1"}
    return {"type": "service_account", "key": json.dumps(key)}


@pytest.fixture(params=["refreshing", "robot"])
def credentials(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.getfixturevalue(request.param))


def asked(account: Any) -> int:
    """How many tokens were asked for since the journal was cleared."""
    requests = account.control("GET", "requests")["requests"]
    return sum(one["path"] == "/token" for one in requests)


def test_a_token_is_got_once_and_serves_all_calls(
    account: Account, credentials: dict[str, Any], batch: numbered.MakeBatch
) -> None:
    account.control("DELETE", "requests")
    with account.open(credentials=credentials) as writer:
        assert asked(account) == 0
        ref = writer.ensure(account.audience())
        assert writer.settle(ref, pending_of(writer.write(batch(ref, [1])))).pending is None
    assert asked(account) == 1
    assert account.held(ref.id)["held_rows"] == 1


def test_a_token_that_ends_is_renewed_once(
    account: Account, credentials: dict[str, Any], batch: numbered.MakeBatch, clock: Clock
) -> None:
    with account.open(credentials=credentials) as writer:
        ref = writer.ensure(account.audience())
        account.control("DELETE", "requests")
        clock.advance(3_600)
        assert writer.write(batch(ref, [1])).pending
        assert asked(account) == 1
        account.fault("status", "audienceMembers", status=401, times=None)
        with pytest.raises(ConfigError, match="not valid any more"):
            writer.write(batch(ref, [1]))
        assert asked(account) == 2


def test_a_given_token_cannot_be_renewed(account: Account, batch: numbered.MakeBatch) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        account.configure_token(calls_left=0)
        account.control("DELETE", "requests")
        with pytest.raises(ConfigError, match=r"UNAUTHENTICATED.*Connect the account again"):
            writer.write(batch(ref, [1]))
        assert len(account.control("GET", "requests")["requests"]) == 1


def test_a_refresh_token_that_was_revoked(account: Account, refreshing: dict[str, Any]) -> None:
    account.configure(refresh_tokens={refreshing["refresh_token"]: {"revoked": True}})
    (probe,) = destination.check(account.settings(credentials=refreshing))
    assert (probe.name, probe.passed) == ("credentials", False)
    assert "invalid_grant" in probe.detail
    assert "Connect the account again" in probe.remedy


@pytest.mark.parametrize("change", [{"client_secret": "wrong-secret"}, {"client_id": "nobody"}])
def test_a_wrong_client(account: Account, refreshing: dict[str, Any], change: Any) -> None:
    (probe,) = destination.check(account.settings(credentials=refreshing | change))
    assert "invalid_client" in probe.detail
    assert "client_id and client_secret" in probe.remedy
    assert "wrong-secret" not in probe.detail


@pytest.mark.parametrize(
    "key",
    [
        "no JSON",
        "{}",
        '{"client_email": "x", "private_key": "rubbish"}',
        '{"client_email": 7}',
        '{"client_email": "x", "private_key": "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----"}',
    ],
)
def test_a_key_that_is_none(account: Account, key: str) -> None:
    (probe,) = destination.check(account.settings(credentials={"type": "service_account", "key": key}))
    assert probe.detail.startswith("credentials.key: it is no key of a service account")
    assert "file:PATH" in probe.remedy


def test_a_key_that_was_deleted_at_google(account: Account, robot: dict[str, Any]) -> None:
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    key = json.dumps(json.loads(robot["key"]) | {"private_key": pem.decode()})
    (probe,) = destination.check(account.settings(credentials=robot | {"key": key}))
    assert "invalid_grant" in probe.detail


def test_the_assertion_is_that_of_the_contract(pair: tuple[str, str]) -> None:
    private, public = pair
    key = Secret(json.dumps({"client_email": ROBOT, "private_key": private, "private_key_id": "k1"}))
    text = assertion(key, "a b", 1_795_500_000.9).reveal()
    assert jwt.get_unverified_header(text) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    claims = jwt.decode(
        text,
        public,
        algorithms=["RS256"],
        audience="https://oauth2.googleapis.com/token",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims == {
        "iss": ROBOT,
        "scope": "a b",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1_795_500_000,
        "exp": 1_795_503_600,
    }


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 503}, TransientError),
        ({"status": 200}, TransientError),
        ({"status": 200, "body": {"token": "x"}}, TransientError),
        ({"status": 400}, ConfigError),
        ({"status": 400, "body": ["x"]}, ConfigError),
        ({"status": 400, "body": {"error": "jane@example.com"}}, ConfigError),
        ({"status": 403, "body": {"error": {"code": 7}}}, ConfigError),
    ],
)
def test_a_token_endpoint_that_says_something_else(
    account: Account, refreshing: dict[str, Any], answer: Any, kind: Any
) -> None:
    account.fault("status", "/token", times=None, **answer)
    with account.open(credentials=refreshing) as writer, pytest.raises(kind) as raised:
        writer.ensure(account.audience())
    assert "jane" not in str(raised.value)
