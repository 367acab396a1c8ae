"""A sync through containers does what it does in this process, and in processes of this machine."""

from __future__ import annotations

import os
import re
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sandbox
from cdp_bridge import configuration
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.store import Store
from cdp_bridge.sync.run import open_run
from cdp_bridge.testing.configuring import configure
from sandbox.people import generate

import docker

from .conftest import BOXED, BRIDGE, PEOPLE, People


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connector of these tests as a program on the PATH."""
    program = tmp_path / "source-boxed"
    imports = f"import sys\nsys.path.insert(0, {str(BOXED)!r})\nfrom boxed import main\n"
    program.write_text(f"#!{sys.executable}\n{imports}main()\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.fixture
def life(
    people: People, twins: sandbox.Sandbox, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str | None], Any]:
    """Five syncs by one launcher, one of them with a revoked token: what each did, who is then in the ledger and at
    the platform.
    """
    everybody = [(one.segment_id, one.emails[0].true) for one in generate(PEOPLE, 1).people if one.emails]

    def live(launcher: str | None) -> list[Any]:
        folder, seen = tmp_path / str(launcher), []
        folder.mkdir()
        name = f"vip-{launcher or 'here'}"
        (folder / "bridge.yaml").write_text(BRIDGE.format(people=people.url, meta=twins.meta, name=name))
        with Store.open(f"sqlite:///{folder}/store.db") as store:
            configure(store, configuration.load(folder / "bridge.yaml", registry))
            for token, segment in (
                ("sandbox-token", everybody[:150]),
                ("sandbox-token", everybody[10:160]),
                ("sandbox-token", everybody[10:160]),
                ("revoked", everybody[20:170]),
                ("sandbox-token", everybody[20:170]),
            ):
                monkeypatch.setenv("META_TOKEN", token)
                people.segment = [{"id": str(who), "email": email} for who, email in segment]
                where = registry.launcher(launcher) if launcher else None
                with open_run(store, registry, store.bridge().audiences[0], launcher=where) as run:
                    log = run.sync()
                rows = [(row.user_id, row.identifiers) for chunk in store.ledger.members(name) for row in chunk]
                ref = store.audience_ref(name)
                assert ref is not None, log.error
                with urllib.request.urlopen(f"{twins.meta}/_twin/audiences/{ref.id}/people") as answer:
                    held = sorted(answer.read().split())
                error = re.sub(r"trace [\w-]+", "trace", log.error)
                done = (log.status, log.adds, log.removes, log.membership_calls, log.funnel.in_segment, error)
                seen.append((done, sorted(rows, key=str), held))
        return seen

    return live


@pytest.mark.usefixtures("installed")
def test_a_life_of_an_audience_is_the_same_in_containers(
    life: Callable[[str | None], Any], engine: docker.APIClient
) -> None:
    here = life(None)
    assert [(done[:3], len(rows)) for done, rows, _ in here] == [
        (("succeeded", 150, 0), 150),
        (("succeeded", 10, 10), 150),
        (("succeeded", 0, 0), 150),
        (("failed", 0, 0), 150),
        (("succeeded", 10, 10), 150),
    ]
    assert life("local") == life("docker") == here
