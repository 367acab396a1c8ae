"""Pages of CDP records in, desired membership out: mapping, consent, suppression, normalising and hashing in one SQL
statement a page.

Raw personal data exists only inside that statement, but for what a profile sends in clear. What stays, and may spill to
disk, is the table `staged`: member_key, user_id, reason, refused, fingerprint, handles and packed identifiers. Its
tables are named here only: others ask a `Stage` for the relations that it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from cdp_bridge.entities import Funnel
from cdp_bridge.identity import HASHED, IDENTIFYING, compile_profile, load_profile, register, with_digests
from cdp_bridge.mapping import MissingFields, refuse
from cdp_bridge.staging.packing import EVENT, PACK_MACROS, pack_sql

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from cdp_bridge.mapping import Mapper

ROWS_AT_ONCE = 100_000
"""Planning a statement costs as much as some thousand rows, so small pages wait for each other."""

ROWS_A_BATCH = 4_096

LEFT = "left"
DUPLICATE = "duplicate"
SUPPRESSED = "suppressed"
_KEY_DIGITS = 32
# A user id that is an e-mail address or a phone number is no pseudonym, so it is not kept; no database keeps a NUL.
_IS_PSEUDONYM = "NOT contains(user_id, '@') AND NOT starts_with(user_id, '+') AND NOT contains(user_id, chr(0))"

_TABLES = (
    "CREATE TABLE suppression (digest BLOB)",
    "CREATE TABLE suppressed_user (member_key BLOB)",
    "CREATE TABLE known (member_key BLOB, fingerprint BLOB)",
    """CREATE TABLE staged (member_key BLOB, user_id VARCHAR, reason VARCHAR, refused VARCHAR[],
                            fingerprint BLOB, handles UBIGINT[], packed BLOB)
    """,
    "CREATE VIEW desired AS SELECT member_key, fingerprint, user_id, handles, packed FROM staged WHERE reason IS NULL",
)


class Stage:
    """Collects one extract on a connection of its own (`engine.connect`): people, or conversions by their event ids.

    `fields` are the identifiers that may leave, `matching_keys` the only columns of the profile that the destination
    takes (empty: all); `key` makes member keys.

    What others may query on `connection` is named by the attributes that say `SQL`.
    """

    desired = "desired"
    """SQL: a relation (member_key, fingerprint, user_id, handles, packed) of those who should be in, once finished.

    `packed` is NULL where `known` has the same fingerprint.
    """
    known = "known"
    """SQL: a relation (member_key, fingerprint) of what `load_known` loads, until `drop_known`."""
    named = "(SELECT member_key FROM staged WHERE member_key IS NOT NULL)"
    """SQL: a relation (member_key) of everybody in the extract, whether desired or not."""
    suppressed_members = f"(SELECT member_key FROM staged WHERE reason = '{SUPPRESSED}' UNION FROM suppressed_user)"
    """SQL: a relation (member_key) of those who must not be sent: of the extract, or by their user id."""
    suppressed_digests = "(SELECT digest FROM suppression)"
    """SQL: a relation (digest) of the identifiers of people who must not be sent."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        mapper: Mapper,
        profile: str,
        fields: Iterable[str],
        *,
        key: bytes,
        matching_keys: Collection[str] = (),
    ) -> None:
        self.connection, self._mapper = connection, mapper
        self._rules = load_profile(profile)
        self._identifying = self._rules.identifying
        self._profile = compile_profile(self._rules)
        self._fields = list(fields)
        self._key = key.hex()
        self._known: Iterator[list[tuple[bytes, bytes]]] = iter(())
        self._waiting: list[pa.RecordBatch] = []
        register(connection)
        mapper.register(connection)
        for statement in (*PACK_MACROS, *_TABLES):
            connection.execute(statement).complete()
        self._missing = MissingFields(mapper.fields, mapper.required)
        self._has_suppression = self._names_users = False
        # Field -> column of a usual digest of it, where the profile itself has none that a suppression list could have.
        self._digests: dict[str, str] = {}
        outputs = self._profile.outputs(self._fields)
        outputs = {column: kind for column, kind in outputs.items() if not matching_keys or column in matching_keys}
        self.columns = tuple(outputs)
        self._hashed = {column for column, kind in outputs.items() if kind == "BLOB[]"}
        self._packed = (*self.columns, *((EVENT,) if mapper.is_events else ()))

    def suppress(self, entries: Iterable[list[tuple[str, bytes]]]) -> None:
        """Load (field, digest) of people who must not be sent, of a user id the member key; before the first page."""
        for chunk in entries:
            users = [digest for field, digest in chunk if field == "user_id"]
            self._insert("suppressed_user", member_key=users)
            self._insert("suppression", digest=[digest for field, digest in chunk if field != "user_id"])
            self._has_suppression = self._has_suppression or bool(chunk)
            self._names_users = self._names_users or bool(users)
        if self._has_suppression:
            rules, self._digests = with_digests(self._rules, self._mapper.columns)
            self._profile = compile_profile(rules)

    def load_known(self, ledger: Iterator[list[tuple[bytes, bytes]]], without: Collection[bytes] = ()) -> None:
        """Give (member_key, fingerprint) of the ledger, to be read at the first page.

        Of members who are the same there `packed` is NULL, so that a big audience that did not change stays small.
        Members `without` are left out, since their rows may still change before the comparison.
        """
        self._known = ([row for row in chunk if row[0] not in without] for chunk in ledger) if without else ledger

    def take(self, records: pa.RecordBatch, table: str = "") -> int:
        """Stage what `record_batch` makes of a page, now or together with later ones; returns the number of records.

        Raises ConfigError where a field of the mapping is no column of the `table` that they are rows of (see `Page`).
        """
        if table:
            self._missing.check_table(records.schema, table)
        if not records.num_rows:
            return 0  # The last page of some vendors; Arrow makes no table of it.
        if self._waiting and self._waiting[0].schema != records.schema:
            self._flush()
        self._waiting.append(records)
        if sum(batch.num_rows for batch in self._waiting) >= ROWS_AT_ONCE:
            self._flush()
        return int(records.num_rows)

    def finish(self) -> Funnel:
        """Settle what only the whole extract can tell, and count where everybody is.

        Raises ConfigError where records break a validation that may not fail.
        """
        self._flush()
        self._load_known()
        self._drop_duplicates()
        rows = self.connection.execute("SELECT coalesce(reason, ''), count(*) FROM staged GROUP BY 1").fetchall()
        counts = {reason: count for reason, count in rows if reason != LEFT}
        refuse(counts)
        refused = self.connection.execute(
            "SELECT code, count(*) FROM (SELECT unnest(refused) AS code FROM staged) GROUP BY 1"
        ).fetchall()
        return count_funnel(counts, dict(refused))

    def check_fields(self, place: str) -> None:
        """ConfigError, at `place`, if no record had a field that the mapping needs; of an extract without records no
        field is missed.
        """
        self._missing.check_all(place)

    def drop_known(self) -> None:
        """Free what `load_known` has loaded, once everything is staged and whoever needs it has a copy."""
        self.connection.execute("DROP TABLE known").complete()

    def members(self) -> list[tuple[str, bytes]]:
        """(user_id, packed identifiers) of everybody desired, once finished; for extracts that fit in memory."""
        return self.connection.execute("SELECT user_id, packed FROM desired").fetchall()

    def reasons(self) -> dict[str, int]:
        """How many people are not desired, by reason."""
        counted = "SELECT reason, count(*) FROM staged WHERE reason IS NOT NULL GROUP BY 1"
        return dict(self.connection.execute(counted).fetchall())

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        self._load_known()
        page = pa.Table.from_batches(self._waiting)
        # The engine's threads take a batch each, so small ones keep all of them busy to the end.
        page = pa.Table.from_batches(page.to_batches(max_chunksize=ROWS_A_BATCH))
        self._waiting.clear()
        self.connection.register("page", page)
        try:
            self._missing.look(self.connection, page.schema)
            for statement in self._statements(page.schema):
                self.connection.execute(statement).complete()
        finally:
            self.connection.unregister("page")

    def _statements(self, schema: pa.Schema) -> Iterator[str]:
        """SQL: people with one value of each kind, all of them on the profile's faster path, then all others.

        Two statements, since a table that one statement reads twice is kept by the engine and may spill: raw values.
        """
        mapped, columns, single = self._mapper.select(schema), self._mapper.columns, self._mapper.single(schema)
        listed = [column for column in columns if column not in single]
        if not listed:
            yield self._statement(mapped, single=columns)
            return
        plain = " AND ".join(f"len({column}) <= 1" for column in listed)
        yield self._statement(f"SELECT * FROM ({mapped}) WHERE {plain}", single=columns)
        yield self._statement(f"SELECT * FROM ({mapped}) WHERE NOT ({plain})", single=single)

    def _statement(self, mapped: str, *, single: Collection[str]) -> str:
        key = self._member_key("event_id" if self._mapper.is_events else "user_id")
        identifiers, refused = [*self._mapper.columns, *self._digests.values()], "refused"
        if self._digests:
            copies = ", ".join(f"{field} AS {column}" for field, column in self._digests.items())
            mapped = f"SELECT *, {copies} FROM ({mapped})"
            single = [*single, *(column for field, column in self._digests.items() if field in single)]
            theirs = ", ".join(f"'{column}'" for column in self._digests.values())
            refused = f"list_filter(refused, lambda code: split_part(code, ':', 1) NOT IN ({theirs}))"
        return f"""
            INSERT INTO staged
            WITH mapped AS ({mapped}),
            identified AS ({self._profile.select(identifiers, "mapped", single=single)}),
            judged AS (SELECT *, {self._reason()} AS reason FROM identified),
            packed AS (
                SELECT *, CASE WHEN reason IS NULL THEN {pack_sql(self._packed, self._hashed)} END AS packed FROM judged
            ),
            printed AS (
                SELECT {key} AS member_key,
                       CASE WHEN reason IS NULL AND {_IS_PSEUDONYM} THEN user_id END AS user_id,
                       reason,
                       list_concat(faults, {refused}) AS refused,
                       unhex(sha256(packed)[1:{_KEY_DIGITS}]) AS fingerprint,
                       CASE WHEN reason IS NULL THEN {self._handles()} END AS handles,
                       packed
                FROM packed
            )
            SELECT printed.* REPLACE (CASE WHEN known.member_key IS NULL THEN packed END AS packed)
            FROM printed LEFT JOIN known USING (member_key, fingerprint)"""

    def _reason(self) -> str:
        """SQL: the one reason why a person is not desired, or NULL."""
        cases = ["WHEN dropped IS NOT NULL THEN dropped", f"WHEN NOT is_member THEN '{LEFT}'"]
        for number, purpose in enumerate(self._mapper.purposes):
            cases.append(f"WHEN NOT consent_{number} THEN 'no_consent:{purpose}'")
        if self._has_suppression:
            cases.append(f"WHEN {self._is_suppressed()} THEN '{SUPPRESSED}'")
        fields = ", ".join(f"'{field}'" for field in self._identifying)
        refusals = f"list_filter(refused, lambda code: split_part(code, ':', 1) IN ({fields}))"
        none = " AND ".join(f"len({column}) = 0" for column in self._present(self._identifying)) or "true"
        # Who clicked is known to the platform by that.
        none += " AND NOT clicked" if self._mapper.is_events else ""
        cases.append(f"WHEN {none} THEN 'unidentifiable:' || coalesce({refusals}[1], 'nothing_given')")
        return f"CASE {' '.join(cases)} END"

    def _handles(self) -> str:
        """SQL: short hashes of the identifiers that two members may share."""
        lists = [
            f"list_transform({column}, lambda value: hash({self._bytes(column, 'value')}))"
            for column in self._present(IDENTIFYING)
        ]
        return f"flatten([{', '.join(lists)}])" if lists else "[]::UBIGINT[]"

    def _is_suppressed(self) -> str:
        kinds = self._profile.outputs([*self._mapper.columns, *self._digests.values()])
        digests = [column for column in (*HASHED, *self._digests.values()) if kinds.get(column) == "BLOB[]"]
        cases = [f"list_has_any({column}, (SELECT list(digest) FROM suppression))" for column in digests]
        if self._names_users:
            cases.append(f"coalesce({self._member_key('user_id')} IN (FROM suppressed_user), false)")
        return " OR ".join(cases) or "false"

    def _member_key(self, column: str) -> str:
        """SQL: the key of a member by the user id in a column, as `suppression.member_key` computes it."""
        return f"unhex(sha256('{self._key}' || {column})[1:{_KEY_DIGITS}])"

    def _present(self, columns: Iterable[str]) -> list[str]:
        return [column for column in columns if column in self.columns]

    def _bytes(self, column: str, value: str) -> str:
        return value if column in self._hashed else f"encode({value})"

    def _load_known(self) -> None:
        for chunk in self._known:
            self._insert("known", member_key=[key for key, _ in chunk], fingerprint=[print_ for _, print_ in chunk])

    def _insert(self, table: str, **columns: list[bytes]) -> None:
        import pyarrow as pa

        chunk = pa.table({name: pa.array(values, pa.binary()) for name, values in columns.items()})
        self.connection.register("chunk", chunk)
        self.connection.execute(f"INSERT INTO {table} SELECT * FROM chunk").complete()
        self.connection.unregister("chunk")

    def _drop_duplicates(self) -> None:
        """Keep one record of a member: one that forbids sending before one that can be sent before others.

        Among equals a fingerprint decides, since the next extract may come in another order.
        """
        counted = "SELECT count(*), count(DISTINCT member_key) FROM staged WHERE member_key IS NOT NULL"
        [(records, members)] = self.connection.execute(counted).fetchall()
        if records == members:
            return
        forbids = f"reason IS NOT NULL AND (reason = '{SUPPRESSED}' OR starts_with(reason, 'no_consent'))"
        self.connection.execute(
            f"""UPDATE staged SET reason = '{DUPLICATE}' FROM (
                  SELECT rowid AS record, row_number() OVER (
                    PARTITION BY member_key ORDER BY {forbids} DESC, reason IS NULL DESC, fingerprint, rowid) AS turn
                  FROM staged WHERE member_key IS NOT NULL) AS ranked
                WHERE staged.rowid = record AND turn > 1"""
        ).complete()


def count_funnel(counts: dict[str, int], refused: dict[str, int]) -> Funnel:
    """The funnel up to `identifiable` from the number of people per reason ('' for those without one)."""

    def lost(*reasons: str) -> int:
        return sum(count for reason, count in counts.items() if reason.partition(":")[0] in reasons)

    funnel = Funnel(in_segment=sum(counts.values()), fields_rejected=refused)
    funnel.mapped = funnel.in_segment - lost("no_user_id", "incomplete", DUPLICATE)
    funnel.valid = funnel.mapped - lost("invalid", "too_old")
    funnel.consented = funnel.valid - lost("no_consent")
    funnel.not_suppressed = funnel.consented - lost(SUPPRESSED)
    funnel.identifiable = funnel.not_suppressed - lost("unidentifiable")
    funnel.dropped = {reason: count for reason, count in sorted(counts.items()) if reason}
    return funnel
