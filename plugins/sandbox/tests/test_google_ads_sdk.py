"""Google's own Google Ads client, unmodified, drives the twin.

It speaks gRPC over TLS only (google.md 13). A small front turns its calls into the REST calls of the same methods with
the package's own types, so those types also judge every answer and every error of the twin.
"""

import datetime
import hashlib
import importlib
import ipaddress
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.ads.googleads.client import GoogleAdsClient
from google.ads.googleads.errors import GoogleAdsException
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.oauth2.credentials import Credentials
from google.protobuf import json_format

from .conftest import GoogleClient

SERVICES = "google.ads.googleads.v26.services"
FAILURE = "google.ads.googleads.v26.errors.googleadsfailure-bin"
METHODS: dict[str, tuple[str, str, str]] = {
    "GoogleAdsService/Search": ("google_ads_service", "SearchGoogleAds", "customers/{customerId}/googleAds:search"),
    "GoogleAdsService/SearchStream": (
        "google_ads_service",
        "SearchGoogleAdsStream",
        "customers/{customerId}/googleAds:searchStream",
    ),
    "UserListService/MutateUserLists": (
        "user_list_service",
        "MutateUserLists",
        "customers/{customerId}/userLists:mutate",
    ),
    "OfflineUserDataJobService/CreateOfflineUserDataJob": (
        "offline_user_data_job_service",
        "CreateOfflineUserDataJob",
        "customers/{customerId}/offlineUserDataJobs:create",
    ),
    "OfflineUserDataJobService/AddOfflineUserDataJobOperations": (
        "offline_user_data_job_service",
        "AddOfflineUserDataJobOperations",
        "{resourceName}:addOperations",
    ),
}
"""By gRPC method: the module of its types, their name, and the path of the same method over REST."""


class Front(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Serves the methods by asking the twin."""

    def __init__(self, url: str) -> None:
        self.url = url

    def service(self, details: Any) -> Any:
        module, name, path = METHODS[details.method.removeprefix(f"/{SERVICES}.")]
        types = importlib.import_module(f"{SERVICES}.types.{module}")
        asked, answered = getattr(types, f"{name}Request"), getattr(types, f"{name}Response")
        serve = self._unary(path, answered)
        made = grpc.unary_unary_rpc_method_handler
        if name.endswith("Stream"):
            serve, made = self._stream(path, answered), grpc.unary_stream_rpc_method_handler
        return made(serve, asked.deserialize, answered.serialize)

    def _unary(self, path: str, answered: Any) -> Callable[[Any, Any], Any]:
        return lambda request, context: _read(answered, self._ask(path, request, context))

    def _stream(self, path: str, answered: Any) -> Callable[[Any, Any], Any]:
        return lambda request, context: (_read(answered, each) for each in self._ask(path, request, context))

    def _ask(self, path: str, request: Any, context: Any) -> Any:
        body = json_format.MessageToDict(type(request).pb(request))
        names = {name: body.pop(name) for name in ("customerId", "resourceName") if f"{{{name}}}" in path}
        wanted = ("authorization", "login-customer-id")
        headers = {name: value for name, value in context.invocation_metadata() if name in wanted}
        answer = requests.post(f"{self.url}/v26/{path.format(**names)}", json=body, headers=headers)
        if answer.ok:
            return answer.json()
        error = answer.json()[0]["error"] if isinstance(answer.json(), list) else answer.json()["error"]
        context.set_trailing_metadata((("request-id", answer.headers["request-id"]), *_trailer(error)))
        context.abort(getattr(grpc.StatusCode, error["status"]), error["message"])
        raise AssertionError


def _trailer(error: Any) -> Iterator[tuple[str, bytes]]:
    for detail in error.get("details", ()):
        plain = {name: value for name, value in detail.items() if name != "@type"}
        yield FAILURE, GoogleAdsFailure.serialize(_read(GoogleAdsFailure, plain))


def _read(kind: Any, answer: Any) -> Any:
    made = kind()
    json_format.ParseDict(answer, kind.pb(made))
    return made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bytes, bytes, Path]]:
    """Key, certificate, and its file, which gRPC trusts from its first secure channel on."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "t")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    signed = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = signed.public_bytes(serialization.Encoding.PEM)
    file = tmp_path_factory.mktemp("grpc") / "roots.pem"
    file.write_bytes(pem)
    kind = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(file))
        yield key.private_bytes(serialization.Encoding.PEM, *kind), pem, file


@pytest.fixture
def ads(google_twin: GoogleClient, certificate: tuple[bytes, bytes, Path]) -> Iterator[Callable[..., Any]]:
    """A client of the twin; keywords are those of its constructor."""
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Front(google_twin.url)])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([certificate[:2]]))
    server.start()

    def client(**more: Any) -> Any:
        credentials: Any = Credentials
        made: Any = GoogleAdsClient
        return made(
            credentials("sandbox-token"), endpoint=f"localhost:{port}", use_proto_plus=True, version="v26", **more
        )

    yield client
    server.stop(0).wait()


def test_search_pages_and_streams(google_twin: GoogleClient, ads: Any) -> None:
    made = google_twin.create(integrationCode="segment:aud_42")
    service = ads().get_service("GoogleAdsService")
    query = "SELECT user_list.id, user_list.integration_code, user_list.eligible_for_search FROM user_list"
    (row,) = service.search(customer_id="1234567890", query=query)
    assert (row.user_list.id, row.user_list.integration_code) == (int(made), "segment:aud_42")
    query = "SELECT campaign.id, segments.date, metrics.impressions, metrics.ctr FROM campaign "
    query += "WHERE segments.date DURING LAST_7_DAYS"
    rows = [row for chunk in service.search_stream(customer_id="1234567890", query=query) for row in chunk.results]
    assert len(rows) == 14
    assert all(row.metrics.impressions > 0 for row in rows)


def test_lists_and_jobs(google_twin: GoogleClient, ads: Any) -> None:
    google_twin.configure(legacy_uploads=True, processing=0)
    client = ads()
    operation = client.get_type("UserListOperation")
    operation.create.name = "VIP"
    operation.create.membership_life_span = 540
    operation.create.crm_based_user_list.upload_key_type = client.enums.CustomerMatchUploadKeyTypeEnum.CONTACT_INFO
    service = client.get_service("UserListService")
    made = service.mutate_user_lists(customer_id="1234567890", operations=[operation]).results[0].resource_name
    jobs, job = client.get_service("OfflineUserDataJobService"), client.get_type("OfflineUserDataJob")
    job.type_ = client.enums.OfflineUserDataJobTypeEnum.CUSTOMER_MATCH_USER_LIST
    job.customer_match_user_list_metadata.user_list = made
    granted = client.enums.ConsentStatusEnum.GRANTED
    job.customer_match_user_list_metadata.consent.ad_user_data = granted
    job.customer_match_user_list_metadata.consent.ad_personalization = granted
    name = jobs.create_offline_user_data_job(customer_id="1234567890", job=job).resource_name
    addition, identifier = client.get_type("OfflineUserDataJobOperation"), client.get_type("UserIdentifier")
    identifier.hashed_email = hashlib.sha256(b"ann@example.com").hexdigest()
    addition.create.user_identifiers.append(identifier)
    jobs.add_offline_user_data_job_operations(resource_name=name, operations=[addition])
    google_twin.send("POST", f"v26/{name}:run", {})
    assert google_twin.people(made.rpartition("/")[2]) == ["p-ann"]


def test_refusals_are_understood(google_twin: GoogleClient, ads: Any) -> None:
    service = ads().get_service("GoogleAdsService")
    with pytest.raises(GoogleAdsException) as refused:
        service.search(customer_id="1234567890", query="SELECT metrics.video_views FROM campaign")
    (error,) = refused.value.failure.errors
    assert error.error_code.query_error.name == "UNRECOGNIZED_FIELD"
    assert refused.value.request_id
    with pytest.raises(GoogleAdsException) as refused:
        service.search(customer_id="2223334444", query="SELECT customer.id FROM customer")
    assert refused.value.failure.errors[0].error_code.authorization_error.name == "USER_PERMISSION_DENIED"
    managed = ads(login_customer_id="9998887777").get_service("GoogleAdsService")
    (row,) = managed.search(customer_id="2223334444", query="SELECT customer.id FROM customer")
    assert row.customer.id == 2223334444
