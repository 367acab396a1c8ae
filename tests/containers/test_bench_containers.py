"""The bench of containers still works."""

from __future__ import annotations

import json
import os
import subprocess

import docker

from .conftest import ROOT


def test_the_same_people_arrive_by_every_transport(engine: docker.APIClient) -> None:
    command = [str(ROOT / "scripts" / "bench"), "containers", "--quick", "--json"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {row["figure"] for row in rows} == {"containers"}
    assert [row["value"] > 0 for row in rows if row["unit"] in ("members/s", "x")] == [True] * 4
