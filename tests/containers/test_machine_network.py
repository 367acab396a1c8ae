"""A container uses the proxy and the authorities of the machine that starts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cdp_bridge.connectors.launch.containers import DockerLauncher
from cdp_bridge.connectors.transport import Remote
from cdp_bridge.model import Connector, Page, ReadRequest

from core.tests.http.private import Authority, ForwardProxy, host

PEOPLE = b'[{"id": "u1", "email": "ann.one@example.com"}]'
pytestmark = pytest.mark.usefixtures("no_network_variables")


def test_a_private_host_is_read_through_the_proxy(
    remote: Callable[..., Remote], boxed: Connector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with host(authority.server_context(), PEOPLE) as port, ForwardProxy(port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hidden@127.0.0.1:{proxy.port}")
        (page,) = remote(base_url=f"https://localhost:{port}").read(None, ReadRequest(stream="people"))
        assert isinstance(page, Page)
        assert len(page.records) == 1
        assert [line.rpartition(" ")[0] for line in proxy.asked] == [f"CONNECT localhost:{port}"]
        failed = [probe.name for probe in DockerLauncher().examine(boxed) if not probe.passed]
    # As without all this, where the machine's firewall cannot be set.
    assert set(failed) <= {"services of this host cannot be reached"}
