import subprocess
import sys

import pytest
from cdp_bridge import settings as checked
from cdp_bridge.connectors.registry import Registry
from source_segment import CONNECTOR
from source_segment.settings import Settings


def test_schema_marks_what_is_secret() -> None:
    raw = {"public_api_token": "a", "profile_api_token": "b", "region": "eu", "warehouse": {"url": "c", "schema": "d"}}
    assert list(checked.secrets(checked.schema(Settings), raw).values()) == ["a", "b", "c"]


def test_all_faults_are_named_at_once_without_a_secret() -> None:
    raw = {
        "public_api_token": "tok-hidden",
        "region": "mars",
        "base_url": "ftp://x",
        "warehouse": {"ur": "pg://pw-hidden"},
    }
    with pytest.raises(checked.SettingsError) as caught:
        checked.load(Settings, raw)
    said = str(caught.value)
    assert all(place in said for place in ("region", "base_url", "warehouse.url", "warehouse.ur"))
    assert "hidden" not in said


def test_the_registry_finds_the_connector() -> None:
    assert Registry().connector("source-segment", "source") == CONNECTOR


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import source_segment, sys; print(*sys.modules)"
    imported = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"requests", "duckdb", "pyarrow", "sqlglot", "sqlalchemy"} & set(imported)
