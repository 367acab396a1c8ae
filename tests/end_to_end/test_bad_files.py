"""Malformed CSV, JSON and Parquet files as segments, all in one run: each is named with line and remedy, nobody is
removed for it, and once the files are mended both sides are equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

BAD = {
    "ragged.csv": (
        b"id,email\n1,x@example.com\n2,secret.person,more\n",
        "line 3 has 3 values, the header 2",
    ),
    "latin.csv": (b"id,email\n1,z\xfcrich.secret.person@example.com\n", r"line 2 is not UTF-8\. Save it as UTF-8"),
    "quote.csv": (
        b'id,email\n1,"secret.person@example.com\n',
        r"line 2 begins a value with a quote that does not end\. Quote whole values",
    ),
    "twice.csv": (
        b"id,id\n1,secret.person\n",
        r"has two columns of the same name: columns 1 and 2\. Give each column its own name",
    ),
    "empty.csv": (b"", r"holds no rows: an empty file is no empty segment"),
    "broken.jsonl": (b'{"id": "1"}\n{"id": secret.person}\n', r"line 2 is no JSON object in UTF-8\. Repair it"),
    "list.jsonl": (b'{"id": "1"}\n["secret.person"]\n', r"line 2 is no JSON object in UTF-8\. Repair it"),
    "deep.jsonl": (b'{"id": ' + b"[" * 50_000, r"line 1 is no JSON object in UTF-8\. Repair it"),
    "cut.parquet": (
        b"PAR1 secret.person@example.com",
        r"is damaged, or not a readable Parquet file\. Write or copy it again",
    ),
}
GONE = "gone.csv"
NAMES = {file: file.replace(".", "-") for file in (*BAD, GONE)}
BRIDGE = """\
destinations:
  - {{name: meta, connector: destination-meta,
     settings: {{access_token: env:META_TOKEN, ad_account_id: act_1001, base_url: {meta}}}}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
connections: {connections}
audiences: {audiences}
"""


def test_malformed_files_cost_nobody(empty_judge: Any) -> None:
    harness = empty_judge.harness
    paths = {name: harness.folder / file for file, name in NAMES.items()}
    connections = [
        {"name": name, "cdp_provider": "source-file", "api_credentials": {"path": str(path)}}
        for name, path in paths.items()
    ]
    audiences = [
        {"name": name, "connection": name, "segment": "all", "destination": "meta", "mapping": "people"}
        for name in paths
    ]
    write_well(paths.values(), range(10))
    harness.write(
        BRIDGE.format(meta=harness.twins.meta, connections=json.dumps(connections), audiences=json.dumps(audiences))
    )
    assert harness.bridge("apply", "-f", "bridge.yaml", "--yes").code == 0
    assert harness.bridge("sync", "--all").code == 0

    before = empty_judge.state()
    for file, (content, _) in BAD.items():
        (harness.folder / file).write_bytes(content)
    (harness.folder / GONE).unlink()
    complaints = [rf"^{NAMES[file]}: {harness.folder}/{file}: .*{words}" for file, (_, words) in BAD.items()]
    complaints.append(rf"^{NAMES[GONE]}: {harness.folder}/{GONE}: matches no file\. Check the path")
    empty_judge.complains(complaints, "sync", "--all")
    assert empty_judge.state() == before

    write_well(paths.values(), range(2, 13))
    assert harness.bridge("sync", "--all").code == 0
    assert all(empty_judge.members(name) == {str(n) for n in range(2, 13)} for name in paths)


def write_well(paths: Iterable[Path], numbers: Iterable[int]) -> None:
    """The same people in every file, as its suffix says."""
    people = [{"id": str(n), "email": f"{n}@example.org"} for n in numbers]
    for path in paths:
        match path.suffix:
            case ".csv":
                path.write_text("\n".join(["id,email", *(",".join(one.values()) for one in people)]))
            case ".jsonl":
                path.write_text("\n".join(map(json.dumps, people)))
            case ".parquet":
                pa.parquet.write_table(pa.Table.from_pylist(people), path)
