"""No script changes the environment of another, and no wait of a test gives up before the test does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN_SECONDS = re.compile(r"\btimeout=\d|monotonic\(\) \+")


def test_each_lock_has_an_environment_of_its_own() -> None:
    """After the demo, the packages of the tests are still there."""
    made = "environment development; environment runtime; tool_environment singer"
    script = f"source scripts/environment.sh\n_install() {{ echo $1; }}\n{made}"
    done = subprocess.run(["bash", "-ec", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(ROOT / folder) for folder in (".venv", ".cache/runtime", ".cache/singer")]


def test_no_wait_of_a_test_has_seconds_of_its_own() -> None:
    """A busy machine takes longer than anybody thought; what hangs is ended by the time limit of the test."""
    parts = [path for part in ("core", "plugins") for path in (ROOT / part).rglob("tests/**/*.py")]
    # What runs in a container is no test.
    across = [path for path in (ROOT / "tests").rglob("*.py") if "boxed" not in path.parts]
    tests = [ROOT / "conftest.py", *parts, *across]
    assert [str(path) for path in tests if OWN_SECONDS.search(path.read_text())] == []
