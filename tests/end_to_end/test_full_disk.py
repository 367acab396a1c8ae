"""Disks that run full under the store and under what a run spills: a clear error, nobody lost, and the next run with
some space makes both sides equal.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BRIDGE = """\
connections:
  - {{name: people, cdp_provider: source-file, api_credentials: {{path: {folder}/people.csv}}}}
destinations:
  - {{name: meta, connector: destination-meta,
     settings: {{access_token: env:META_TOKEN, ad_account_id: act_1001, base_url: {meta}}}}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
    - {{omniads_field: external_id, cdp_field: id, transformation_rule: "rpad(value, 3000, '.')", policy: clear}}
audiences:
  - {{name: all, connection: people, segment: all, destination: meta, mapping: people}}
"""
TOO_MANY = 100_000
"""People whose 3,000 characters each are more than the engine may keep in memory."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED, a full disk takes root and mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def judge_of_files(empty_judge: Any) -> Any:
    """A judge of a sandbox whose only segment is a file."""
    harness = empty_judge.harness
    harness.write(BRIDGE.format(folder=harness.folder, meta=harness.twins.meta))
    return empty_judge


def test_a_full_disk_under_the_store(judge_of_files: Any, disk: Path) -> None:
    judge, harness = judge_of_files, judge_of_files.harness
    harness.environment["CDP_BRIDGE_STORE"] = url = f"sqlite:///{disk}/cdp-bridge.db"
    full = rf"{url}: the disk is full\. Free space, then run again; what was recorded before is intact"
    fill(disk, leave=16)
    judge.complains([f"^error: {full}"], "apply", "-f", "bridge.yaml", "--yes")
    (disk / "filler").unlink()
    assert harness.bridge("apply", "-f", "bridge.yaml", "--yes").code == 0
    people(harness.folder, 100)
    assert harness.bridge("sync", "all").code == 0
    people(harness.folder, 500)
    leave, failures = 0, 0
    while (run := synced_with_little_space(harness, disk, leave)).code:
        assert (run.code, "Traceback" in run.err) == (1, False)
        assert re.search(rf"^(error|all): {full}$", run.err, re.MULTILINE), run.err
        leave, failures = max(4 * leave, 8), failures + 1
    assert failures >= 3, "too little happened"
    assert judge.members("all") == {str(n) for n in range(500)}


def test_a_full_disk_under_what_a_run_spills(judge_of_files: Any, disk: Path) -> None:
    judge, harness = judge_of_files, judge_of_files.harness
    people(harness.folder, 100)
    assert harness.bridge("apply", "-f", "bridge.yaml", "--yes").code == 0
    assert harness.bridge("sync", "all").code == 0
    before = judge.state()
    people(harness.folder, TOO_MANY)
    no_space = rf"{disk}: the sync ran out of memory, or of disk space for temporary files\. Free some space there"
    judge.complains([f"^all: {no_space}"], "sync", "all", TMPDIR=str(disk))
    assert judge.state() == before
    assert list(disk.iterdir()) == []
    people(harness.folder, 120)
    assert harness.bridge("sync", "all", TMPDIR=str(disk)).code == 0
    assert judge.members("all") == {str(n) for n in range(120)}


def people(folder: Path, number: int) -> None:
    """The segment from now on."""
    (folder / "people.csv").write_text("id,email\n" + "".join(f"{n},{n}@example.org\n" for n in range(number)))


def synced_with_little_space(harness: Any, disk: Path, leave: int) -> Any:
    """How a sync ended for which only some blocks were free."""
    fill(disk, leave)
    run = harness.bridge("sync", "all")
    (disk / "filler").unlink()
    return run


def fill(disk: Path, leave: int) -> None:
    """Take all space but some blocks."""
    free = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(max(free.f_bavail - leave, 0) * free.f_bsize))
