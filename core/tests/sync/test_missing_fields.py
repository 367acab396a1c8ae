"""A field that no record has stops the run before anything is sent; one that is null in every record does not."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from cdp_bridge.entities import Consent, DataMapping
from cdp_bridge.mapping import record_batch
from cdp_bridge.mapping.paths import parse
from cdp_bridge.mapping.presence import MissingFields, nearest, presence
from cdp_bridge.model import Page

from ..conftest import MAPPINGS, SyncHarness


def mapped(*paths: str, **more: Any) -> tuple[DataMapping, ...]:
    return (MAPPINGS[0], *(DataMapping(omniads_field="email", cdp_field=path, **more) for path in paths))


@pytest.fixture
def people(harness: SyncHarness) -> SyncHarness:
    """Five people at the platform."""
    for number in range(5):
        traits = {"email": f"p{number}@example.com", "phone": None}
        harness.cdp.put(f"u{number}", email=f"p{number}@example.com", traits=traits)
    harness.configure(mappings=mapped("email"))
    assert harness.sync().adds == 5
    return harness


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("emial", "Did you mean 'email'?"),
        ("EMAIL", "Did you mean 'email'?"),
        ("traits.emial", "Did you mean 'traits.email'?"),
        ("trait.email", "Did you mean 'traits.email'?"),
        ("zip", "Nothing in it has a name like this"),
    ],
)
def test_a_field_in_no_record_stops_the_run(people: SyncHarness, path: str, said: str) -> None:
    people.configure(mappings=mapped(path))
    log = people.sync()
    assert (log.status, log.removes, people.platform.batches) == ("failed", 0, [])
    assert f"connections.cdp.people: no record has the field {path}," in str(log.error)
    assert said in str(log.error)
    people.configure(mappings=mapped("traits.email"))
    assert (people.sync().status, len(people.platform.batches)) == ("succeeded", 0)


def test_so_does_one_of_the_consent_or_of_a_rule(people: SyncHarness) -> None:
    people.configure(consent=(Consent(purpose="ads", cdp_field="okay", missing="granted"),))
    assert "no record has the field okay" in str(people.sync().error)
    people.configure(consent=(), mappings=mapped("email", transformation_rule="coalesce(mail, value)"))
    assert "no record has the field mail," in str(people.sync().error)


def test_null_everywhere_is_no_missing_field(people: SyncHarness) -> None:
    people.configure(mappings=(*mapped("email"), DataMapping(omniads_field="phone", cdp_field="traits.phone")))
    assert people.sync().status == "succeeded"


@pytest.mark.parametrize("default", ["", "x@example.com"])
def test_a_default_says_that_the_field_may_be_missing(people: SyncHarness, default: str) -> None:
    sparse = mapped("traits.mobile", default=default, transformation_rule="coalesce(traits.other, value)")
    people.configure(mappings=(*mapped("email"), *sparse[1:]))
    log = people.sync()
    assert (log.status, log.funnel.identifiable) == ("succeeded", 5)


def test_an_extract_without_records_misses_nothing(harness: SyncHarness) -> None:
    assert harness.sync().status == "succeeded"


def test_of_what_has_changed_a_field_may_be_missing(people: SyncHarness) -> None:
    people.configure(mappings=mapped("email"), incremental=True)
    assert people.sync().status == "succeeded"
    people.cdp.people["u0"] = {"id": "u0", "ok": "yes"}
    people.cdp.journal.append("u0")
    log = people.sync()
    assert (log.status, people.cdp.requests[-1].checkpoint is None) == ("succeeded", False)


def test_each_table_has_every_column(people: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(settings: object, request: object) -> Any:
        yield Page(
            "people", pa.table({"id": ["u0"], "ok": ["yes"], "email": ["a@example.com"]}).to_batches()[0], "1.csv"
        )
        yield Page(
            "people", pa.table({"id": ["u1"], "ok": ["yes"], "Email": ["b@example.com"]}).to_batches()[0], "2.csv"
        )

    monkeypatch.setattr(people.cdp, "read", read)
    log = people.sync()
    assert (log.status, log.removes, people.platform.batches) == ("failed", 0, [])
    assert "2.csv: has no column email, which the mapping or the consent needs. Did you mean 'Email'?" in str(log.error)


RECORDS: list[dict[str, Any]] = [
    {"a": {"b": None, "c.d": 1}, "list": [{"x": 1}, {"y": None}], "e.f": 1},
    {"a": {"b": 2}, "list": [], "text": json.dumps({"k": None, "l": [{"m": 1}]})},
]


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("path", "is_there"),
    [
        ("a", True),
        ("a.b", True),
        ("a.c.d", True),
        ("a.c", False),
        ("a.b.c", False),
        ("list.x", True),
        ("list.y", True),
        ("list.0.x", True),
        ("list.z", False),
        ("e.f", True),
        ("e", False),
        ("text.k", True),
        ("text.l.m", True),
        ("text.n", False),
    ],
)
def test_a_path_is_found_in_objects_lists_and_json_texts(path: str, is_there: bool, text: bool) -> None:
    import duckdb

    records = RECORDS
    if text and not path.startswith(("text", "e")):
        records = [{key: json.dumps(value) for key, value in record.items()} for record in RECORDS]
    if text and path in ("list.0.x", "a.c.d"):
        pytest.skip("a JSON text is entered key by key")
    batch = record_batch(records)
    connection = duckdb.connect()
    connection.register("page", batch)
    fields = MissingFields([path], [path])
    fields.look(connection, batch.schema)
    if is_there:
        fields.check_all("here")
    else:
        with pytest.raises(Exception, match="here: no record has the field"):
            fields.check_all("here")


def test_the_keys_of_a_map_count() -> None:
    import duckdb

    batch = pa.record_batch({"m": pa.array([[("k", None)]], pa.map_(pa.string(), pa.string()))})
    connection = duckdb.connect()
    connection.register("page", batch)
    for path, is_there in (("m.k", True), ("m.l", False)):
        found = presence(batch.schema, parse(path))
        assert connection.execute(f"SELECT {found} FROM page AS page(c0)").fetchall() == [(is_there,)]


def test_what_may_be_personal_is_never_named() -> None:
    assert nearest("email", ["email@b.c", "email 4915"]) is None
    assert nearest("email", [" E-Mail", "name"]) == " E-Mail"
