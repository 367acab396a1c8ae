import subprocess
import sys

from cdp_bridge import sdk

PUBLIC = """
    Audience AudienceRef Batch Catalog Checkpoint Client ConfigError Connector Conversion Inventory Item Limits OAuth
    Outcome Page Probe
    ReadRequest RejectedError Secret Stream TransientError hookimpl option run
"""


def test_what_connectors_may_import_changes_only_on_purpose() -> None:
    assert sorted(sdk.__all__) == sorted(PUBLIC.split())


def test_every_public_name_is_there() -> None:
    assert [name for name in sdk.__all__ if not hasattr(sdk, name)] == []


def test_importing_the_sdk_pays_for_nothing_heavy() -> None:
    heavy = "requests", "pyarrow", "duckdb", "sqlalchemy", "rich", "click", "jsonschema"
    code = f"import sys, cdp_bridge.sdk; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
