"""A person connects an account by signing in at Meta's twin, through the real server: from POST to a run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sandbox

CLI = Path(sys.executable).parent / "cdp-bridge"
APP_SECRET = "sandbox-secret"
RULES = [{"omniads_field": "user_id", "cdp_field": "id"}, {"omniads_field": "email", "cdp_field": "email"}]


class Served:
    """A server with nothing configured, as its administrator."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        said = ""
        while "Serving" not in said:
            line = process.stdout.readline() if process.stdout else ""
            assert line, process.communicate()[1]
            said += line
        self.url = said.split("Serving at ")[1].split()[0]
        key = Path(said.split("For ten minutes, ")[1].split(" has one")[0]).read_text()
        self._headers = {"Authorization": f"Bearer {key}"}
        self.answers: list[str] = []

    def post(self, path: str, body: Any = None) -> Any:
        answer = requests.post(f"{self.url}/v1/{path}", json=body, headers=self._headers)
        assert answer.status_code < 300, answer.text
        self.answers.append(answer.text)
        return answer.json() if answer.content else None

    def get(self, path: str) -> str:
        return requests.get(f"{self.url}/v1/{path}", headers=self._headers).text


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    command = [str(CLI), "serve", "--port", "0", "--health-port", "0", "--allow-local", str(tmp_path)]
    command += ["--allow-host", "127.0.0.1"]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        yield Served(process)
        process.terminate()


def test_a_person_connects_meta_and_a_run_uses_the_token(served: Served, tmp_path: Path) -> None:
    (tmp_path / "vip.csv").write_text("id,email\n1,ada@example.com\n2,bob@example.com\n")
    with sandbox.running(people=0) as twins:
        account = {
            "app_id": "sandbox-app",
            "app_secret": APP_SECRET,
            "access_token": "oauth:meta-main",
            "ad_account_id": "act_1001",
            "base_url": twins.meta,
            "login_url": twins.meta,
        }
        made = served.post("destinations", {"name": "meta", "connector": "destination-meta", "settings": account})
        assert made["settings"]["app_secret"].startswith("store:destination.meta.")
        (probe,) = served.post("destinations/meta/check")["probes"]
        assert (probe["passed"], probe["name"]) == (False, "settings")
        assert "nobody has connected meta-main" in probe["detail"]

        begun = served.post("destinations/meta/connect")
        assert begun["url"].startswith(f"{served.url}/oauth/start/destination-meta?ticket=")
        browser = requests.Session()
        page = browser.get(begun["url"])
        assert page.history[1].url.startswith(f"{twins.meta}/v26.0/dialog/oauth?client_id=sandbox-app&")
        assert page.url.startswith(f"{served.url}/oauth/callback/destination-meta?code=")
        assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
        confirmation = re.search("with the code ([A-Z2-7-]{19})<", page.text)
        assert confirmation
        assert browser.get(page.url).status_code == 400
        (probe,) = served.post("destinations/meta/check")["probes"]
        assert "nobody has connected meta-main" in probe["detail"]

        served.post("destinations/meta/connect/confirm", {"code": confirmation[1]})
        assert served.post("destinations/meta/check")["passed"]
        source = {"path": str(tmp_path / "vip.csv")}
        served.post("connections", {"name": "crm", "cdp_provider": "source-file", "api_credentials": source})
        served.post("mappings", {"name": "people", "rules": RULES})
        audience = {"name": "vip", "connection": "crm", "segment": "s", "destination": "meta", "mapping": "people"}
        served.post("audiences", audience)
        run = served.post("audiences/vip/sync")
        with requests.get(f"{served.url}/v1/runs/{run['id']}/events", headers=served._headers) as events:
            assert '"accepted":2' in events.text
        tokens = requests.get(f"{twins.meta}/_twin/config").json()["tokens"]
    granted = [token for token in tokens if token.startswith("EAAsandbox")]
    assert len(granted) == 2, "a short one, and the long one that it was traded for"
    assert all(f'"action":"{action}"' in served.get("audit?limit=200") for action in ("connect", "sign in", "confirm"))
    store = b"".join(path.read_bytes() for path in tmp_path.glob("cdp-bridge.db*") if path.suffix != ".keyring")
    code = re.search("code=([^&]+)", page.url)
    assert code
    said = "".join([*served.answers, served.get("destinations"), served.get("audit"), (tmp_path / "log").read_text()])
    for secret in (*granted, APP_SECRET, code[1], confirmation[1]):
        assert secret not in said
        assert secret.encode() not in store
