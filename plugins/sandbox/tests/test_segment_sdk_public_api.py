"""The unmodified TypeScript SDK of Segment's Public API works against the twin."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandbox import people
from sandbox.segment import catalog, create_app

# Node comes with the development environment, so that no machine needs one of its own.
NODE = Path(sys.executable).parent
PACKAGE = "@segment/public-api-sdk-typescript@47.0.0-b8398"


@pytest.fixture(scope="session")
def sdk_home() -> Path:
    """A folder with the SDK installed, kept between runs under the ignored cache of the checkout."""
    home = Path(__file__).parents[3] / ".cache" / "npm-segment"
    if not (home / "node_modules" / "@segment").exists():
        home.mkdir(parents=True, exist_ok=True)
        command = [str(NODE / "npm"), "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", PACKAGE]
        subprocess.run(command, cwd=home, check=True, capture_output=True)
    return home


def test_the_typescript_sdk_reads_regulates_and_is_refused(serve: Callable[[Any], str], sdk_home: Path) -> None:
    url = serve(create_app(people.generate(300, 3)))
    driver = Path(__file__).with_name("segment_sdk_driver.mjs")
    command = [str(NODE / "node"), "--no-deprecation", str(driver), str(sdk_home), url, "sandbox-papi-token"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["workspace"], told["space"]) == ("sandbox", "prod")
    assert told["audiences"] == [audience.key for audience in catalog.AUDIENCES]
    assert told["audience"] == "cart_abandoners_7d"
    assert told["traits"] == ["lifetime_value"]
    assert told["regulation"] is True
    assert told["suppressed"] == ["u-1001"]
    assert told["unauthorized"]["status"] == 401
    assert told["tooMany"]["errors"][0]["field"] == "pagination.count"
    assert told["missing"]["status"] == 404
