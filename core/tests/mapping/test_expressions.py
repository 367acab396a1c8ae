"""Which transformation rules are taken, what they mean, and how every other one is refused."""

from typing import Any

import duckdb
import pytest
from cdp_bridge.entities import DataMapping
from cdp_bridge.errors import ConfigError
from cdp_bridge.mapping import compile_mapping
from cdp_bridge.mapping.expressions import FUNCTIONS, compile_expression

SAMPLES = ("Ab c", "12", "2024-02-29", "", "äß🙂", None)
RULES = {
    "abs": "abs(TRY_CAST(value AS INTEGER))",
    "ascii": "ascii(value)",
    "ceil": "ceil(1.5)",
    "ceiling": "ceiling(1.5)",
    "chr": "chr(65)",
    "coalesce": "coalesce(value, 'x')",
    "concat": "concat(value, '-', value)",
    "concat_ws": "concat_ws('-', value, value)",
    "contains": "contains(value, 'b')",
    "date_diff": "date_diff('day', DATE '2024-01-01', TRY_CAST(value AS DATE))",
    "date_part": "date_part('year', TRY_CAST(value AS DATE))",
    "date_trunc": "date_trunc('month', TRY_CAST(value AS DATE))",
    "day": "day(TRY_CAST(value AS DATE))",
    "dayofmonth": "dayofmonth(TRY_CAST(value AS DATE))",
    "ends_with": "ends_with(value, 'c')",
    "floor": "floor(1.5)",
    "greatest": "greatest(value, 'M')",
    "if": "if(value = '12', 'a', 'b')",
    "ifnull": "ifnull(value, 'x')",
    "instr": "instr(value, 'b')",
    "json_extract_string": "json_extract_string('{\"a\": 1}', '$.a')",
    "lcase": "lcase(value)",
    "least": "least(value, 'M')",
    "left": "left(value, 2)",
    "length": "length(value)",
    "lower": "lower(value)",
    "lpad": "lpad(value, 5, '0')",
    "ltrim": "ltrim(value, 'A')",
    "make_date": "make_date(2024, 2, 29)",
    "md5": "md5(value)",
    "mod": "mod(7, 3)",
    "month": "month(TRY_CAST(value AS DATE))",
    "nfc_normalize": "nfc_normalize(value)",
    "nullif": "nullif(value, '12')",
    "prefix": "prefix(value, 'A')",
    "regexp_extract": "regexp_extract(value, '(\\d)(\\d)', 2)",
    "regexp_full_match": "regexp_full_match(value, '\\d+')",
    "regexp_matches": "regexp_matches(value, '\\d')",
    "regexp_replace": "regexp_replace(value, '[^0-9]', '', 'g')",
    "replace": "replace(value, 'ß', 'ss')",
    "reverse": "reverse(value)",
    "right": "right(value, 2)",
    "round": "round(1.25, 1)",
    "rpad": "rpad(value, 5, '0')",
    "rtrim": "rtrim(value)",
    "sha256": "sha256(value)",
    "sign": "sign(-2)",
    "split_part": "split_part(value, ' ', 1)",
    "starts_with": "starts_with(value, 'A')",
    "strftime": "strftime(TRY_CAST(value AS DATE), '%d.%m.%Y')",
    "strip_accents": "strip_accents(value)",
    "strlen": "strlen(value)",
    "strpos": "strpos(value, 'b')",
    "strptime": "strptime('29.02.2024', '%d.%m.%Y')",
    "substr": "substr(value, 2, 1)",
    "substring": "substring(value, 2)",
    "suffix": "suffix(value, 'c')",
    "translate": "translate(value, 'ab', 'xy')",
    "trim": "trim(value)",
    "trunc": "trunc(1.5)",
    "try_strptime": "try_strptime(value, '%Y-%m-%d')",
    "ucase": "ucase(value)",
    "upper": "upper(value)",
    "year": "year(TRY_CAST(value AS DATE))",
}
GRAMMAR = (
    "value",
    "VALUE || '''' || value",
    "CASE value WHEN '12' THEN 'a' WHEN 'Ab c' THEN 'b' END",
    "CASE WHEN value IS NULL THEN 'n' WHEN value LIKE 'A%' THEN 'l' ELSE value END",
    "value IN ('12', 'x') AND NOT value = 'y' OR value <> 'z'",
    "value NOT IN ('12') AND value NOT LIKE '1%' AND value NOT BETWEEN 'a' AND 'b'",
    "value ILIKE 'ab%' OR value LIKE 'a!%' ESCAPE '!'",
    "TRY_CAST(value AS DECIMAL(10, 2)) * -2 + 1 - - 1",
    "- - TRY_CAST(value AS INTEGER)",
    "-(-TRY_CAST(value AS INTEGER))",
    "TRY_CAST(value AS BIGINT) // 5 % 2",
    "(1 + 2) * 3 - 4 / 8",
    "2 - (3 - 4)",
    "value::VARCHAR::TEXT",
    "value IS NOT NULL",
    "value BETWEEN 'A' AND 'B'",
    "value /* a ; comment */ -- and another\n || 'x'",
    "'\\' || value || '\\n;--'",
    "DATE '2024-01-01'",
    "1 < 2 AND 2 >= 1 AND TRUE IS TRUE",
    "value" + " || 'a'" * 299,
)


def test_every_allowed_function_has_a_rule_here() -> None:
    assert set(RULES) == FUNCTIONS


@pytest.mark.parametrize("rule", [*RULES.values(), *GRAMMAR])
def test_what_runs_means_what_was_written(connection: duckdb.DuckDBPyConnection, rule: str) -> None:
    """DuckDB's own reading of the text is the reference for what we print from the checked tree."""
    checked = compile_expression(rule, (), {}, "value")
    for sample in SAMPLES:
        query = "SELECT ({}\n) FROM (SELECT $1::VARCHAR AS value)"
        assert (
            connection.execute(query.format(checked), [sample]).fetchall()
            == connection.execute(query.format(rule), [sample]).fetchall()
        )


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("traits.country", ("traits", "country")),
        ('a."b.c"."d""e"', ("a", "b.c", 'd"e')),
        ("a.b.c.d.e.f", ("a", "b", "c", "d", "e", "f")),
        ('"value"', ("value",)),
        ("value.x", ("value", "x")),
        ("größe", ("größe",)),
        ("traits.date", ("traits", "date")),
    ],
)
def test_paths_become_columns(rule: str, path: tuple[str, ...]) -> None:
    columns: dict[tuple[str, ...], str] = {}
    assert (compile_expression(f"lower({rule})", (), columns, "v"), columns) == ("LOWER(p0)", {path: "p0"})


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("", "empty"),
        ("  -- nothing", "empty"),
        ("value value", "VALUE AS value|value AS value"),
        ("value, value", "line 1, column 6"),
        ("lower(value", "line 1, column 7"),
        ("'abc", "not closed .line 1, column 1"),
        ("/* open", "not closed"),
        ("lower(\n  evil(value))", "function evil is not allowed in a rule .line 2, column 3"),
        ("uper(value)", "Did you mean upper"),
        ("value; DROP TABLE page", "; is not allowed in a rule .line 1, column 6"),
        ("(SELECT 1)", "SELECT is not allowed in a rule .line 1, column 2"),
        ("value IN (SELECT 1)", "SELECT is not allowed"),
        ("EXISTS(FROM page)", "FROM is not allowed"),
        ("WITH x AS (SELECT 1) SELECT 1", "WITH is not allowed"),
        ("value UNION SELECT 1", "SELECT is not allowed"),
        ("read_text('/etc/passwd')", "read_text is not allowed"),
        ("read_csv('x')", "read_csv is not allowed"),
        ("glob('/*')", "glob is not allowed"),
        ("getenv('HOME')", "getenv is not allowed"),
        ("current_setting('threads')", "current_setting is not allowed"),
        ("range(1000000000)", "range is not allowed"),
        ("generate_series(1, 1e12)", "generate_series is not allowed"),
        ("repeat(value, 1000000000)", "repeat is not allowed"),
        ("format('{:>1000000000}', value)", "format is not allowed"),
        ("printf('%1000000000d', 1)", "printf is not allowed"),
        ("unnest(value)", "unnest is not allowed"),
        ("random()", "random is not allowed"),
        ("now()", "now is not allowed"),
        ("count(*)", "count is not allowed"),
        ("sum(value) OVER ()", "OVER .. is not allowed"),
        ("lower(value) FILTER (WHERE true)", "FILTER.* is not allowed"),
        ("list_transform(value, x -> x)", "-> is not allowed"),
        ("lambda x: x", "cannot be read"),
        ("[value]", r"\[ is not allowed"),
        ("{'a': value}", "{ is not allowed"),
        ("value[1]", r"\[ is not allowed"),
        ("*", "is not allowed"),
        ("traits.*", "is not allowed"),
        ("COLUMNS('x')", "columns is not allowed"),
        ("$1", "is not allowed"),
        ("?", "is not allowed"),
        ("value := 1", "is not allowed"),
        ("PRAGMA database_list", "not allowed|cannot be read"),
        ("ATTACH 'x'", "not allowed|cannot be read"),
        ("COPY page TO 'x'", "not allowed|cannot be read"),
        ("SET threads = 1", "not allowed|cannot be read"),
        ("INSTALL httpfs", "not allowed|cannot be read"),
        ("value.lower()", "cannot be called on a path"),
        ("main.lower(value)", "cannot be called on a path"),
        ("CAST(value AS STRUCT(a INTEGER))", "cannot be cast to STRUCT"),
        ("CAST(value AS BLOB)", "cannot be cast to"),
        ("value ~ 'x'", "is not allowed"),
        ("lpad(value, length(value), '0')", "argument 2 of lpad must be a literal"),
        ("replace(value, 'a', value)", "argument 3 of replace must be a literal"),
        ("lpad(value, 1000000000, '0')", "times as long"),
        (
            "regexp_replace(regexp_replace(value, '', 'aaaaaaaaaaaaaaaaaa', 'g'), '', 'aaaaaaaaaaaaaaaaaa', 'g')",
            "times as",
        ),
        ("concat(" + ", ".join(["value"] * 280) + ")", "times as long"),
        ("(" * 3_000, "too complex"),
        ("(" * 41 + "value" + ")" * 41, "too complex"),
        ("NOT " * 580 + "value", "too complex"),
        ("- " * 580 + "1", "too complex"),
        ("CASE " * 500, "too complex"),
        ("x" * 1_000_000, "more than 4000 characters"),
        ("'\0'", "NUL character .line 1, column 2"),
        ("\\", "cannot be read"),
        ("🙂🙂 evil", "is not allowed"),
        ("'🙂' || evil(value)", "line 1, column 8"),
        ("shout(value, value)", "shout takes one value"),
    ],
)
def test_everything_else_is_refused(rule: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"(?i){words}") as caught:
        compile_expression(rule, {"shout"}, {}, "value")
    assert len(str(caught.value)) < 1_500


def test_plugin_functions_run_under_a_name_of_their_own() -> None:
    assert compile_expression("Shout(lower(value))", {"shout"}, {}, "v3").lower() == "plugin_shout(lower(v3))"


@pytest.mark.parametrize(
    "rule", ["value + 1", "upper(value, value)", "regexp_replace(value, '(', '')", "CAST('x' AS INT)"]
)
def test_what_duckdb_refuses_is_found_when_compiling(rule: str) -> None:
    mapping: dict[str, Any] = {"cdp_field": "id", "transformation_rule": rule}
    with pytest.raises(ConfigError, match=r"0\.transformation_rule: DuckDB refuses it: "):
        compile_mapping([DataMapping(omniads_field="user_id", **mapping)], [], {})
