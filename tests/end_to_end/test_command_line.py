"""All is well: every command on the real connectors, in a process of its own, answers in JSON and says nothing else."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

NAME, SEGMENT = "meta-everyone", "everyone"


def ask(harness: Any, *arguments: str) -> Any:
    """The JSON that a command prints."""
    command = harness.bridge(*arguments, "--json")
    assert (command.code, command.err) == (0, "")
    return command.json


def test_from_plan_to_audience_and_back(judge: Any, empty_judge: Any) -> None:
    for file in ("bridge.yaml", "opted_out.csv"):
        (empty_judge.harness.folder / file).write_bytes((judge.harness.folder / file).read_bytes())
    bridge, people = partial(ask, empty_judge.harness), len(judge.eligible(SEGMENT))

    changes = bridge("plan", "-f", "bridge.yaml")
    assert {change["action"] for change in changes} == {"create"}
    kinds = ["connection", *["destination"] * 3, "mapping", "audience", "suppression"]
    assert [change["kind"] for change in changes] == kinds
    assert bridge("apply", "-f", "bridge.yaml", "--yes") == changes
    assert bridge("plan", "-f", "bridge.yaml") == []

    (preview,) = bridge("sync", NAME, "--dry-run")
    assert (preview["adds"], preview["changes"], preview["removes"]) == (people, 0, 0)
    assert bridge("runs") == []
    (first,) = bridge("sync", "--all")
    assert (first["status"], first["adds"], first["funnel"]) == (
        "succeeded",
        people,
        preview["funnel"] | {"sent": people, "accepted": people},
    )
    (second,) = bridge("sync", "--all")
    assert (second["adds"], second["membership_calls"], second["funnel"]["accepted"]) == (0, 0, people)
    assert bridge("runs", "--audience", NAME) == [second, first]

    (audience,) = bridge("audiences")
    assert (audience["name"], audience["members"], audience["last_run"]) == (NAME, people, second)
    assert empty_judge.members(NAME) == judge.eligible(SEGMENT)
    assert all(one["passed"] for one in bridge("doctor") if not one["name"].startswith("disk"))


def test_identity_tells_why_somebody_does_not_match(judge: Any) -> None:
    questions = [{"field": "email", "raw": " Ann@Example.COM "}, {"field": "phone", "raw": "12", "country": "US"}]
    told = judge.harness.bridge("identity", "--profile", "meta", stdin="\n".join(map(json.dumps, questions)))
    assert (told.code, told.err) == (0, "")
    good, bad = map(json.loads, told.out.splitlines())
    assert (good["normalised"], good["hashed"], good["rejected"]) == ("ann@example.com", True, None)
    assert (bad["value"], bad["rejected"] is None) == (None, False)
