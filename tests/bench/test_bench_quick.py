import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The figure of containers has a test beside the others that need an engine.
FIGURES = ("engine", "phones", "meta", "fanout", "peers", "million", "cold", "author", "schedules", "api")


def test_every_bench_still_works_and_peers_send_the_same() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "bench", *FIGURES, "--quick", "--json"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {row["figure"] for row in rows} == set(FIGURES)
    by_what = {row["what"]: row["value"] for row in rows}
    unlike = [value for what, value in by_what.items() if what.startswith("rows of payload unlike ours")]
    assert unlike == [0, 0, 0, 0]
    assert by_what["members missing at the twin"] == 0
    assert by_what["accounts at the three twins unlike those after runs alone"] == 0
    assert by_what["membership calls when unchanged"] == 0
    assert by_what["answers other than 200"] == 0
    assert all(row["peak"] > 10 for row in rows if "peak" in row)
