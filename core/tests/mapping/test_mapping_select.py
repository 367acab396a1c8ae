"""What comes out of the SELECT: columns, missing values, lists, faults, drops, consent."""

from collections.abc import Callable
from typing import Any

import pytest
from cdp_bridge.entities import Consent, DataMapping
from cdp_bridge.errors import ConfigError
from cdp_bridge.identity import FIELDS
from cdp_bridge.mapping import compile_mapping, record_batch, refuse
from cdp_bridge.mapping.fields import IDENTIFIERS
from cdp_bridge.settings import SettingsError

from .conftest import Run


def email(**settings: Any) -> DataMapping:
    return DataMapping(**{"omniads_field": "email", "cdp_field": "mail", **settings})


def test_the_fields_are_those_that_identity_normalises() -> None:
    assert IDENTIFIERS == FIELDS


def test_a_plain_record_has_every_column(run: Run) -> None:
    assert run([{"id": "u1", "mail": "a@example.com"}], email()) == [
        {
            "user_id": "u1",
            "email": ["a@example.com"],
            "is_member": True,
            "faults": [],
            "dropped": None,
        }
    ]


@pytest.mark.parametrize("user_id", [None, "", "  "])
def test_without_user_id_the_record_is_dropped(run: Run, user_id: str | None) -> None:
    row = run([{"id": user_id, "mail": "a@example.com"}, {"id": "u"}], email())[0]
    assert (row["user_id"], row["dropped"]) == (None, "no_user_id")


def test_user_id_takes_the_first_mapping_that_has_one(run: Run) -> None:
    other = DataMapping(omniads_field="user_id", cdp_field="other")
    rows = run([{"id": "a", "other": "b"}, {"id": None, "other": "c"}], other)
    assert [row["user_id"] for row in rows] == ["a", "c"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "", None, "b"], ["a", "b"]),
        ([], []),
        (None, []),
        ("", []),
        (7, ["7"]),
        (7.0, ["7"]),
        (7.5, ["7.5"]),
        (True, ["true"]),
        (float("nan"), []),
        ([1.0, 2.5], ["1", "2.5"]),
        (b"bytes", ["bytes"]),
        (b"\xff", []),
    ],
)
def test_values_become_lists_of_text(run: Run, value: Any, expected: list[str]) -> None:
    assert run([{"id": "u", "mail": value}], email())[0]["email"] == expected


def test_mappings_of_one_field_concatenate(run: Run) -> None:
    rows = run([{"id": "u", "mail": ["a", "b"], "work": "c"}], email(), email(cdp_field="work"))
    assert rows[0]["email"] == ["a", "b", "c"]


def test_constant_and_default(run: Run) -> None:
    country = DataMapping(omniads_field="country", constant="O'Land")
    rows = run([{"id": "u"}, {"id": "v", "mail": ["x"]}], email(default="d'ef"), country)
    assert [(row["email"], row["country"]) for row in rows] == [(["d'ef"], ["O'Land"]), (["x"], ["O'Land"])]


def test_a_default_stands_in_for_a_missing_scalar_too(run: Run) -> None:
    assert [row["email"] for row in run([{"id": "u", "mail": ""}, {"id": "v", "mail": "x"}], email(default="d"))] == [
        ["d"],
        ["x"],
    ]


def test_is_member_is_true_unless_the_record_says_otherwise(run: Run) -> None:
    rows = run([{"id": "u", "is_member": value} for value in (True, False, None)])
    assert [row["is_member"] for row in rows] == [True, False, True]


@pytest.mark.parametrize(
    ("value", "given"),
    [
        ("yes", True),
        (" YES ", True),
        (True, True),
        (1.0, True),
        ("no", False),
        (["x", "granted"], True),
        (["x"], False),
    ],
)
def test_consent(run: Run, value: Any, given: bool) -> None:
    consents = [Consent(purpose="ads", cdp_field="consent.ads", missing="granted" if not given else "denied")]
    assert run([{"id": "u", "consent": {"ads": value}}], consents=consents)[0]["consent_0"] is given


@pytest.mark.parametrize("record", [{}, {"ok": None}, {"ok": " "}, {"ok": []}])
@pytest.mark.parametrize(("missing", "given"), [("granted", True), ("denied", False)])
def test_missing_consent_is_what_the_configuration_says(
    run: Run, record: dict[str, Any], missing: Any, given: bool
) -> None:
    consents = [Consent(purpose="ads", cdp_field="ok", missing=missing)]
    assert run([{"id": "u", **record}], consents=consents)[0]["consent_0"] is given


@pytest.mark.parametrize("shape", [lambda value: value, lambda value: [value]])
@pytest.mark.parametrize(
    ("validation", "good", "bad"),
    [
        ({"minLength": 3}, "abc", "ab"),
        ({"maxLength": 2}, "äö", "äöü"),
        ({"pattern": "^it's"}, "it's so", "its so"),
        ({"enum": ["a", 1.0, True]}, "1", "b"),
        ({"const": True}, "true", "True"),
        ({"minimum": 5}, "5", "4.9"),
        ({"maximum": 5}, "-1", "x"),
        ({"exclusiveMinimum": 5}, "5.1", "5"),
        ({"exclusiveMaximum": 5}, "4.9", "5"),
        ({"type": "integer"}, "-12", "1.5"),
        ({"type": "number"}, "1.5e3", "1,5"),
        ({"type": "boolean"}, "false", "0"),
        ({"format": "email"}, "a@example.com", "a@example"),
        ({"format": "date"}, "2024-02-29", "2023-02-29"),
        ({"format": "date-time"}, "2024-02-29T10:00:00", "2024-02-29"),
        ({"format": "uuid"}, "123E4567-e89b-12d3-a456-426614174000", "123e4567"),
        ({"format": "uri"}, "https://example.com/x", "example com"),
    ],
)
def test_validation_keyword(
    run: Run, validation: dict[str, Any], good: str, bad: str, shape: Callable[[str], Any]
) -> None:
    rows = run([{"id": "u", "mail": shape(good)}, {"id": "v", "mail": shape(bad)}], email(validation=validation))
    assert [(row["email"], row["faults"], row["dropped"]) for row in rows] == [
        ([good], [], None),
        ([], [f"email:{next(iter(validation))}"], None),
    ]


def test_only_the_faulty_values_of_a_list_are_dropped(run: Run) -> None:
    row = run([{"id": "u", "mail": ["a@example.com", "b", "c@example.com"]}], email(validation={"format": "email"}))[0]
    assert (row["email"], row["faults"]) == (["a@example.com", "c@example.com"], ["email:format"])


def test_drop_record_and_fail_name_their_field(run: Run) -> None:
    rules: dict[str, Any] = {"validation": {"minLength": 3}}
    city = DataMapping(omniads_field="city", cdp_field="city", on_invalid="fail", **rules)
    records = [
        {"id": "u", "mail": "x", "city": "Bonn"},
        {"id": "v", "mail": ["x"], "city": "y"},
        {"id": "w", "mail": "long", "city": None},
    ]
    assert [row["dropped"] for row in run(records, email(on_invalid="drop-record", **rules), city)] == [
        "invalid:email",
        "fail:city",
        None,
    ]


def test_refuse_raises_only_for_the_policy_fail() -> None:
    refuse({"no_user_id": 3, "invalid:email": 2, "fail:city": 0})
    with pytest.raises(ConfigError, match="4 records have a value of city"):
        refuse({"fail:city": 4})


def test_a_rule_sees_the_value_and_other_fields(run: Run) -> None:
    rule = "lower(value) || '/' || traits.\"home country\""
    rows = run(
        [{"id": "u", "mail": ["A", "B"], "traits": {"home country": ["de", "fr"]}}, {"id": "v", "mail": ["C"]}],
        email(transformation_rule=rule),
    )
    assert [row["email"] for row in rows] == [["a/de", "b/de"], []]


@pytest.mark.parametrize("shape", [lambda value: value, lambda value: [value]])
def test_a_rule_that_fails_on_a_value_drops_only_that(run: Run, shape: Callable[[str], Any]) -> None:
    rows = run(
        [{"id": "u", "mail": shape("1")}, {"id": "v", "mail": shape("x")}, {"id": "w"}],
        email(transformation_rule="CAST(value AS INTEGER) + 1", on_invalid="drop-record", validation={"minLength": 1}),
    )
    assert [(row["email"], row["faults"], row["dropped"]) for row in rows] == [
        (["2"], [], None),
        ([], ["email:transformation"], None),
        ([], [], None),
    ]


@pytest.mark.parametrize("missing", [None, "", []])
def test_a_rule_can_fill_a_missing_value(run: Run, missing: Any) -> None:
    row = run([{"id": "u", "mail": missing, "alt": "x"}], email(transformation_rule="coalesce(value, alt)"))[0]
    assert (row["email"], row["faults"]) == (["x"], [])


@pytest.mark.parametrize("shape", [lambda value: value, lambda value: [value]])
def test_a_plugin_function_transforms_and_may_drop_or_fail(run: Run, shape: Callable[[str], Any]) -> None:
    def shout(value: str) -> str | None:
        if value == "bad":
            raise RuntimeError(value)
        return None if value == "none" else value.upper()

    rows = run(
        [{"id": str(n), "mail": shape(value)} for n, value in enumerate(("a", "bad", "none"))],
        email(transformation_rule="Shout(trim(value))"),
        functions={"shout": shout, "list_filter": shout},
    )
    assert [(row["email"], row["faults"]) for row in rows] == [
        (["A"], []),
        ([], ["email:transformation"]),
        ([], ["email:transformation"]),
    ]


def test_mapper_names_the_fields_it_needs_and_what_comes_out() -> None:
    mapper = compile_mapping(
        [
            DataMapping(omniads_field="phone", cdp_field='identifiers."a.b"'),
            DataMapping(omniads_field="user_id", cdp_field="First Name", transformation_rule="value || traits.x"),
            email(),
        ],
        [Consent(purpose="ads", cdp_field="consent")],
        {},
    )
    assert mapper.fields == ('identifiers."a.b"', "First Name", "mail", "traits.x", "consent")
    assert (mapper.columns, mapper.purposes) == (("email", "phone"), ("ads",))


def test_select_follows_the_schema_of_each_page() -> None:
    mapper = compile_mapping([DataMapping(omniads_field="user_id", cdp_field="id")], [], {})
    first, second = record_batch([{"id": "u"}]).schema, record_batch([{"id": [1]}]).schema
    assert mapper.select(first) == mapper.select(first) != mapper.select(second)


def test_all_faults_of_a_list_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        compile_mapping(
            [
                DataMapping(omniads_field="emial", cdp_field="a..b"),
                email(constant="both"),
                DataMapping(omniads_field="city"),
                email(transformation_rule="value + 1", validation={"minLenght": 3, "maxLength": "x"}),
                email(transformation_rule="lower(value", validation={"pattern": "("}),
            ],
            [Consent(purpose="ads", cdp_field='"open')],
            {},
        )
    assert {(error.place, error.problem.split(":")[0]) for error in caught.value.errors} == {
        ("0.omniads_field", "emial is not a field of the bridge"),
        ("0.cdp_field", "the path has no key at column 3"),
        ("1", "needs either cdp_field or constant"),
        ("2", "needs either cdp_field or constant"),
        ("3.transformation_rule", "DuckDB refuses it"),
        ("3.validation.minLenght", "is not a known setting"),
        ("3.validation.maxLength", "must be of type integer"),
        ("4.transformation_rule", "the rule cannot be read near value (line 1, column 7)"),
        ("4.validation.pattern", "DuckDB refuses it"),
        ("consent.0.cdp_field", "the path has no key at column 1"),
        ("", "no mapping fills user_id"),
    }
