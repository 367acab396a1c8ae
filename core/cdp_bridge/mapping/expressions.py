"""Checks transformation rules, a small part of DuckDB's scalar SQL, and prints them as SQL.

What runs is printed from the checked tree, never the text that was written, and only what is listed here may stand in
it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Any

from cdp_bridge.errors import ConfigError
from cdp_bridge.mapping import paths

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.errors import ParseError

MAX_RULE_LENGTH = 4_000
"""Characters."""
MAX_TOKENS = 600
MAX_DEPTH = 40
"""Levels of parentheses and calls."""
MAX_GROWTH = 250
"""The most times that a result may be longer than the longest field in it."""

_FUNCTION_NAMES = """
    abs ascii ceil ceiling chr coalesce concat concat_ws contains date_diff date_part date_trunc day
    dayofmonth ends_with floor greatest if ifnull instr json_extract_string lcase least left length lower lpad
    ltrim make_date md5 mod month nfc_normalize nullif prefix regexp_extract regexp_full_match regexp_matches
    regexp_replace replace reverse right round rpad rtrim sha256 sign split_part starts_with strftime
    strip_accents strlen strpos strptime substr substring suffix translate trim trunc try_strptime ucase upper
    year
"""
FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
LITERAL_ARGUMENTS = {"lpad": (1, 2), "regexp_replace": (1, 2, 3), "replace": (1, 2), "rpad": (1, 2), "strftime": (1,)}
"""Arguments that decide how long a result gets, so that it can be bounded beforehand."""
TYPES = re.compile(
    r"VARCHAR|TEXT|BOOLEAN|(TINY|SMALL|BIG|HUGE)?INT|DOUBLE|REAL|DECIMAL(\(\d+(, \d+)?\))?|DATE|TIMESTAMP",
    re.IGNORECASE,
)
_FIELD_LENGTH = 100
_FOREIGN = "SEMICOLON SELECT WITH FROM L_BRACKET L_BRACE ARROW PARAMETER PLACEHOLDER COLON_EQ"
_FOREIGN_TOKENS = frozenset(_FOREIGN.split())
_GRAMMAR = """
    Add And Anonymous Between Boolean Case Cast Column DPipe DataType DataTypeParam Div Dot EQ Escape GT GTE ILike
    Identifier If In IntDiv Is LT LTE Like Literal Mod Mul NEQ Neg Not Null NullSafeEQ NullSafeNEQ Or Paren Sub TryCast
"""
_NODES = frozenset(_GRAMMAR.split())


def compile_expression(text: str, plugins: Collection[str], columns: dict[paths.Path, str], value: str) -> str:
    """Check a rule and print it as DuckDB SQL; ConfigError with line and column when something in it is not allowed.

    In the SQL the mapped value is called `value`, and each other path has a column: that of `columns`, or a new one
    added there. `plugins` are the names of plugin functions, each of one argument; SQL calls them `plugin_<name>`.
    """
    from sqlglot.errors import ParseError, TokenError

    if len(text) > MAX_RULE_LENGTH:
        raise ConfigError(
            f"the rule has more than {MAX_RULE_LENGTH} characters", remedy="Move it into a plugin function"
        )
    if "\0" in text:
        raise ConfigError(f"the rule holds a NUL character ({_at(text, text.index(chr(0)))})", remedy="Take it out")
    try:
        return _Compiler(text, plugins, columns, value).compile()
    except TokenError:
        start = max(text.rfind("'"), text.rfind('"'), 0)
        raise ConfigError(f"a quote or comment is not closed ({_at(text, start)})", remedy="Close it") from None
    except ParseError as error:
        raise _unparsable(error) from None
    except RecursionError:
        raise _too_complex() from None


class _Compiler:
    """One rule: its tokens, its tree, its SQL."""

    def __init__(self, text: str, plugins: Collection[str], columns: dict[paths.Path, str], value: str) -> None:
        self.text, self.plugins, self.columns, self.value = text, plugins, columns, value

    def compile(self) -> str:
        dialect = _dialect()
        tokens = dialect.tokenize(self.text)
        self.check_tokens(tokens)
        tree = dialect.parser().parse(tokens, self.text)[0]
        if tree is None:
            raise ConfigError("the rule is empty", remedy="Leave it out, or write an expression such as lower(value)")
        for node in tree.walk():
            self.check(node)
        growth = _length(tree) / _FIELD_LENGTH
        if growth > MAX_GROWTH:
            raise ConfigError(
                f"the result may be more than {MAX_GROWTH} times as long as a field",
                remedy="Nest fewer replacements",
            )
        sql: str = tree.transform(self.rename).sql(dialect, comments=False)
        return sql

    def check_tokens(self, tokens: list[Any]) -> None:
        depth = 0
        for token in tokens:
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if depth > MAX_DEPTH or len(tokens) > MAX_TOKENS:
                raise _too_complex()
            if token.token_type.name in _FOREIGN_TOKENS:
                raise self.refusal(f"{token.text} is not allowed in a rule", token.start)

    def check(self, node: exp.Expr) -> None:
        from sqlglot import exp

        kind = type(node).__name__
        if kind not in _NODES or (kind == "In" and not node.expressions):
            raise self.refusal(
                f"{_shortened(node.sql(_dialect(), comments=False))} is not allowed in a rule", _start(node)
            )
        if kind == "Anonymous":
            self.check_call(node)
        elif kind == "DataType" and not TYPES.fullmatch(node.sql(_dialect())):
            remedy = "Use VARCHAR, BOOLEAN, INTEGER, BIGINT, DOUBLE, DECIMAL(p, s), DATE or TIMESTAMP"
            raise self.refusal(f"values cannot be cast to {_shortened(node.sql(_dialect()))}", _start(node), remedy)
        elif isinstance(node, exp.Dot) and not all(isinstance(part, exp.Identifier) for part in node.parts):
            raise self.refusal("a function cannot be called on a path", _start(node), "Write function(path)")

    def check_call(self, call: exp.Expr) -> None:
        name = call.name.lower()
        if name not in FUNCTIONS and name not in self.plugins:
            close = difflib.get_close_matches(name, [*FUNCTIONS, *self.plugins], n=1)
            remedy = (
                f"Did you mean {close[0]}?" if close else f"Allowed: {', '.join(sorted({*FUNCTIONS, *self.plugins}))}"
            )
            raise self.refusal(f"the function {_shortened(name)} is not allowed in a rule", _start(call), remedy)
        if name in self.plugins and len(call.expressions) != 1:
            raise self.refusal(f"{name} takes one value", _start(call))
        for position in LITERAL_ARGUMENTS.get(name, ()):
            if position < len(call.expressions) and type(call.expressions[position]).__name__ != "Literal":
                remedy = "Only so the length of the result is known beforehand"
                raise self.refusal(f"argument {position + 1} of {name} must be a literal", _start(call), remedy)

    def rename(self, node: exp.Expr) -> exp.Expr:
        from sqlglot import exp

        if isinstance(node, exp.Anonymous) and node.name.lower() in self.plugins:
            return exp.Anonymous(
                this=f"plugin_{node.name.lower()}",
                expressions=[part.transform(self.rename) for part in node.expressions],
            )
        if not isinstance(node, exp.Column | exp.Dot):
            return node
        if (
            isinstance(node, exp.Column)
            and len(node.parts) == 1
            and node.name.lower() == "value"
            and not node.this.quoted
        ):
            return exp.column(self.value)
        path = tuple(part.name for part in node.parts)
        return exp.column(self.columns.setdefault(path, f"p{len(self.columns)}"))

    def refusal(self, problem: str, start: int | None, remedy: str = "") -> ConfigError:
        place = f" ({_at(self.text, start)})" if start is not None else ""
        return ConfigError(problem + place, remedy=remedy)


@cache
def _dialect() -> Any:
    """DuckDB's grammar, with every call except casts kept under its written name."""
    from sqlglot.dialects.duckdb import DuckDB

    duckdb: Any = DuckDB.Parser
    grammar = {
        "FUNCTIONS": {},
        "FUNCTION_PARSERS": {name: duckdb.FUNCTION_PARSERS[name] for name in ("CAST", "TRY_CAST")},
        "NO_PAREN_FUNCTIONS": {},
        "NO_PAREN_FUNCTION_PARSERS": {"CASE": duckdb.NO_PAREN_FUNCTION_PARSERS["CASE"]},
    }
    return type("Rules", (DuckDB,), {"Parser": type("Parser", (duckdb,), grammar)})()


def _length(node: exp.Expr) -> float:
    """An upper bound for the length of a node's text, when no field is longer than `_FIELD_LENGTH`."""
    parts = [_length(part) for part in node.iter_expressions()]
    match type(node).__name__, node.name.lower(), node.expressions:
        case "Literal", _, _:
            return len(node.name)
        case "Column" | "Dot", _, _:
            return _FIELD_LENGTH
        case "Anonymous", "replace", [_, old, new]:
            return parts[0] * max(1.0, len(new.name) / max(1, len(old.name)))
        case "Anonymous", "regexp_replace", [_, _, new, *_]:
            # Worst: an insertion at every character, and each back-reference a copy of the whole.
            return parts[0] * (1 + len(new.name))
        case "Anonymous", "lpad" | "rpad", [_, length, _]:
            return parts[0] + float(length.name)
        case "Anonymous", "strftime", [_, form]:
            return 20.0 * len(form.name)
        case "Anonymous", "concat_ws", [_, *_]:
            return sum(parts) + parts[0] * len(parts)
        case _:
            return sum(parts) + 64


def _start(node: exp.Expr) -> int | None:
    """Where a node's text starts; for some nodes the parser knows only the position of their first name."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    return min(starts, default=None)


def _at(text: str, start: int) -> str:
    return f"line {text.count(chr(10), 0, start) + 1}, column {start - text.rfind(chr(10), 0, start)}"


def _shortened(sql: str) -> str:
    return sql if len(sql) <= 40 else sql[:39] + "\N{HORIZONTAL ELLIPSIS}"


def _too_complex() -> ConfigError:
    return ConfigError(
        f"the rule is too complex (at most {MAX_TOKENS} words and signs, {MAX_DEPTH} levels)",
        remedy="Move it into a plugin function",
    )


def _unparsable(error: ParseError) -> ConfigError:
    fault = error.errors[0] if error.errors else {}
    token = str(fault.get("highlight") or "")
    line, end = fault.get("line") or 1, fault.get("col") or 1
    place = f"line {line}, column {max(1, end - len(token) + 1)}"
    near = f" near {_shortened(token)}" if token else ""
    return ConfigError(f"the rule cannot be read{near} ({place})", remedy="Write one SQL expression")
