"""What a plugin's package tries, which somebody has installed and nobody has said to trust."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from cdp_bridge import settings
from cdp_bridge.connectors import manifest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.connectors.trust import Trust
from cdp_bridge.identity import installed
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.store import Store

CODE = """
import os
with open({mark!r}, "a") as file:
    file.write(f"{{os.getpid()}}\\n")
from functools import partial
from cdp_bridge.sdk import Connector, hookimpl, run
from evil.settings import Settings
CONNECTOR = Connector(name="source-evil", kind="source", settings=Settings, load="evil.source")
@hookimpl
def bridge_connectors():
    return [CONNECTOR]
@hookimpl
def bridge_functions():
    return {{"evil": str}}
main = partial(run, CONNECTOR)
"""
SETTINGS = """
from typing import Annotated
from cdp_bridge.sdk import Secret, option
from msgspec import Struct
class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    token: Annotated[Secret, option("Token")]
    region: Annotated[str, option("Region", pattern="^[a-z]+$")] = "us"
    file: Annotated[str | None, option("File", local="path")] = None
"""
SOURCE = """
from cdp_bridge.sdk import Catalog, Probe, Stream
def check(settings):
    return [Probe("token", settings.token.reveal() == "t0ken", settings.region)]
def discover(settings):
    return Catalog((Stream(name="people", membership=True, primary_key=("id",)),))
"""
COMMAND = [sys.executable, "-c", "from cdp_bridge.cli import main; main()"]
ACCOUNT = {"name": "crm", "cdp_provider": "source-evil", "api_credentials": {"token": "t0ken"}}
Json = dict[str, Any]


@dataclass
class Package:
    """The package `evil` of the distribution `evil-source`, in a folder of its own; its import leaves a mark."""

    site: Path
    mark: Path

    def __post_init__(self) -> None:
        self.folder = self.site / "evil"
        self.folder.mkdir(parents=True)
        for name, text in {
            "__init__": CODE.format(mark=str(self.mark)),
            "settings": SETTINGS,
            "source": SOURCE,
        }.items():
            (self.folder / f"{name}.py").write_text(text)
        info = self.site / "evil_source-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil-source\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[cdp_bridge]\nevil = evil\n")
        program = self.site / "source-evil"
        program.write_text(f"#!{sys.executable}\nfrom evil import main\nmain()\n")
        program.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.site), os.environ.get("PATH", "")])
        return os.environ | {"PYTHONPATH": str(self.site), "PATH": path}

    @property
    def manifest(self) -> Path:
        return self.folder / manifest.FILE

    def describe(self) -> None:
        """Write the manifest as its author does, who runs the code."""
        command = [*COMMAND, "spec", "source-evil", "--manifest"]
        printed = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout
        self.manifest.write_text(printed)
        self.mark.unlink()

    def change(self, **fields: Any) -> None:
        (connector,) = json.loads(self.manifest.read_text())
        self.manifest.write_text(json.dumps([connector | fields]))

    def change_settings(self, /, **properties: Any) -> None:
        (connector,) = json.loads(self.manifest.read_text())
        schema = connector["settings"]
        self.change(settings=schema | {"properties": schema["properties"] | properties})


@pytest.fixture
def package(tmp_path: Path) -> Package:
    package = Package(tmp_path / "site", tmp_path / "mark")
    package.describe()
    return package


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str
    key: str

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, self.url + path, json=body, headers={"Authorization": f"Bearer {self.key}"})

    def end(self) -> str:
        """What it has written to stderr, once it has ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate()[1]


@contextmanager
def serving(package: Package, folder: Path, *arguments: str) -> Iterator[Server]:
    """`cdp-bridge serve` as a process, with a key of an administrator."""
    url = f"sqlite:///{folder}/store.db"
    with Store.open(url) as store:
        key = store.api_keys.create("admin", "admin")[1]
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--health-port", "0", "--store", url, *arguments],
        cwd=folder,
        env=package.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        found = (re.search(r"Serving at (http://[0-9.:]+)", line) for line in process.stdout)
        address = next((match[1] for match in found if match), None)
        assert address, process.communicate()[1]
        yield Server(process, address, key)
    finally:
        process.kill()
        process.communicate()


def test_its_code_does_not_run_whatever_the_api_is_asked(package: Package, tmp_path: Path) -> None:
    with serving(package, tmp_path) as server:
        listed = server.call("GET", "/v1/connectors/source-evil").json()
        assert listed["spec"] == json.loads(package.manifest.read_text())[0]["settings"]
        assert listed["version"] == "1.0"
        wrong = ACCOUNT | {"api_credentials": {"token": "t0ken", "region": "US", "colour": "red"}}
        refused = server.call("POST", "/v1/connections", wrong)
        places = {error["place"] for error in refused.json()["errors"]}
        assert (refused.status_code, places) == (422, {"api_credentials.region", "api_credentials.colour"})
        named = ACCOUNT | {"api_credentials": {"token": "t0ken", "file": "/etc/passwd"}}
        assert "of the server" in server.call("POST", "/v1/connections", named).text
        saved = server.call("POST", "/v1/connections", ACCOUNT)
        assert (saved.status_code, saved.json()["api_credentials"]["token"][:6]) == (201, "store:")
        (probe,) = server.call("POST", "/v1/connections/crm/check").json()["probes"]
        assert not probe["passed"]
        assert "--launcher docker" in probe["remedy"]
        assert "--trust-plugin evil-source" in probe["remedy"]
        discovered = server.call("POST", "/v1/connections/crm/discover")
        assert discovered.status_code in (409, 422, 424, 502), discovered.text
        assert "evil-source, which brings it, is not trusted" in discovered.text
        said = server.end()
    assert "plugin evil: evil-source is not trusted: its connectors work with a launcher only" in said
    assert not package.mark.exists()


def test_a_run_of_it_says_what_to_do(package: Package, tmp_path: Path) -> None:
    rules = [{"omniads_field": "user_id", "cdp_field": "id"}, {"omniads_field": "email", "cdp_field": "email"}]
    audience = {"name": "vip", "connection": "crm", "segment": "s", "destination": "out", "mapping": "people"}
    out = {"name": "out", "connector": "destination-file", "settings": {"path": str(tmp_path / "out")}}
    bodies = {"connections": ACCOUNT, "destinations": out, "mappings": {"name": "people", "rules": rules}}
    with serving(package, tmp_path, "--allow-local", str(tmp_path)) as server:
        for kind, body in (bodies | {"audiences": audience}).items():
            answer = server.call("POST", f"/v1/{kind}", body)
            assert answer.status_code == 201, answer.text
        run = server.call("POST", "/v1/audiences/vip/sync").json()
        while (ended := server.call("GET", f"/v1/runs/{run['id']}").json())["state"] in ("queued", "running"):
            time.sleep(0.1)
    assert ended["state"] == "failed"
    assert "--trust-plugin evil-source" in json.dumps(ended)
    assert not package.mark.exists()


def test_with_a_launcher_it_runs_in_a_process_of_its_own(package: Package, tmp_path: Path) -> None:
    with serving(package, tmp_path, "--launcher", "local") as server:
        assert server.call("POST", "/v1/connections", ACCOUNT).status_code == 201
        assert not package.mark.exists()
        (probe,) = server.call("POST", "/v1/connections/crm/check").json()["probes"]
        assert (probe["name"], probe["passed"], probe["detail"]) == ("token", True, "us")
        assert server.call("POST", "/v1/connections/crm/discover").status_code == 200
        assert str(server.process.pid) not in package.mark.read_text().split()


@pytest.mark.parametrize("name", ["evil-source", "Evil.Source"])
def test_only_who_is_named_is_trusted(package: Package, tmp_path: Path, name: str) -> None:
    with serving(package, tmp_path, "--trust-plugin", "evil", "--trust-plugin", "cdp-bridge-hostile"):
        assert not package.mark.exists()
    with serving(package, tmp_path, "--trust-plugin", name) as server:
        assert package.mark.read_text().split() == [str(server.process.pid)]
        assert server.call("POST", "/v1/connections", ACCOUNT).status_code == 201
        (probe,) = server.call("POST", "/v1/connections/crm/check").json()["probes"]
        assert probe["passed"]


NESTED: Json = {"type": "object"}
for _ in range(30):
    NESTED = {"type": "object", "properties": {"a": NESTED}}
OAUTH = {"token_url": "https://evil.example", "client_id": "a", "client_secret": "b", "access_token": "token"}
FAULTS: dict[str, tuple[Callable[[Package], object], str]] = {
    "has none": (lambda package: package.manifest.unlink(), "it has no connectors.json"),
    "is a folder": (
        lambda package: package.manifest.rename(package.folder / "other.json").with_name(manifest.FILE).mkdir(),
        "it has no connectors.json",
    ),
    "is no JSON": (lambda package: package.manifest.write_text("[{"), "cannot be read"),
    "is no text": (lambda package: package.manifest.write_bytes(b'["\xff"]'), "cannot be read"),
    "is another shape": (lambda package: package.manifest.write_text('{"name": 1}'), "Expected `array`, got `object`"),
    "is huge": (lambda package: package.manifest.write_text("[" + " " * 2_000_000 + "]"), "more than 250,000 bytes"),
    "is deep": (lambda package: package.manifest.write_text("[" * 200_000), "cannot be read"),
    "is of another version": (lambda package: package.change(api_version=9), "is built for API version 9"),
    "claims another's name": (lambda package: package.change(name="source-file"), "source-file exists already"),
    "leaves its folder": (lambda package: package.change(name="source-../../bin/sh"), "a source is named source-..."),
    "writes on the terminal": (lambda package: package.change(hosts=["\x1b[2J" * 9_000]), "no host: \\x1b[2J"),
    "names a program of the machine": (lambda package: package.change(name="sh"), "a source is named source-..."),
    "is of another kind": (lambda package: package.change(kind="destination"), "a destination is named"),
    "loads another's code": (lambda package: package.change(load="source_file.source"), "code is in another package"),
    "loads more than its own": (lambda package: package.change(load="evil_twin"), "code is in another package"),
    "runs outside of containers": (lambda package: package.change(program="sh"), "by a program of its own"),
    "wants every host": (lambda package: package.change(hosts=["*"]), "no host: *"),
    "wants a whole domain": (lambda package: package.change(hosts=["*.com"]), "no host: *.com"),
    "wants a path": (lambda package: package.change(image="../containers/x"), "no image: ../containers/x"),
    "has a script for a link": (
        lambda package: package.change(documentation="javascript:alert(1)"),
        "no documentation: javascript:",
    ),
    "reads the machine by a template": (
        lambda package: package.change(
            oauth=OAUTH | {"authorize_url": "https://x/{token.reveal.__func__.__globals__}"}
        ),
        "no URL with settings in it",
    ),
    "has no schema": (lambda package: package.change(settings="x"), "settings are a JSON schema"),
    "has a schema of something else": (lambda package: package.change(settings={"type": 5}), "no JSON schema at"),
    "is nested": (lambda package: package.change(settings=NESTED), "nested more than 20 deep"),
    "fetches a schema": (
        lambda package: package.change_settings(region={"$ref": "http://169.254.169.254/latest"}),
        "settings.properties.region.$ref is not known",
    ),
    "has a slow pattern of another kind": (
        lambda package: package.change_settings(region={"patternProperties": {"(a+)+$": {}}}),
        "patternProperties is not known",
    ),
    "has a pattern that is none": (
        lambda package: package.change_settings(region={"type": "string", "pattern": "(?<=x)("}),
        "is no pattern of RE2",
    ),
    "has a mark that is none": (
        lambda package: package.change_settings(region={"type": "string", "local": "everything"}),
        "local is none of path",
    ),
    "has a setting of Python's": (
        lambda package: package.change_settings(__post_init__={"type": "string"}),
        "names of settings are letters",
    ),
    "has two settings for one": (
        lambda package: package.change_settings(**{"a-b": {"type": "string"}, "a_b": {"type": "string"}}),
        "two settings have the same name",
    ),
}


def found(package: Package, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The plugins as a server finds them, to which the package is installed."""
    monkeypatch.syspath_prepend(str(package.site))
    installed.cache_clear()
    registry = Registry(trust=Trust(()))
    assert registry.connector("source-file").load == "source_file.source"
    assert "evil" not in sys.modules
    assert not package.mark.exists()
    return registry


def reasons(registry: Registry) -> str:
    return "\n".join(failure.reason for failure in registry.failures if failure.plugin == "evil")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_manifest_that(fault: str, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    change, reason = FAULTS[fault]
    change(package)
    registry = found(package, monkeypatch)
    assert reason in reasons(registry)
    assert "--trust-plugin evil-source" in reasons(registry)
    assert "source-evil" not in registry.connectors
    assert len(reasons(registry)) < 1_000
    assert "\x1b" not in reasons(registry)


def test_metadata_without_a_name_are_of_nobody(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("Metadata-Version: 2.1\n", ""):
        (package.site / "evil_source-1.0.dist-info" / "METADATA").write_text(text)
        assert "(a distribution without a name) is not trusted" in reasons(found(package, monkeypatch))
    (package.site / "evil_source-1.0.dist-info" / "METADATA").unlink()
    assert "is not trusted" in reasons(found(package, monkeypatch))


def test_an_entry_point_of_somebody_else_is_taken_for_no_ones(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = package.site / "evil_source-1.0.dist-info" / "entry_points.txt"
    points.write_text("[cdp_bridge]\nsource-file = evil\nevil = source_file\n")
    registry = found(package, monkeypatch)
    said = {failure.plugin: failure.reason for failure in registry.failures}
    assert "a plugin of this name is loaded already" in said["source-file"]
    assert registry.version(registry.connector("source-file")) != "1.0"


def test_a_compiled_package_is_not_loaded_to_look_into_it(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    (package.folder / "__init__.py").unlink()
    (package.folder / "profiles").mkdir()
    shutil.copy(msgspec._core.__file__, package.folder / f"__init__{sysconfig.get_config_var('EXT_SUFFIX')}")
    registry = found(package, monkeypatch)
    assert "source-evil" in registry.connectors
    assert not [failure for failure in installed().failures if failure[0] == "evil"]
    assert str(package.folder) not in Path("/proc/self/maps").read_text()


def test_a_default_is_no_reference(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "hunter2hunter2")
    secret = {"type": "string", "airbyte_secret": True, "default": "env:SECRET_OF_THE_SERVER"}
    group = {"type": "object", "properties": {"key": secret}, "default": {"key": "env:SECRET_OF_THE_SERVER"}}
    package.change_settings(key=secret, group=group)
    connector = found(package, monkeypatch).connector("source-evil")
    for raw in ({"token": "t"}, {"token": "t", "group": {}}):
        sealed = settings.seal(settings.load(connector.settings, raw, Resolver()))
        assert b"hunter2" not in sealed


def test_a_pattern_stops_nobody(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    package.change_settings(region={"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"})
    connector = found(package, monkeypatch).connector("source-evil")
    with pytest.raises(settings.SettingsError, match="must match the pattern"):
        settings.check(connector.settings, {"token": "t", "region": "a" * 5_000})


def test_thousands_of_patterns_do_not_hold_up_the_start(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    package.change_settings(
        **{f"s{number}": {"pattern": f"^[a-z]{{1,{number % 900 + 1}}}$"} for number in range(4_000)}
    )
    assert "source-evil" in found(package, monkeypatch).connectors


@pytest.mark.parametrize("name", ["json_schema", "class", "self", "mro"])
def test_no_name_of_a_setting_stands_in_the_way(name: str, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    package.change_settings(**{name: {"type": "string"}})
    connector = found(package, monkeypatch).connector("source-evil")
    assert name in settings.schema(connector.settings)["properties"]
    raw = {"token": "t", name: "x"}
    assert b"x" in settings.seal(settings.load(connector.settings, raw, Resolver(plugins=Secret)))
