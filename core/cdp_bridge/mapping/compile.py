"""Checks a list of mappings, collecting all faults, and compiles it to a Mapper."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cdp_bridge import engine, settings
from cdp_bridge.entities import Consent, DataMapping
from cdp_bridge.errors import ConfigError
from cdp_bridge.mapping import events, expressions, paths, validation
from cdp_bridge.mapping.fields import IDENTIFIERS, USER_ID
from cdp_bridge.mapping.mapper import Cell, Mapper, register_function
from cdp_bridge.settings import SettingsError

if TYPE_CHECKING:
    import duckdb

    from cdp_bridge.model import MappingFunction


def compile_mapping(
    mappings: Sequence[DataMapping], consents: Sequence[Consent], functions: Mapping[str, MappingFunction]
) -> Mapper:
    """A Mapper; SettingsError names every fault, at `<mapping>.<setting>` or `consent.<n>.<setting>` (numbers from 0).

    `functions` are the plugin functions by name.
    """
    compiler = _Compiler(functions)
    cells = [compiler.cell(number, mapping) for number, mapping in enumerate(mappings)]
    filled = {mapping.omniads_field for mapping in mappings}
    if not filled & {*events.FIELDS, USER_ID}:
        compiler.fault("no mapping fills user_id", "", "Map the CDP's own user id to the field user_id")
    for field in events.REQUIRED:
        if filled & {*events.FIELDS} and field not in filled:
            compiler.fault(f"no mapping fills {field}", "", f"A conversion needs it: map it to the field {field}")
    agreed = [(compiler.path(c.cdp_field, f"consent.{number}.cdp_field"), c) for number, c in enumerate(consents)]
    compiler.bind(cells)
    if compiler.faults:
        raise SettingsError(compiler.faults)
    rules = " ".join(cell.rule for cell in cells if cell.rule).lower()
    used = {name: function for name, function in functions.items() if f"plugin_{name}(" in rules}
    return Mapper(tuple(cells), compiler.columns, tuple(agreed), used)


class _Compiler:
    """Collects the faults of all mappings, and the columns that their rules need."""

    def __init__(self, functions: Mapping[str, MappingFunction]) -> None:
        self.functions = functions
        self.faults: list[ConfigError] = []
        self.columns: dict[paths.Path, str] = {}

    def fault(self, problem: str, place: str, remedy: str = "") -> None:
        self.faults.append(ConfigError(problem, place=place, remedy=remedy))

    def cell(self, number: int, mapping: DataMapping) -> Cell:
        self.check_field(mapping.omniads_field, f"{number}.omniads_field")
        if mapping.omniads_field in events.PERSONAL and mapping.policy != "clear":
            remedy = "Set policy to clear if it may leave, or leave the mapping out"
            self.fault(f"{mapping.omniads_field} is sent in clear or not at all", f"{number}.policy", remedy)
        if (mapping.cdp_field is None) == (mapping.constant is None):
            self.fault("needs either cdp_field or constant", str(number), "Set one of the two")
        try:
            settings.check_schema(validation.SCHEMA, mapping.validation)
        except SettingsError as error:
            self.adopt(error.errors, f"{number}.validation")
        path = None if mapping.cdp_field is None else self.path(mapping.cdp_field, f"{number}.cdp_field")
        rule = self.rule(mapping.transformation_rule, number)
        words = set(re.findall(r"\w+", rule or ""))
        return Cell(
            number=number,
            field=mapping.omniads_field,
            path=path,
            constant=mapping.constant,
            default=mapping.default or None,
            is_optional=mapping.default is not None,
            rule=rule,
            others=tuple(path for path, name in self.columns.items() if name in words),
            validation=mapping.validation,
            on_invalid=mapping.on_invalid,
        )

    def check_field(self, field: str, place: str) -> None:
        known = (USER_ID, *IDENTIFIERS, *events.FIELDS)
        if field not in known:
            close = difflib.get_close_matches(field, known, n=1)
            self.fault(
                f"{field} is not a field of the bridge",
                place,
                f"Did you mean {close[0]}?" if close else f"Known: {', '.join(known)}",
            )

    def path(self, text: str, place: str) -> paths.Path:
        try:
            return paths.parse(text)
        except ConfigError as error:
            self.adopt([error], place)
            return ("",)

    def rule(self, text: str | None, number: int) -> str | None:
        if text is None:
            return None
        try:
            return expressions.compile_expression(text, self.functions, self.columns, f"v{number}")
        except ConfigError as error:
            self.adopt([error], f"{number}.transformation_rule")
            return None

    def adopt(self, errors: Sequence[ConfigError], place: str) -> None:
        """Add faults of a part, with the place of the part before theirs."""
        for error in errors:
            inner = "" if error.place == "settings" else error.place
            self.fault(error.problem, f"{place}.{inner}" if inner else place, error.remedy)

    def bind(self, cells: Sequence[Cell]) -> None:
        """Let DuckDB parse the rules and patterns, with every field as text."""
        expressions = [(cell.rule, f"{cell.number}.transformation_rule", cell) for cell in cells if cell.rule]
        patterns = [(cell.validation.get("pattern"), cell) for cell in cells]
        expressions += [
            (f"regexp_matches('', {paths.literal(pattern)})", f"{cell.number}.validation.pattern", cell)
            for pattern, cell in patterns
            if isinstance(pattern, str)
        ]
        if not expressions:
            return
        with engine.connect("64MB", threads=1) as connection:
            for name, function in self.functions.items():
                register_function(connection, name, function)
            for sql, place, cell in expressions:
                self.bind_one(connection, sql, place, cell)

    def bind_one(self, connection: duckdb.DuckDBPyConnection, sql: str, place: str, cell: Cell) -> None:
        import duckdb

        remedy = "Every field is text: cast it to compute" if place.endswith("rule") else "Use RE2's syntax"
        names = [f"v{cell.number}", *(self.columns[path] for path in cell.others)]
        fields = ", ".join(f"NULL::VARCHAR AS {name}" for name in names)
        try:
            connection.execute(f"SELECT {sql} FROM (SELECT {fields})")
        except duckdb.Error as error:
            # The rest of DuckDB's message quotes generated SQL.
            self.fault(f"DuckDB refuses it: {str(error).splitlines()[0].rstrip('.')}", place, remedy)
