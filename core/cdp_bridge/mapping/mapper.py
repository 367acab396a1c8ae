"""Builds the SELECT that turns a page of records into canonical identifiers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cdp_bridge.entities import Consent, OnInvalid
from cdp_bridge.errors import ConfigError
from cdp_bridge.mapping import events, paths
from cdp_bridge.mapping.fields import IDENTIFIERS, USER_ID
from cdp_bridge.mapping.validation import conditions

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from cdp_bridge.model import MappingFunction

_NONE = "[]::VARCHAR[]"


class Cell(Struct, frozen=True):
    """One mapping, checked; in `rule` (SQL) the value is called `v<number>`, `others`, fields that it names, as in the
    mapper's extras. `is_optional`: its fields may be missing from every record.
    """

    number: int
    field: str
    path: paths.Path | None
    constant: str | None
    default: str | None
    is_optional: bool
    rule: str | None
    others: tuple[paths.Path, ...]
    validation: dict[str, Any]
    on_invalid: OnInvalid

    @property
    def checked(self) -> bool:
        """Whether a value may be dropped as faulty."""
        return self.rule is not None or bool(self.validation)

    @property
    def broken_rule(self) -> str:
        """The fault code (a SQL literal) of a value for which the rule has no result."""
        return paths.literal(f"{self.field}:transformation")


class Mapper:
    """Turns pages into identifiers. `fields` are the record paths that it needs, `columns` the resulting identifiers.

    `required` are those of `fields` that some record must have: all but those of mappings that are optional.
    `purposes` are those of the consents, in order. `is_events`: the records are conversions, not people.
    """

    def __init__(
        self,
        cells: tuple[Cell, ...],
        extras: Mapping[paths.Path, str],
        consents: tuple[tuple[paths.Path, Consent], ...],
        functions: Mapping[str, MappingFunction],
    ) -> None:
        self._cells, self._extras, self._consents, self._functions = cells, extras, consents, functions
        needed = [*(cell.path for cell in cells if cell.path), *extras, *(path for path, _ in consents)]
        self.fields = tuple(dict.fromkeys(map(paths.dotted, needed)))
        agreed = {path for path, _ in consents}
        required = {path for cell in cells if not cell.is_optional for path in (cell.path, *cell.others)} | agreed
        self.required = tuple(dict.fromkeys(paths.dotted(path) for path in needed if path in required))
        self.columns = tuple(field for field in IDENTIFIERS if any(cell.field == field for cell in cells))
        self.purposes = tuple(consent.purpose for _, consent in consents)
        self._events = tuple(field for field in events.FIELDS if any(cell.field == field for cell in cells))
        self.is_events = bool(self._events)
        self._last: tuple[pa.Schema, str, str] | None = None

    def register(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Register the plugin functions that the SELECT calls; once per connection."""
        for name, function in self._functions.items():
            register_function(connection, name, function)

    def select(self, schema: pa.Schema, relation: str = "page") -> str:
        """One SELECT over a relation with the schema of a `record_batch`.

        Columns out: `user_id` VARCHAR (NULL: missing), each of `columns` VARCHAR[] (empty: none), `consent_<n>` BOOLEAN
        in the order of the consents, `is_member` BOOLEAN, `faults` VARCHAR[] (one `field:keyword` or
        `field:transformation` for each value dropped), `dropped` VARCHAR (`no_user_id`, `invalid:<field>`,
        `fail:<field>`, or NULL). Of conversions those of `events.compose`, too; they may lack a user id.
        """
        if self._last is None or self._last[1] != relation or not self._last[0].equals(schema):
            self._last = (schema, relation, self._build(schema, relation))
        return self._last[2]

    def single(self, schema: pa.Schema) -> list[str]:
        """Those of `columns` of which no person of such pages can have two values."""
        fields = Counter(cell.field for cell in self._cells)
        many = {cell.field for cell in self._cells if cell.path and paths.read(schema, cell.path).many}
        return [column for column in self.columns if fields[column] == 1 and column not in many]

    def _build(self, schema: pa.Schema, relation: str) -> str:
        cells = [_Columns(cell, schema) for cell in self._cells]
        consents = [_consent(paths.read(schema, path), consent) for path, consent in self._consents]
        member = paths.read(schema, ("is_member",))
        raw = [cell.raw() for cell in cells]
        raw += [f"{_one(paths.read(schema, path))} AS {name}" for path, name in self._extras.items()]
        raw += [f"{sql} AS consent_{number}" for number, sql in enumerate(consents)]
        raw += [f"coalesce(TRY_CAST({_one(member)} AS BOOLEAN), true) AS is_member"]
        source = f'"{relation}" AS page({paths.columns(len(schema))})'
        sql = f"(SELECT {', '.join(raw)} FROM {source})"
        sql = f"(SELECT *, {', '.join(cell.mapped() for cell in cells)} FROM {sql})"
        faults = [cell.faulty() for cell in cells if cell.cell.checked]
        if faults:
            sql = f"(SELECT *, {', '.join(faults)} FROM {sql})"
        sql = f"SELECT {', '.join(self._outputs(cells))} FROM {sql}"
        return events.compose(sql, self._events) if self.is_events else sql

    def _outputs(self, cells: list[_Columns]) -> list[str]:
        user = _first(cells, USER_ID)
        outputs = [f"{user} AS user_id", *(f"{_all(cells, field)} AS {field}" for field in self.columns)]
        outputs += [
            f"{_all(cells, field) if field in events.LISTS else _first(cells, field)} AS {events.column(field)}"
            for field in self._events
        ]
        outputs += [f"consent_{number}" for number in range(len(self._consents))]
        outputs += [
            "is_member",
            f"{_faults(cells)} AS faults",
            f"{_dropped(cells, None if self.is_events else user)} AS dropped",
        ]
        return outputs


class _Columns:
    """The SQL of one mapping over one schema: raw value `v<n>` or list `r<n>`, mapped `m<n>`, fault codes `f<n>`."""

    def __init__(self, cell: Cell, schema: pa.Schema) -> None:
        self.cell = cell
        self.read = (
            paths.read(schema, cell.path) if cell.path else paths.Read(paths.literal(cell.constant or ""), many=False)
        )
        self.raw_name = f"{'r' if self.read.many else 'v'}{cell.number}"
        self.mapped_name, self.fault_name = f"m{cell.number}", f"f{cell.number}"

    def raw(self) -> str:
        # Trimming costs more than all else; identity refuses blank identifiers, so only the user id needs it.
        trimmed = "{}" if self.cell.field in IDENTIFIERS else "trim({})"
        if self.read.many:
            present = f"{trimmed.format('e')} <> ''"
            return f"coalesce(list_filter({self.read.sql}, lambda e: {present}), []) AS {self.raw_name}"
        value = f"CASE WHEN {trimmed.format(self.read.sql)} <> '' THEN {self.read.sql} END"
        if self.cell.default is not None:
            value = f"coalesce({value}, {paths.literal(self.cell.default)})"
        return f"{value} AS {self.raw_name}"

    def mapped(self) -> str:
        cell, sql = self.cell, self.raw_name
        default = "NULL::VARCHAR" if cell.default is None else paths.literal(cell.default)
        rule = None if cell.rule is None else f"nullif(CAST(TRY({cell.rule}) AS VARCHAR), '')"
        if self.read.many:
            if cell.default is not None or rule:
                sql = f"CASE WHEN len({sql}) = 0 THEN [{default}] ELSE {sql} END"
            sql = f"list_transform({sql}, lambda v{cell.number}: {rule})" if rule else sql
        elif rule:
            sql = rule
        return f"{sql} AS {self.mapped_name}"

    def faulty(self) -> str:
        if not self.read.many:
            return f"{self._code(self.mapped_name, f'{self.raw_name} IS NOT NULL')} AS {self.fault_name}"
        each = self._code("e", f"len({self.raw_name}) > 0")
        return f"list_transform({self.mapped_name}, lambda e: {each}) AS {self.fault_name}"

    def _code(self, value: str, present: str) -> str:
        cases = [f"WHEN {value} IS NULL THEN CASE WHEN {present} THEN {self.cell.broken_rule} END"]
        for keyword, condition in conditions(self.cell.validation, value).items():
            cases.append(f"WHEN NOT ({condition}) THEN {paths.literal(f'{self.cell.field}:{keyword}')}")
        return f"CASE {' '.join(cases)} END"

    def values(self) -> str:
        """All good values, as a list."""
        mapped, fault = self.mapped_name, self.fault_name
        if self.read.many:
            good = f"list_filter({mapped}, lambda e, k: e IS NOT NULL AND {fault}[k] IS NULL)"
            return good if self.cell.checked else mapped
        return f"CASE WHEN {self.first()} IS NULL THEN {_NONE} ELSE [{mapped}] END"

    def first(self) -> str:
        """The first good value, or NULL."""
        if self.read.many:
            return f"({self.values()})[1]"
        return (
            f"CASE WHEN {self.fault_name} IS NULL THEN {self.mapped_name} END"
            if self.cell.checked
            else self.mapped_name
        )

    def codes(self) -> str:
        """All fault codes, as a list in which NULL stands for a good value."""
        return self.fault_name if self.read.many else f"[{self.fault_name}]"

    def invalid(self) -> str:
        """Whether a value breaks the validation; a value without result of the rule does not count."""
        if self.read.many:
            return f"len(list_filter({self.fault_name}, lambda e: e <> {self.cell.broken_rule})) > 0"
        return f"{self.fault_name} <> {self.cell.broken_rule}"


def register_function(connection: duckdb.DuckDBPyConnection, name: str, function: MappingFunction) -> None:
    """Make a plugin function callable as `plugin_<name>`; raising drops the value, as returning None does."""
    import pyarrow as pa
    from duckdb.func import FunctionNullHandling, PythonUDFType

    def call(value: str | None) -> str | None:
        try:
            return None if value is None else function(value)
        except Exception:  # A plugin's fault costs this value, not the page.
            return None

    # DuckDB evaluates these annotations in this module, which does not import pyarrow.
    def column(values: Any) -> Any:
        return pa.array([call(value) for value in values.to_pylist()], pa.string())

    connection.create_function(
        f"plugin_{name}",
        column,
        ["VARCHAR"],
        "VARCHAR",
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )


def refuse(dropped: Mapping[str, int]) -> None:
    """Raise ConfigError if records were dropped (reason -> count) under the policy `fail`."""
    for reason, count in dropped.items():
        verdict, _, field = reason.partition(":")
        if verdict == "fail" and count:
            raise ConfigError(
                f"{count} records have a value of {field} that breaks its validation, and its policy is fail",
                remedy="Correct them in the CDP, or set on_invalid to drop-field or drop-record",
            )


def _one(read: paths.Read) -> str:
    return f"({read.sql})[1]" if read.many else read.sql


def _consent(read: paths.Read, consent: Consent) -> str:
    granted = ", ".join(paths.literal(value.lower()) for value in consent.granted) or "NULL"
    missing = "true" if consent.missing == "granted" else "false"
    values = read.sql if read.many else f"[{read.sql}]"
    given = f"list_filter({values}, lambda e: trim(e) <> '')"
    fits = f"len(list_filter({given}, lambda e: lower(trim(e)) IN ({granted}))) > 0"
    return f"CASE WHEN coalesce(len({given}), 0) = 0 THEN {missing} ELSE {fits} END"


def _first(cells: list[_Columns], field: str) -> str:
    columns = [cell.first() for cell in cells if cell.cell.field == field]
    return f"coalesce({', '.join(columns)})" if columns else "NULL::VARCHAR"


def _all(cells: list[_Columns], field: str) -> str:
    parts = [cell.values() for cell in cells if cell.cell.field == field]
    return parts[0] if len(parts) == 1 else f"flatten([{', '.join(parts)}])"


def _faults(cells: list[_Columns]) -> str:
    codes = [cell.codes() for cell in cells if cell.cell.checked]
    return f"list_filter(flatten([{', '.join(codes)}]), lambda e: e IS NOT NULL)" if codes else _NONE


def _dropped(cells: list[_Columns], user: str | None) -> str:
    """SQL: the reason why a record is dropped, or NULL; `user` is the required user id, if there is one."""
    guarded = [cell for cell in cells if cell.cell.validation]
    failing = [(cell, f"fail:{cell.cell.field}") for cell in guarded if cell.cell.on_invalid == "fail"]
    dropping = [(cell, f"invalid:{cell.cell.field}") for cell in guarded if cell.cell.on_invalid == "drop-record"]
    cases = [f"WHEN {cell.invalid()} THEN {paths.literal(reason)}" for cell, reason in failing]
    if user:
        cases.append(f"WHEN {user} IS NULL THEN 'no_user_id'")
    cases += [f"WHEN {cell.invalid()} THEN {paths.literal(reason)}" for cell, reason in dropping]
    return f"CASE {' '.join(cases)} END" if cases else "NULL::VARCHAR"
