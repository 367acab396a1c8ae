"""Proxies and authorities of the environment, over real TLS and through a real proxy."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cdp_bridge.errors import BridgeError, ConfigError, TransientError
from cdp_bridge.http import network
from cdp_bridge.http.client import Client
from cdp_bridge.redact import redact

from .private import Authority, ForwardProxy, host

PASSWORD = "s3cr3t-of-the-proxy"
pytestmark = pytest.mark.usefixtures("no_network_variables")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def port(authority: Authority) -> Iterator[int]:
    """The port of a host with a certificate of the authority."""
    with host(authority.server_context()) as listening:
        yield listening


def answer(url: str) -> object:
    with Client(url) as client:
        return client.call("GET", "/")


def refused(url: str) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        answer(url)
    assert PASSWORD not in str(caught.value)
    return caught.value


def hashed(authority: Authority, folder: Path) -> Path:
    """A folder as `openssl rehash` leaves it."""
    folder.mkdir()
    shutil.copy(authority.file, folder / "authority.pem")
    subprocess.run(["openssl", "rehash", str(folder)], check=True)
    return folder


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_private_authority_is_trusted_by_a_file(
    variable: str, authority: Authority, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(authority.file))
    assert answer(f"https://localhost:{port}") == 1


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"])
def test_a_private_authority_is_trusted_by_a_folder(
    variable: str, authority: Authority, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(hashed(authority, tmp_path / "folder")))
    assert answer(f"https://localhost:{port}") == 1
    assert network.authorities().certificates().strip() == authority.file.read_bytes().strip()


def test_a_file_and_a_folder_are_trusted_together(
    authority: Authority, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path / "other", "another one").file))
    assert "SSL_CERT_FILE=" in str(refused(f"https://localhost:{port}"))
    monkeypatch.setenv("SSL_CERT_DIR", str(hashed(authority, tmp_path / "folder")))
    assert answer(f"https://localhost:{port}") == 1


def test_the_variable_of_requests_wins_over_that_of_openssl(
    authority: Authority, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Authority(tmp_path / "other", "another one").file))
    error = refused(f"https://localhost:{port}")
    assert f"verified by REQUESTS_CA_BUNDLE={tmp_path}/other/authority.pem" in str(error)
    assert isinstance(error, ConfigError)
    assert "name that in REQUESTS_CA_BUNDLE" in error.remedy


def test_an_unknown_authority_is_named_with_the_way_to_add_it(port: int) -> None:
    error = refused(f"https://localhost:{port}")
    assert isinstance(error, ConfigError)
    assert "no trusted TLS connection to localhost: unable to get local issuer certificate" in str(error)
    assert "verified by the list that comes with the bridge" in str(error)
    assert "SSL_CERT_FILE" in error.remedy


def test_a_certificate_of_another_host_is_not_solved_by_another_authority(
    authority: Authority, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with ForwardProxy(port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        error = refused("https://graph.example.test")
    assert isinstance(error, ConfigError)
    assert "graph.example.test through the proxy http://127.0.0.1:" in str(error)
    assert error.remedy == "Check the host and its certificate"


def test_a_host_that_speaks_no_tls_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with host() as port:
        assert "do they speak TLS" in str(refused(f"https://localhost:{port}"))


@pytest.mark.parametrize("variable", network.AUTHORITIES)
def test_an_authority_that_is_none_is_named_by_its_variable(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "trusted"
    monkeypatch.setenv(variable, str(place))
    for make in (lambda: None, place.mkdir if variable == "SSL_CERT_DIR" else lambda: place.write_text("no PEM")):
        make()
        with pytest.raises(ConfigError, match=f"^{variable}: .*{place}"):
            Client("https://localhost")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_host_is_reached_through_the_proxy(
    variable: str, authority: Authority, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with ForwardProxy(port) as proxy:
        monkeypatch.setenv(variable, f"http://me:{PASSWORD}@127.0.0.1:{proxy.port}")
        assert answer(f"https://localhost:{port}") == 1
        assert [line.rpartition(" ")[0] for line in proxy.asked] == [f"CONNECT localhost:{port}"]
        assert proxy.credentials != [None]
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert answer(f"https://localhost:{port}") == 1
        assert len(proxy.asked) == 1
    assert PASSWORD not in redact(f"nothing shows {PASSWORD}")


def test_an_address_without_tls_goes_by_http_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with host() as port, ForwardProxy(0) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        assert answer(f"http://localhost:{port}") == 1
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
        assert answer(f"http://localhost:{port}") == 2


def test_the_lower_case_name_wins_also_when_it_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://upper:1")
    monkeypatch.setenv("https_proxy", "http://lower:2")
    assert str(network.proxy_to("https", "a.example", None)) == "the proxy http://lower:2 (https_proxy)"
    monkeypatch.setenv("https_proxy", "")
    assert network.proxy_to("https", "a.example", None) is None


@pytest.mark.parametrize(
    ("exempt", "place", "is_exempt"),
    [
        ("*", ("a.example", 443), True),
        ("a.example", ("a.example", 443), True),
        ("a.example", ("x.a.example", 443), True),
        (".a.example", ("a.example", 443), True),
        ("*.a.example", ("x.a.example", 443), True),
        ("A.Example.", ("a.EXAMPLE.", 443), True),
        ("a.example", ("ba.example", 443), False),
        ("a.example", ("a.example.net", 443), False),
        ("x, a.example", ("a.example", 443), True),
        ("x  a.example", ("a.example", 443), True),
        ("a.example:8443", ("a.example", 8443), True),
        ("a.example:8443", ("a.example", 443), False),
        ("localhost,127.0.0.1", ("localhost", 80), True),
        ("localhost,127.0.0.1", ("127.0.0.1", 80), True),
        ("localhost", ("127.0.0.1", 80), False),
        ("10.0.0.0/8", ("10.200.3.4", 443), True),
        ("10.0.0.0/8", ("11.0.0.1", 443), False),
        ("::1", ("::1", 443), True),
        ("[::1]:443", ("::1", 443), True),
        ("[::1]:80", ("::1", 443), False),
        ("fd00::/8", ("fd12::1", 443), True),
        ("0.0.1", ("10.0.0.1", 443), False),
        (",", ("a.example", 443), False),
        ("", ("a.example", 443), False),
    ],
)
def test_who_is_exempt(exempt: str, place: tuple[str, int], is_exempt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert (network.proxy_to("https", *place) is None) is is_exempt


@pytest.mark.parametrize(
    "url",
    ["socks5://p:1", "http://", "http://p:port", f"http://me:{PASSWORD}/x@p:1", "http://[p", "ftp://p", "http://p/x"],
)
def test_a_proxy_that_is_none_is_named_by_its_variable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ConfigError, match=r"^HTTPS_PROXY: this is not the URL of an HTTP proxy") as caught:
        Client("https://localhost")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "problem"),
    [
        (407, ConfigError, "wants another user or password (407). Write them into HTTPS_PROXY"),
        (403, ConfigError, "does not connect to graph.example.test (it answers 403)"),
        (502, TransientError, "cannot reach graph.example.test (it answers 502)"),
    ],
)
def test_a_proxy_that_refuses_is_named(
    status: int, kind: type[BridgeError], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardProxy(0, status) as proxy:
        place = f"127.0.0.1:{proxy.port}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@{place}")
        error = refused("https://graph.example.test")
    assert type(error) is kind
    assert f"the proxy http://{place} (HTTPS_PROXY) {problem}" in str(error)


def test_a_proxy_without_tls_that_wants_a_password_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with ForwardProxy(0, 407) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert "(HTTP_PROXY) wants another user or password" in str(refused("http://graph.example.test"))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://me:{PASSWORD}@127.0.0.1:{_closed_port()}")
    error = refused(f"{scheme}://graph.example.test")
    assert isinstance(error, TransientError)
    assert "the proxy http://127.0.0.1:" in str(error)
    assert "connection refused" in str(error)


def test_the_passwords_of_netrc_stay_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine localhost login me password hidden\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with host() as port, Client(f"http://localhost:{port}") as client:
        assert "Authorization" not in client.send("GET", "/").request.headers


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
