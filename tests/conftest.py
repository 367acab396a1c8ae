"""Fixtures: the twins, a folder with a bridge.yaml, and `cdp-bridge` run as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sandbox
from cdp_bridge.store import Store
from sandbox.people import generate

from tests.recording_proxy import RecordingProxy

BRIDGE = """\
connections:
  - name: segment
    cdp_provider: source-segment
    api_credentials:
      public_api_token: env:SEGMENT_TOKEN
      base_url: {segment}
      warehouse: {{url: env:SEGMENT_WAREHOUSE}}
destinations:
  - name: meta
    connector: destination-meta
    settings: {{access_token: env:META_TOKEN, ad_account_id: act_1001, base_url: {meta}}}
  - name: google
    connector: destination-google
    settings:
      credentials: {{type: access_token, access_token: env:GOOGLE_TOKEN}}
      operating_account: {{account_id: "1234567890"}}
      customer_match_terms: true
      ad_user_data: granted
      ad_personalization: granted
      base_url: {google}
  - name: tiktok
    connector: destination-tiktok
    settings: {{access_token: env:TIKTOK_TOKEN, advertiser_id: "7000000000000000001", base_url: {tiktok}}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: canonical_segment_id}}
    - {{omniads_field: email, cdp_field: identifiers.email}}
    - {{omniads_field: phone, cdp_field: identifiers.phone}}
    - {{omniads_field: mobile_ad_id, cdp_field: identifiers."ios.idfa", policy: clear}}
    - {{omniads_field: mobile_ad_id, cdp_field: identifiers."android.idfa", policy: clear}}
    - {{omniads_field: first_name, cdp_field: traits.first_name}}
    - {{omniads_field: last_name, cdp_field: traits.last_name}}
    - {{omniads_field: city, cdp_field: traits.city}}
    - {{omniads_field: postal_code, cdp_field: traits.postal_code}}
    - {{omniads_field: country, cdp_field: traits.country}}
suppressions: [opted_out.csv]
audiences:
"""
AUDIENCE = """\
  - name: {name}
    connection: segment
    segment: {segment}
    destination: {destination}
    mapping: people
    removal_limit: 1.0
    consent: [{{purpose: advertising, cdp_field: traits.consent_advertising}}]
"""


@dataclass(frozen=True)
class Command:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class BridgeSandbox:
    """The twins of a CDP and of platforms, and a bridge between them, each in a process of its own."""

    twins: sandbox.Sandbox
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def store_url(self) -> str:
        return self.environment["CDP_BRIDGE_STORE"]

    def write(self, text: str, name: str = "bridge.yaml") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def apply(self, text: str) -> None:
        """Write this bridge.yaml and apply it."""
        self.write(text)
        applied = self.bridge("apply", "-f", "bridge.yaml", "--yes")
        assert applied.code == 0, applied.err

    def rewrite(self, old: str, new: str) -> None:
        """Change the bridge.yaml, and apply it."""
        text = (self.folder / "bridge.yaml").read_text()
        assert old in text
        self.apply(text.replace(old, new))

    def suppress(self, entries: Iterable[str]) -> None:
        """Set the entries of the suppression list."""
        self.write("\n".join(entries) + "\n", "opted_out.csv")

    def start(self, *arguments: str, stdin: int | None = None, **environment: str) -> subprocess.Popen[str]:
        command = [str(Path(sys.executable).parent / "cdp-bridge"), *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def bridge(self, *arguments: str, stdin: str = "", **environment: str) -> Command:
        """Run a command to its end."""
        with self.start(*arguments, stdin=subprocess.PIPE, **environment) as process:
            out, err = process.communicate(stdin)
        return Command(process.returncode, out, err)

    def ask(self, url: str, body: Any = None, method: str | None = None) -> list[Any]:
        """The JSON lines that a control of a twin answers."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, method=method)) as answer:
            return [json.loads(line) for line in answer.read().splitlines() if line]

    def meta(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """One JSON answer of a control of the Meta twin."""
        (answer,) = self.ask(f"{self.twins.meta}/_twin/{path}", body, method)
        return answer

    @contextmanager
    def record(self, platform: str) -> Iterator[RecordingProxy]:
        """Record the exchanges between bridge and platform from now on."""
        url = getattr(self.twins, platform)
        proxy = RecordingProxy(url)
        with proxy.running():
            self.rewrite(url, proxy.url)
            yield proxy

    @contextmanager
    def store(self) -> Iterator[Store]:
        with Store.open(self.store_url) as opened:
            yield opened


@pytest.fixture(scope="session")
def bridge_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Context manager: the twins with `people`, and a bridge.yaml with audiences `<platform>-<segment>`, applied."""

    @contextmanager
    def running(
        people: int, *segments: str, platforms: Iterable[str] = ("meta",), seed: int = 1
    ) -> Iterator[BridgeSandbox]:
        folder = tmp_path_factory.mktemp("harness")
        warehouse = f"duckdb:///{folder}/profiles_sync.duckdb"
        with sandbox.running(people=people, seed=seed, warehouse=warehouse) as twins:
            # Compiling every module again would be most of the time of a short process.
            inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
            environment = inherited | {
                "CDP_BRIDGE_STORE": f"sqlite:///{folder}/cdp-bridge.db",
                "SEGMENT_TOKEN": "sandbox-papi-token",
                "SEGMENT_WAREHOUSE": warehouse,
                **dict.fromkeys(["META_TOKEN", "GOOGLE_TOKEN", "TIKTOK_TOKEN"], "sandbox-token"),
            }
            harness = BridgeSandbox(twins, folder, environment)
            text = BRIDGE.format(segment=twins.segment, meta=twins.meta, google=twins.google, tiktok=twins.tiktok)
            harness.suppress(generate(people, seed).suppressed)
            pairs = [(platform, segment) for platform in platforms for segment in segments]
            audiences = [
                AUDIENCE.format(name=f"{platform}-{segment}", segment=segment, destination=platform)
                for platform, segment in pairs
            ]
            harness.apply("".join([text, *audiences]))
            yield harness

    return running
