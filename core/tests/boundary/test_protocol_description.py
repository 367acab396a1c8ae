"""`spec`, `check`, `discover`, and the files that commands read."""

from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.model import Probe
from cdp_bridge.protocol import description

from .conftest import MakeCatalog, Run, Start, WriteScript

CONFIG = {"token": "abcdefghij"}


def test_spec_of_a_source(executable: Run) -> None:
    (spec,) = executable("source-shop", "spec").of("SPEC")
    schema = spec["connectionSpecification"]
    assert schema["properties"]["token"]["airbyte_secret"] is True
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert spec["documentationUrl"] == "https://example.com/shop"
    assert spec["protocol_version"]
    assert "supported_destination_sync_modes" not in spec


def test_spec_of_a_destination_offers_no_overwrite(executable: Run) -> None:
    (spec,) = executable("destination-shelf", "spec").of("SPEC")
    assert spec["supported_destination_sync_modes"] == ["append", "append_dedup"]
    assert spec["supportsIncremental"] is True
    assert "documentationUrl" not in spec


def test_a_check_that_passes(executable: Run, script: WriteScript) -> None:
    told = executable("source-shop", "check", config=script())
    assert told.code == 0
    assert told.of("CONNECTION_STATUS") == [{"status": "SUCCEEDED"}]


def test_a_failed_check_names_every_probe_and_remedy(executable: Run) -> None:
    told = executable("source-shop", "check", config={"script": "/nowhere", "healthy": False})
    (status,) = told.of("CONNECTION_STATUS")
    assert told.code == 0
    assert status == {"status": "FAILED", "message": "script: looked for it. Write it\nhealth: felt ill. Rest"}


def test_a_failed_probe_of_a_token_is_told_in_full() -> None:
    failed = Probe("token", False, "access_token: the access token is not valid", "Make a new one: token=abcdefghij")
    (told,) = description.failures([Probe("quota", True, "left"), failed])
    assert told == "token: access_token: the access token is not valid. Make a new one: token=***"


def test_a_check_with_wrong_settings_names_all_faults_and_no_secret(executable: Run) -> None:
    told = executable("source-shop", "check", config={"token": 12345678, "healty": True, "healthy": "yes"})
    (status,) = told.of("CONNECTION_STATUS")
    assert status["status"] == "FAILED"
    for part in ("healty: is not a known setting. Did you mean healthy?", "token: must be", "healthy: must be"):
        assert part in status["message"]
    assert b"12345678" not in told.raw


def test_discover_of_a_source(executable: Run) -> None:
    (catalog,) = executable("source-shop", "discover", config=CONFIG).of("CATALOG")
    members, snapshot = catalog["streams"]
    assert members["supported_sync_modes"] == ["full_refresh", "incremental"]
    assert members["source_defined_primary_key"] == [["user_id"]]
    assert (members["source_defined_cursor"], members["default_cursor_field"]) == (True, ["at"])
    assert snapshot["supported_sync_modes"] == ["full_refresh"]
    assert snapshot["json_schema"]["type"] == "object"


def test_discover_of_a_destination(executable: Run) -> None:
    (catalog,) = executable("destination-shelf", "discover", config={"notes": "x"}).of("DESTINATION_CATALOG")
    modes = [(one["object_name"], one["sync_mode"], one["matching_keys"]) for one in catalog["operations"]]
    audience = [("audience", "append", [["email"]]), ("audience", "soft_delete", [["email"]])]
    assert modes == [*audience, ("orders", "append", [])]
    assert catalog["operations"][-1]["json_schema"]["required"] == ["event_id", "event_name", "occurred_at"]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("config", b"{", "the config is not JSON in UTF-8"),
        ("config", b"\xff\xfe", "the config is UTF-16, not UTF-8"),
        ("config", b'{"a":' + b"[" * 100_000, "the config is not JSON in UTF-8"),
        ("config", b"[]", "is not a config: Expected `object`, got `array`"),
        ("catalog", b"{}", "is not a catalog: Object missing required field `streams`"),
        ("catalog", b'{"streams": [{"stream": {}}]}', "missing required field `name` - at `$.streams[0].stream`"),
        ("state", b'{"cursor": 1}', "is not a list of states"),
        ("state", b'[{"stream": 5}]', "is not a state"),
    ],
)
def test_a_broken_file_is_a_config_error(
    file: str, content: bytes, says: str, executable: Run, catalog: MakeCatalog
) -> None:
    files: dict[str, Any] = {"config": CONFIG, "catalog": catalog("members"), "state": [], file: content}
    told = executable("source-shop", "read", **files)
    assert told.code == 1
    assert told.error["failure_type"] == "config_error"
    assert says in told.error["message"]


def test_a_stream_named_twice_is_a_config_error(executable: Run, catalog: MakeCatalog) -> None:
    told = executable("source-shop", "read", config=CONFIG, catalog=catalog("members", "members"))
    assert "the stream members is there twice" in told.error["message"]


def test_usage_errors_end_with_2(start: Start, tmp_path: Path) -> None:
    for arguments in ([], ["write"], ["read"], ["check", "--config"]):
        process = start("shop", arguments)
        out, err = process.communicate()
        assert (process.returncode, out) == (2, b""), err


def test_a_missing_file_is_a_config_error(start: Start) -> None:
    process = start("shop", ["discover", "--config", "/nowhere/config.json"])
    out, _ = process.communicate()
    assert process.returncode == 1
    assert b"/nowhere/config.json: the config cannot be read: No such file or directory" in out
