"""From bridge.yaml to a synced audience and back: plan, apply, sync, runs, audiences, doctor."""

import hashlib
import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge import configuration
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import SyncLog
from cdp_bridge.secrets import Secret
from cdp_bridge.store import Store
from msgspec.structs import replace

from .conftest import Cli, Site

YAML = """
connections:
  - name: shop
    cdp_provider: source-shop
    api_credentials: {{script: {script}}}
destinations:
  - name: shelf
    connector: destination-shelf
    settings: {{notes: {notes}{more}}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: user_id}}
    - {{omniads_field: email, cdp_field: email}}
audiences:
  - {{name: vips, connection: shop, segment: vip, destination: shelf, mapping: people, stream: members}}
"""


LONELY = """
  - {name: lonely, connection: shop, segment: x, destination: shelf, mapping: people, stream: nowhere}
"""


class World:
    """A folder with a bridge.yaml, the script of the source and the notes of the destination."""

    def __init__(self, folder: Path, cli: Cli) -> None:
        self.folder, self.cli = folder, cli
        self.file, self.notes = folder / "bridge.yaml", folder / "notes"
        self.url = f"sqlite:///{folder}/bridge.db"
        self.configure()
        self.people(10)

    def configure(self, more: str = "", **changes: str) -> None:
        text = YAML.format(script=self.folder / "script.jsonl", notes=self.notes, more=more)
        for old, new in changes.items():
            text = text.replace(old, new)
        self.file.write_text(text)

    def people(self, number: int) -> None:
        rows = [{"user_id": f"u{i}", "email": f"person{i}@example.com"} for i in range(number)]
        (self.folder / "script.jsonl").write_text(json.dumps({"rows": rows}))

    def apply(self) -> Any:
        return self.cli("apply", "-f", self.file, "--yes")

    def sync(self, *arguments: str) -> Any:
        return self.cli("sync", *(arguments or ("--all", "--json")))


@pytest.fixture
def world(tmp_path: Path, cli: Cli) -> World:
    return World(tmp_path, cli)


def test_plan_shows_and_apply_makes_the_difference(world: World) -> None:
    planned = world.cli("plan", "-f", world.file, "--json").json
    assert {(change["action"], change["name"]) for change in planned} >= {
        ("create", "shop"),
        ("create", "shelf"),
        ("create", "vips"),
    }
    assert "create" in world.cli("plan", "-f", world.file).out
    assert world.apply().code == 0
    assert world.cli("plan", "-f", world.file).out == "Nothing to change.\n"
    assert world.cli("plan", "-f", world.file, "--json").json == []


def test_apply_asks(world: World) -> None:
    answer = world.cli("apply", "-f", world.file, stdin=b"n\n")
    assert answer.code == 1
    assert "Apply these changes?" in answer.err
    assert world.cli("plan", "-f", world.file, "--json").json != []
    assert world.cli("apply", "-f", world.file, stdin=b"y\n").code == 0
    assert world.cli("plan", "-f", world.file, "--json").json == []


def test_apply_refuses_when_somebody_edits_while_it_asks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.apply()
    with Store.open(world.url) as store:
        (audience,) = store.bridge().audiences

        def edit(*_: Any, **__: Any) -> None:
            changed = replace(audience, segment="edited")
            key = configuration.EntryKey("audience", "vips")
            configuration.changes.replace(store, Registry(), key, changed, None, "a key")

        monkeypatch.setattr("click.confirm", edit)
        world.configure(**{"segment: vip": "segment: other"})
        answer = world.cli("apply", "-f", world.file)
        problem = "the configuration has changed since the plan was made. Run plan again"
        assert (answer.code, problem in answer.err) == (1, True)
        assert store.bridge().audiences[0].segment == "edited"


def test_apply_is_audited_with_the_name_of_the_user(world: World) -> None:
    world.apply()
    with Store.open(world.url) as store:
        entries = store.audit.listed()
    assert [entry.name for entry in reversed(entries)] == ["shop", "shelf", "people", "vips"]
    assert {entry.who for entry in entries} == {f"cli:{pwd.getpwuid(os.getuid()).pw_name}"}
    assert str(world.notes) not in repr(entries)


def test_what_the_api_made_stays_and_is_named_until_it_is_pruned(world: World) -> None:
    world.apply()
    with Store.open(world.url) as store:
        (audience,) = store.bridge().audiences
        key = configuration.EntryKey("audience", "by-api")
        configuration.changes.create(store, Registry(), key, replace(audience, name="by-api"), "a key")
        key = configuration.EntryKey("audience", "vips")
        configuration.changes.replace(store, Registry(), key, replace(audience, segment="other"), None, "a key")
    planned = world.cli("plan", "-f", world.file).out
    assert 'segment: "other" -> "vip"; it was changed through the API' in planned
    assert "made through the API; --prune deletes it" in planned
    assert world.apply().code == 0
    assert [one["name"] for one in world.cli("audiences", "--json").json] == ["by-api", "vips"]
    kept = world.cli("plan", "-f", world.file)
    assert kept.out.endswith("Nothing to change.\n")
    assert world.apply().out == kept.out
    assert [one["action"] for one in world.cli("plan", "-f", world.file, "--prune", "--json").json] == ["delete"]
    assert world.cli("apply", "-f", world.file, "--prune", "--yes").code == 0
    assert [one["name"] for one in world.cli("audiences", "--json").json] == ["vips"]


def test_a_broken_bridge_file_is_an_error_with_a_place(world: World) -> None:
    world.file.write_text("connections: [")
    answer = world.cli("plan", "-f", world.file)
    assert answer.code == 1
    assert answer.err.startswith("error: bridge.yaml:1:")


def test_sync_twice_sends_once(world: World) -> None:
    world.apply()
    (first,) = world.sync().json
    assert (first["status"], first["adds"], first["funnel"]["identifiable"]) == ("succeeded", 10, 10)
    batches = world.notes.read_text()
    (second,) = world.sync().json
    assert (second["adds"], second["removes"]) == (0, 0)
    # The platform is asked for the audience in each run, and gets nothing.
    added = [json.loads(line) for line in world.notes.read_text().removeprefix(batches).splitlines()]
    assert [list(note) for note in added] == [["ensure", "name"]]
    table = world.sync("vips")
    assert table.code == 0
    assert "succeeded" in table.out
    runs = world.cli("runs", "--json").json
    assert len(runs) == 3
    assert runs[-1] == first
    assert len(world.cli("runs", "--limit", "1", "--json").json) == 1
    assert world.cli("runs", "--audience", "other", "--json").json == []
    assert world.cli("runs").out.count("succeeded") == 3
    (audience,) = world.cli("audiences", "--json").json
    assert (audience["name"], audience["members"], audience["last_run"]["run_id"]) == ("vips", 10, runs[0]["run_id"])
    assert "vips" in world.cli("audiences").out


def test_a_dry_run_changes_nothing_and_shows_hashes(world: World) -> None:
    world.apply()
    (preview,) = world.sync("--all", "--dry-run", "--json").json
    assert (preview["audience"], preview["adds"], preview["changes"], preview["removes"]) == ("vips", 10, 0, 0)
    assert preview["funnel"]["in_segment"] == 10
    assert len(preview["sample"]["identifiers"]["email"][0][0]) == 64
    printed = world.sync("vips", "--dry-run")
    assert printed.code == 0
    assert "would add 10, change 0, remove 0" in printed.out
    assert "person1@" not in printed.out
    assert not world.notes.exists()
    assert world.cli("runs", "--json").json == []


def test_removals_above_the_limit_wait_for_approval(world: World) -> None:
    world.apply()
    world.sync()
    world.people(2)
    waiting = world.sync("vips")
    assert waiting.code == 3
    assert "--approve-removals" in waiting.err
    assert world.sync("vips", "--approve-removals").code == 0
    assert world.cli("audiences", "--json").json[0]["members"] == 2


def test_rejections_above_the_limit_end_with_3(world: World) -> None:
    refused = hashlib.sha256(b"person1@example.com").hexdigest()
    world.configure(f", refuse: [{refused}]")
    world.apply()
    assert world.sync("vips", "--rejection-limit", "0.5").code == 0
    world.people(11)
    assert world.sync("vips", "--json").json[0]["rejected"] == 0


def test_the_default_rejection_limit_is_strict(world: World) -> None:
    world.configure(f", refuse: [{hashlib.sha256(b'person1@example.com').hexdigest()}]")
    world.apply()
    assert world.sync("vips").code == 3


def test_one_audience_that_fails_does_not_keep_the_others(world: World) -> None:
    world.file.write_text(world.file.read_text().rstrip() + LONELY)
    world.apply()
    answer = world.sync()
    assert answer.code == 1
    assert {one["audience"]: one["status"] for one in answer.json} == {"vips": "succeeded", "lonely": "failed"}


def test_a_failed_run_ends_with_1_and_says_why(world: World) -> None:
    world.configure(", fail_at: 1")
    world.apply()
    answer = world.sync("vips")
    assert answer.code == 1
    assert "vips: the shelf is closed. Open it" in answer.err


def test_what_to_sync_must_be_said(world: World) -> None:
    empty = world.sync("--all")
    assert (empty.code, "no audience to sync. Apply a bridge.yaml" in empty.err) == (1, True)
    assert world.sync("vips", "--all").code == 2
    assert world.cli("sync").code == 2
    assert "There are: vips" in (world.apply(), world.sync("nobody"))[1].err


def test_check_of_a_connection_is_recorded(world: World, tmp_path: Path) -> None:
    world.apply()
    assert world.cli("check", "source-shop", "--connection", "shop").code == 0
    with Store.open(f"sqlite:///{tmp_path / 'bridge.db'}") as store:
        assert store.bridge().connections[0].connection_status == "connected"
    assert world.cli("check", "destination-shelf", "--connection", "shelf", "--json").json[0]["passed"] is True
    wrong = world.cli("check", "source-shop", "--connection", "shelf")
    assert (wrong.code, "shelf is of destination-shelf" in wrong.err) == (1, True)
    missing = world.cli("check", "source-shop", "--connection", "nothing")
    assert (missing.code, "There are: shelf, shop" in missing.err) == (1, True)


def test_doctor_finds_what_is_wrong(world: World, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    world.apply()
    well = {one["name"]: one["passed"] for one in world.cli("doctor", "--json").json}
    assert {
        name: well[name] for name in ("python", "packages", "store", "shop: script", "shelf: shelf")
    } == dict.fromkeys(("python", "packages", "store", "shop: script", "shelf: shelf"), True)
    site.install("bad", {"bad_plugin": "1/0"})
    (world.folder / "script.jsonl").unlink()
    ill = world.cli("doctor")
    assert ill.code == 1
    assert "plugin bad_plugin" in ill.out
    assert "Write it" in ill.out


def test_doctor_opens_the_secrets_of_the_store(world: World) -> None:
    def found() -> dict[str, Any]:
        return next(one for one in world.cli("doctor", "--json").json if one["name"] == "secrets")

    assert (found()["passed"], found()["detail"]) == (True, "0 kept in the store, each opened with the keyring")
    with Store.open(f"sqlite:///{world.folder}/bridge.db") as store:
        reference = store.secrets.put("shop-token", Secret("a-long-token"))
    world.configure(**{"api_credentials: {": f"api_credentials: {{token: {reference}, "})
    assert world.apply().code == 0
    assert found()["detail"].startswith("1 kept")
    assert world.cli("check", "source-shop", "--connection", "shop").code == 0
    (world.folder / "bridge.db.keyring").chmod(0o640)
    assert not found()["passed"]
    assert found()["remedy"].startswith("Run: chmod 600 ")


def test_a_store_that_is_made_by_default_is_announced_once(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    assert world.cli("runs", "--store", f"sqlite:///{tmp_path}/named.db").err == ""
    monkeypatch.delenv("CDP_BRIDGE_STORE")
    answer = world.cli("runs", "--json")
    assert answer.json == []
    said = f"A new store was made: {tmp_path}/new/cdp-bridge.db (to use another: --store URL, or CDP_BRIDGE_STORE)"
    assert answer.err.splitlines() == [said]
    assert world.cli("runs").err == ""


def test_doctor_without_a_store(world: World) -> None:
    answer = world.cli("doctor", "--store", f"sqlite:///{world.folder}", "--json")
    assert answer.code == 1
    assert [one["name"] for one in answer.json if not one["passed"]] == ["store"]


def test_doctor_resolves_secrets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "a-long-token")
    world.configure(**{"api_credentials: {": "api_credentials: {token: env:SHOP_TOKEN, "})
    assert world.apply().code == 0
    monkeypatch.delenv("SHOP_TOKEN")
    found = [one for one in world.cli("doctor", "--json").json if one["name"].startswith("shop")]
    assert [(one["passed"], "SHOP_TOKEN is not set" in one["detail"]) for one in found] == [(False, True)]


@pytest.mark.parametrize(
    ("status", "rejected", "code"),
    [("succeeded", 0, 0), ("partial", 1, 0), ("partial", 2, 3), ("waiting", 0, 3), ("failed", 0, 1)],
)
def test_exit_codes(status: Any, rejected: int, code: int) -> None:
    from datetime import UTC, datetime

    from cdp_bridge.cli.sync import exit_code

    moment = datetime.now(UTC)
    log = SyncLog(run_id="r", audience="a", sync_timestamp=moment, status=status, adds=100, rejected=rejected)
    fine = SyncLog(run_id="s", audience="b", sync_timestamp=moment, status="succeeded")
    assert exit_code([fine, log], 0.01) == code
