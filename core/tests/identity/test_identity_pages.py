"""What one SELECT does to a page: lists, order, repetitions, refusals, identifiers that go together."""

import hashlib

import duckdb
import pyarrow as pa
from cdp_bridge.identity import FIELDS, compile_profile, installed

from .conftest import Page, Run


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def test_values_keep_their_order_and_lose_repetitions(run: Run) -> None:
    known = digest("b@example.com").hex().upper()
    answer = run("meta", {"email": [["B@example.com", "a@example.com", " b@EXAMPLE.com", known, None, "nobody"]]})
    assert answer["email"] == [[digest("b@example.com"), digest("a@example.com")]]
    assert answer["refused"] == [["email:invalid"]]


def test_absent_is_not_refused(run: Run) -> None:
    for single in (["email"], []):
        answer = run("meta", {"email": [None, [], [None]]}, single=single)
        assert answer == {"email": [[], [], []], "refused": [[], [], []]}


def test_other_columns_are_handed_on_and_no_raw_value_stays(connection: duckdb.DuckDBPyConnection) -> None:
    page = pa.table({"member_key": [7], "email": pa.array([["a@example.com"]]), "gender": pa.array([["x"]])})
    connection.register("people", page)
    for profile in installed().profiles:
        sql = compile_profile(profile).select(["email", "gender"], "people")
        columns = set(connection.sql(sql).columns)
        outputs = set(compile_profile(profile).outputs(["email", "gender"]))
        assert columns == {"member_key", "refused"} | outputs


def test_every_profile_compiles_for_all_fields_with_the_promised_types(connection: duckdb.DuckDBPyConnection) -> None:
    page = pa.table({field: pa.array([["x"]]) for field in FIELDS})
    connection.register("people", page)
    for profile in installed().profiles:
        compiled = compile_profile(profile)
        for single in (FIELDS, FIELDS[::2], FIELDS[:0]):
            relation = connection.sql(compiled.select(FIELDS, "people", single=single))
            types = dict(zip(relation.columns, map(str, relation.types), strict=True))
            assert types == {**compiled.outputs(FIELDS), "refused": "VARCHAR[]"}


def test_the_first_known_country_of_the_person_reads_the_phone(run: Run) -> None:
    page: Page = {"phone": [["07700 900123"], ["07700 900123"]], "country": [["nowhere", "uk", "US"], None]}
    answer = run("tiktok-audience", page)
    assert answer["phone"] == [[digest("+447700900123")], []]
    assert answer["refused"] == [[], ["phone:no_country"]]


def test_google_address_is_sent_whole_or_not_at_all(run: Run) -> None:
    page: Page = {
        "first_name": [["Joana"], ["Joana"], None],
        "last_name": [["Quinn"], None, None],
        "postal_code": [["1229-076"], ["1229-076"], None],
        "country": [["PT"], ["PT"], ["PT"]],
    }
    answer = run("google", page)
    assert answer["first_name"] == [[digest("joana")], [], []]
    assert answer["postal_code"] == [["1229-076"], [], []]
    assert answer["country"] == [["PT"], [], []]
    assert answer["refused"] == [[], ["address:incomplete"], []]


def test_google_names_without_postal_code_in_the_mapping_are_held_back(run: Run) -> None:
    answer = run("google", {"first_name": [["Joana"]], "last_name": [["Quinn"]]})
    assert answer == {"first_name": [[]], "last_name": [[]], "refused": [["address:incomplete"]]}


def test_the_single_form_equals_the_general_form(run: Run) -> None:
    values = ["", "null", "Mary", "a@example.com", "+1 650 555 1212", "1990-02-03", "f", "US", "94035", "A" * 64, "É"]
    page = {field: [[value] for value in values] for field in FIELDS}
    for profile in installed().profiles:
        for single in (FIELDS, FIELDS[::2], FIELDS[1::2]):
            assert run(profile, page, single=single) == run(profile, page)


def test_a_nul_cuts_nothing_off(run: Run) -> None:
    given = {"first_name": "Zoé \0Maria", "last_name": "Silva", "postal_code": "1229-076", "country": "PT"}
    answer = run("google", {field: [[value]] for field, value in given.items()})
    assert answer["first_name"] == [[digest("zoé maria")]]
