"""A profile compiled to one DuckDB SELECT over a page of people.

The page has, for every identifier asked for, a column of that name and of type VARCHAR[]. The SELECT hands on every
other column and puts the profile's outputs in place of the identifiers: BLOB[] of 32-byte digests where hashed,
VARCHAR[] where clear; in order, without repetitions, an empty list where nothing survives. The column `refused`
(VARCHAR[]) holds one code `field:reason` for each value that did not survive. NULL is absent, not refused.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from cdp_bridge.identity.installed import load_profile
from cdp_bridge.identity.profile import NAMES, Profile, Rule
from cdp_bridge.identity.steps import CHECKS, EMPTY_DIGEST, IS_DIGEST, IS_REFUSAL, PARTS, STEPS, refuse

_FIRST_STEPS = ("trim", "nothing")
_NAME_STEPS = ("html", "trim", "no_name")
_COUNTRY_STEPS = (*_FIRST_STEPS, "country")
# The parts that a digest given to us can stand for.
_WHOLE_PARTS = ("whole", "full_date")


class CompiledProfile(NamedTuple):
    """SQL text for any set of identifiers; run it on a connection that went through `functions.register`."""

    profile: Profile

    def outputs(self, fields: Iterable[str]) -> dict[str, str]:
        """Output column -> SQL type for the given identifiers; those that the profile does not take have none."""
        return {
            output: "BLOB[]" if self.profile.fields[field].send == "hash" else "VARCHAR[]"
            for field in fields
            if field in self.profile.fields
            for output in self.profile.outputs(field)
        }

    def select(self, fields: Sequence[str], source: str = "page", *, single: Collection[str] = ()) -> str:
        """The SELECT over the relation `source`; of the fields in `single` nobody has two values, which is faster."""
        values = self.values(fields, source, single=single)
        needed = self.profile.all_or_none
        return _all_or_none(values, needed, fields) if set(needed) & set(fields) else values

    def values(self, fields: Sequence[str], source: str, *, single: Collection[str]) -> str:
        """As `select`, each identifier for itself: before those that are sent all or none are held back."""
        shape = _Shape(single)
        taken = [field for field in fields if field in self.profile.fields]
        outputs = [(output, field, part) for field in taken for output, part in self.profile.outputs(field).items()]
        columns = [f"* EXCLUDE ({', '.join([*fields, 'person_country'])})"]
        columns += [
            f"{shape.each(_output(self.profile.fields[field], part), field)} AS {output}"
            for output, field, part in outputs
        ]
        columns += [f"{shape.refused(taken)} AS refused"]
        computed = f"SELECT {', '.join(columns)} FROM ({self.verdicts(fields, source, single=single)})"
        return _replace({output: shape.survivors(output, field) for output, field, _ in outputs}, computed)

    def verdicts(self, fields: Sequence[str], source: str, *, single: Collection[str]) -> str:
        """The page with every identifier normalised or refused (as text), and `person_country`.

        That is an alpha-2 code, empty where the one given is none, and NULL where none is given.
        """
        shape, rules = _Shape(single), self.profile.fields
        sql = _replace({field: shape.value(field) for field in fields}, f"SELECT * FROM {source}")
        if "country" in fields:
            sql = _in_turn({"country": _layers(_COUNTRY_STEPS, rules.get("country"))}, sql, shape)
        country = shape.first_country() if "country" in fields else "NULL::VARCHAR"
        sql = f"SELECT *, {country} AS person_country FROM ({sql})"
        pending = {
            field: [
                *_layers(_first_steps(field) + rules[field].steps, rules[field]),
                _verdict(rules[field]),
            ]
            for field in fields
            if field in rules
        }
        return _in_turn(pending, sql, shape)


def _first_steps(field: str) -> tuple[str, ...]:
    """The steps before those of a profile; a country went through its own already."""
    if field == "country":
        return ()
    return _NAME_STEPS if field in NAMES else _FIRST_STEPS


class _Shape(NamedTuple):
    """How a template over one value is applied: to the value of a field in `single`, or to each in a list."""

    single: Collection[str]

    def value(self, field: str) -> str:
        return f"{field}[1]" if field in self.single else field

    def each(self, template: str, field: str) -> str:
        template = template.replace("{country}", "person_country")
        if field in self.single:
            return template.replace("{x}", field)
        return f"list_transform({field}, lambda x: {template.replace('{x}', 'x')})"

    def survivors(self, column: str, field: str) -> str:
        if field in self.single:
            return f"CASE WHEN {column} IS NULL THEN [] ELSE [{column}] END"
        distinct = f"list_filter({column}, lambda x, i: x IS NOT NULL AND list_position({column}, x) = i)"
        return (
            f"CASE WHEN len({column}) = 1 AND {column}[1] IS NOT NULL THEN {column} ELSE coalesce({distinct}, []) END"
        )

    def first_country(self) -> str:
        if "country" in self.single:
            return "CASE WHEN strlen(country) = 2 THEN country WHEN country <> '' THEN '' END"
        first = "list_filter(country, lambda x: strlen(x) = 2)[1]"
        return f"coalesce({first}, CASE WHEN len(list_filter(country, lambda x: x <> '')) > 0 THEN '' END)"

    def refused(self, fields: Sequence[str]) -> str:
        codes = {
            field: self.each(f"CASE WHEN {IS_REFUSAL} THEN '{field}:' || substr({{x}}, 2) END", field)
            for field in fields
        }
        if codes.keys() <= set(self.single):
            everything = f"[{', '.join(codes.values())}]::VARCHAR[]"
        else:
            lists = [f"[{code}]" if field in self.single else code for field, code in codes.items()]
            everything = f"flatten([{', '.join(lists)}])"
        return f"list_filter({everything}, lambda x: x IS NOT NULL)"


def _layers(names: Iterable[str], rule: Rule | None) -> list[str]:
    """The steps as few templates: a step that reads its value twice starts a new one, so nothing is computed twice."""
    layers: list[str] = []
    current = "{x}"
    for template in (STEPS[name] for name in names):
        if current != "{x}" and template.count("{x}") > 1:
            layers.append(current)
            current = "{x}"
        current = template.replace("{x}", current)
    layers.append(current)
    if rule is None or not rule.accepts_hash:
        return layers
    return [f"CASE WHEN {IS_DIGEST} THEN lower({{x}}) ELSE {layer} END" for layer in layers]


def _verdict(rule: Rule) -> str:
    """The template that lets a normalised value pass or refuses it."""
    digest = f"WHEN {{x}} = '{EMPTY_DIGEST}' THEN {refuse('empty_hash')} WHEN {IS_DIGEST} THEN {{x}} "
    checks = " ".join(f"WHEN NOT ({CHECKS[check]}) THEN {refuse(reason)}" for check, reason in rule.checks.items())
    return (
        f"CASE WHEN {{x}} = '' THEN {refuse('empty')} WHEN {IS_REFUSAL} THEN {{x}} "
        f"{digest if rule.accepts_hash else ''}{checks} ELSE {{x}} END"
    )


def _output(rule: Rule, part: str) -> str:
    """The template of what one output column holds; NULL where there is nothing to send."""
    piece = PARTS[part]
    if rule.send == "hash":
        piece = f"unhex(sha256({piece}))"
    if rule.accepts_hash:
        given = "unhex({x})" if part in _WHOLE_PARTS else "NULL"
        piece = f"CASE WHEN {IS_DIGEST} THEN {given} ELSE {piece} END"
    return f"CASE WHEN {IS_REFUSAL} THEN NULL ELSE {piece} END"


def _in_turn(layers: dict[str, list[str]], sql: str, shape: _Shape) -> str:
    """Apply the first layer of every column, then the second, and so on, each in a SELECT around the last."""
    for depth in range(max(map(len, layers.values()), default=0)):
        step = {column: shape.each(own[depth], column) for column, own in layers.items() if depth < len(own)}
        sql = _replace(step, sql)
    return sql


def _replace(columns: dict[str, str], sql: str) -> str:
    return f"SELECT * REPLACE ({', '.join(f'{e} AS {c}' for c, e in columns.items())}) FROM ({sql})" if columns else sql


def _all_or_none(values: str, needed: Sequence[str], fields: Sequence[str]) -> str:
    """Hold back the identifiers in `needed` unless every one of them has a value; say so if some had."""
    mine = [field for field in needed if field in fields]
    complete = " AND ".join(f"len({field}) > 0" for field in needed) if len(mine) == len(needed) else "FALSE"
    # A country alone is there for reading phones and postal codes: its lonely presence is no loss.
    some = " OR ".join(f"len({field}) > 0" for field in mine if field != "country") or "FALSE"
    kept = {field: f"CASE WHEN {complete} THEN {field} ELSE [] END" for field in mine}
    code = f"CASE WHEN ({some}) AND NOT ({complete}) THEN list_append(refused, 'address:incomplete') ELSE refused END"
    return _replace({**kept, "refused": code}, values)


def compile_profile(profile: str | Profile) -> CompiledProfile:
    """A compiled profile, given or by name; ConfigError when there is none of that name."""
    return CompiledProfile(load_profile(profile) if isinstance(profile, str) else profile)
