import subprocess
import sys

from cdp_bridge import sdk

PUBLIC = """
    Audience AudienceRef Batch Catalog Checkpoint Client ConfigError Connector Conversion ErrorRule ErrorTable Inventory
    Item Limits OAuth Outcome Page Probe
    ReadRequest RejectedError Secret Stream Token TransientError find_or_create hookimpl option run run_probes
"""


def test_what_connectors_may_import_changes_only_on_purpose() -> None:
    assert sorted(sdk.__all__) == sorted(PUBLIC.split())
    assert len(sdk.__all__) <= 30


def test_every_public_name_is_there() -> None:
    assert [name for name in sdk.__all__ if not hasattr(sdk, name)] == []


def test_importing_the_sdk_pays_for_nothing_heavy() -> None:
    heavy = "requests", "pyarrow", "duckdb", "sqlalchemy", "rich", "click", "jsonschema"
    code = f"import sys, cdp_bridge.sdk; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
