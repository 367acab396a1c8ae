"""Desired membership against the ledger: who is to be added, changed, removed, or sent again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cdp_bridge.identity import IDENTIFYING
from cdp_bridge.staging.packing import Row, fingerprint, unpack

if TYPE_CHECKING:
    from cdp_bridge.staging.stage import Stage
    from cdp_bridge.store import Store

CHUNK = 20_000

_LEDGER = """
    CREATE TABLE ledger AS SELECT member_key, fingerprint, octet_length(fingerprint) = 0 AS stale FROM {known}"""
_TABLES = (
    "CREATE TABLE refused (member_key BLOB, fingerprint BLOB)",
    "CREATE TABLE in_flight (member_key BLOB)",
    "CREATE TABLE released (handle UBIGINT)",
    "CREATE TABLE unnamed (member_key BLOB, fingerprint BLOB, user_id VARCHAR, handles UBIGINT[], packed BLOB)",
)
_PRESENT = "CREATE VIEW present AS FROM {desired} UNION ALL BY NAME FROM unnamed"

# A member is changed when what would be sent differs; refreshed when only the platform's state is in doubt. What the
# platform refused is not sent again, but what it took before in its place has to go.
_TODO = """
    CREATE TABLE todo AS
    SELECT coalesce(d.member_key, l.member_key) AS member_key,
           CASE WHEN l.member_key IS NULL THEN 'add' WHEN d.member_key IS NULL THEN 'remove'
                WHEN d.fingerprint <> l.fingerprint THEN 'change' WHEN l.stale THEN 'refresh' END AS action
    FROM present d FULL JOIN ledger l ON d.member_key = l.member_key
    WHERE action IS NOT NULL AND NOT (action IN ('add', 'refresh') AND EXISTS (
        SELECT 1 FROM refused r WHERE r.member_key = d.member_key AND r.fingerprint = d.fingerprint))"""
_ONCE = """
    DELETE FROM todo WHERE action = 'remove' OR (action = 'change'
    AND member_key IN (SELECT member_key FROM ledger WHERE NOT stale))"""
_UNNAMED = """
    INSERT INTO unnamed
    SELECT member_key, fingerprint, user_id, list_transform(identifying, lambda value: hash(value)), packed FROM chunk
    WHERE member_key NOT IN {named}"""
_SHARING = """
    INSERT INTO todo
    SELECT DISTINCT member_key, 'share' FROM (SELECT member_key, unnest(handles) AS handle FROM present)
    WHERE handle IN (SELECT handle FROM released) AND member_key IN (SELECT member_key FROM ledger)
    AND member_key NOT IN (SELECT member_key FROM todo)"""


class Difference(Struct, frozen=True):
    """How many members each action concerns; `suppressed` of the removes are people who must not be sent any more.

    `waiting` members have changed while the platform has not said what became of an earlier delivery of theirs.
    """

    in_ledger: int
    unchanged: int
    adds: int
    changes: int
    removes: int
    refreshes: int
    suppressed: int
    waiting: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send."""
        return self.leaving + self.arriving == 0

    @property
    def leaving(self) -> int:
        """Members whose old identifiers go."""
        return self.removes + self.changes

    @property
    def arriving(self) -> int:
        """Members who are sent, not counting those who only share an identifier with somebody who goes."""
        return self.adds + self.changes + self.refreshes

    @property
    def removal_share(self) -> float:
        """The share of the audience that would go without anybody being suppressed, 0..1."""
        return (self.removes - self.suppressed) / self.in_ledger if self.in_ledger else 0.0


class Diff:
    """Compares a finished stage with the ledger; the result is a table of its own, `todo`."""

    def __init__(self, stage: Stage, store: Store, audience: str) -> None:
        self._stage, self._store, self._audience = stage, store, audience
        self._connection = stage.connection

    def compare(
        self,
        *,
        whole: bool,
        unsettled: Collection[bytes] = (),
        in_flight: Collection[bytes] = (),
        once: bool = False,
    ) -> Difference:
        """Fill `todo`, once; `whole` says that the extract holds everybody, so that whoever is absent has left.

        Of members `unsettled` the stage knows nothing, so the ledger is read now. Members `in_flight` are left
        alone until the platform has settled what it was sent of them: an answer that comes later than a newer change
        would overwrite it. With `once`, as of conversions, only what is new or in doubt is sent.
        """
        self._connection.execute(_LEDGER.format(known=self._stage.known)).complete()
        self._stage.drop_known()
        for statement in (*_TABLES, _PRESENT.format(desired=self._stage.desired)):
            self._connection.execute(statement).complete()
        self._load_unsettled(unsettled)
        self._recompute_unknown()
        refused = self._store.dead_letters.fingerprints(self._audience)
        self._insert("refused", member_key=list(refused), fingerprint=list(refused.values()))
        if not whole:
            self._keep_unnamed()
        self._connection.execute(_TODO).complete()
        if once:
            self._connection.execute(_ONCE).complete()
        self._insert("in_flight", member_key=list(in_flight))
        waiting = self._number("SELECT count(*) FROM todo WHERE member_key IN (FROM in_flight)")
        self._connection.execute("DELETE FROM todo WHERE member_key IN (FROM in_flight)").complete()
        return self._difference(waiting)

    def refused(self) -> int:
        """How many of the extract the platform has refused before, as they are now."""
        return self._number(f"SELECT count(*) FROM {self._stage.desired} JOIN refused USING (member_key, fingerprint)")

    def hold_removes(self) -> int:
        """Keep whoever would be removed until somebody approves; returns how many.

        Never kept are suppressed people, by the extract or by the identifiers that the platform has of them.
        """
        self._connection.execute(
            f"CREATE OR REPLACE TABLE opted_out AS FROM {self._stage.suppressed_members}"
        ).complete()
        for rows in self.leaving():
            pairs = [(key, value) for key, *_, packed in rows for value in _identifying(packed)]
            self._register("chunk", member_key=[key for key, _ in pairs], digest=[value for _, value in pairs])
            self._connection.execute(
                f"INSERT INTO opted_out SELECT member_key FROM chunk WHERE digest IN {self._stage.suppressed_digests}"
            ).complete()
        held = "action = 'remove' AND member_key NOT IN (SELECT member_key FROM opted_out)"
        count = self._number(f"SELECT count(*) FROM todo WHERE {held}")
        self._connection.execute(f"DELETE FROM todo WHERE {held}").complete()
        return count

    def leaving(self, rows: int = CHUNK) -> Iterator[list[Row]]:
        """Ledger rows whose acknowledged identifiers must go, in key order, `rows` at a time."""
        for keys in self._keys("remove", "change", rows=rows):
            yield sorted(
                (row.member_key, row.fingerprint, row.user_id, row.identifiers)
                for row in self._store.ledger.rows(self._audience, keys)
            )

    def arriving(self, rows: int, without: set[bytes]) -> Iterator[list[Row]]:
        """Desired rows to be sent, in key order, `rows` at a time; not those `without`, whose old identifiers could not
        be removed.
        """
        query = """SELECT member_key, fingerprint, user_id, packed FROM present JOIN todo USING (member_key)
                   WHERE action <> 'remove' ORDER BY member_key"""
        for batch in self._connection.cursor().sql(query).to_arrow_reader(rows):
            selected = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            yield self._filled([row for row in selected if row[0] not in without])

    def packed_bytes(self) -> float:
        """The mean size of one desired member's packed identifiers; 0 when there is none."""
        return self._number("SELECT coalesce(avg(octet_length(packed)), 0)::INT FROM present")

    def share_identifiers(self) -> list[bytes]:
        """Members who stay but share an identifier with somebody who goes: the platform drops them too, so they are
        sent again.
        """
        for rows in self.leaving():
            handles = (value for *_, packed in rows for value in _identifying(packed))
            while chunk := list(islice(handles, CHUNK)):
                self._register("chunk", value=chunk)
                self._connection.execute("INSERT INTO released SELECT hash(value) FROM chunk").complete()
        self._connection.execute(_SHARING).complete()
        return [key for keys in self._keys("share") for key in keys]

    def sharing(self, leaving: Collection[bytes]) -> set[bytes]:
        """Who is to be sent and shares an identifier with one of these, as the ledger has them."""
        rows = self._store.ledger.rows(self._audience, list(leaving)) if leaving else []
        self._register("chunk", value=[value for row in rows for value in _identifying(row.identifiers)])
        sharing = self._connection.execute(
            """SELECT member_key FROM (SELECT member_key, unnest(handles) AS handle FROM present) JOIN todo
               USING (member_key) WHERE action <> 'remove' AND handle IN (SELECT hash(value) FROM chunk)"""
        ).fetchall()
        return {key for (key,) in sharing}

    def _filled(self, rows: list[Any]) -> list[Row]:
        """Rows whose packed identifiers the stage left out, since the ledger has the same."""
        missing = [row[0] for row in rows if row[3] is None]
        if not missing:
            return rows
        known = {row.member_key: row.identifiers for row in self._store.ledger.rows(self._audience, missing)}
        return [(*row[:3], known[row[0]] if row[3] is None else row[3]) for row in rows]

    def _load_unsettled(self, members: Collection[bytes]) -> None:
        """Take the rows of some members into the table `ledger`."""
        keys = iter(members)
        while chunk := list(islice(keys, CHUNK)):
            rows = self._store.ledger.rows(self._audience, chunk)
            self._insert(
                "ledger",
                member_key=[row.member_key for row in rows],
                fingerprint=[row.fingerprint for row in rows],
                stale=[not row.fingerprint for row in rows],
            )

    def _keep_unnamed(self) -> None:
        """Whom a delta does not name stays in as the ledger has them."""
        for members in self._store.ledger.members(self._audience):
            self._register(
                "chunk",
                member_key=[row.member_key for row in members],
                fingerprint=[row.fingerprint or fingerprint(row.identifiers) for row in members],
                user_id=[row.user_id for row in members],
                identifying=[list(_identifying(row.identifiers)) for row in members],
                packed=[row.identifiers for row in members],
            )
            self._connection.execute(_UNNAMED.format(named=self._stage.named)).complete()

    def _recompute_unknown(self) -> None:
        """Give doubtful rows the fingerprint of what was sent last, so that a change since then is seen."""
        keys = [key for (key,) in self._connection.execute("SELECT member_key FROM ledger WHERE stale").fetchall()]
        rows = self._store.ledger.rows(self._audience, keys) if keys else []
        if rows:
            self._register(
                "chunk",
                member_key=[row.member_key for row in rows],
                fingerprint=[fingerprint(row.identifiers) for row in rows],
            )
            self._connection.execute(
                """UPDATE ledger SET fingerprint = chunk.fingerprint FROM chunk
                   WHERE ledger.member_key = chunk.member_key"""
            ).complete()

    def _difference(self, waiting: int) -> Difference:
        actions = dict(self._connection.execute("SELECT action, count(*) FROM todo GROUP BY 1").fetchall())
        in_ledger = self._number("SELECT count(*) FROM ledger")
        suppressed = self._number(
            f"""SELECT count(*) FROM todo JOIN {self._stage.suppressed_members} USING (member_key)
                WHERE action = 'remove'"""
        )
        changes, removes, refreshes = (actions.get(action, 0) for action in ("change", "remove", "refresh"))
        return Difference(
            in_ledger=in_ledger,
            unchanged=in_ledger - changes - removes - refreshes,
            adds=actions.get("add", 0),
            changes=changes,
            removes=removes,
            refreshes=refreshes,
            suppressed=suppressed,
            waiting=waiting,
        )

    def _keys(self, *actions: str, rows: int = CHUNK) -> Iterator[list[bytes]]:
        wanted = ", ".join(f"'{action}'" for action in actions)
        cursor = self._connection.cursor()
        reader = cursor.sql(
            f"SELECT member_key FROM todo WHERE action IN ({wanted}) ORDER BY member_key"
        ).to_arrow_reader(rows)
        for batch in reader:
            yield batch.column(0).to_pylist()

    def _insert(self, table: str, **columns: Sequence[Any]) -> None:
        self._register("chunk", **columns)
        self._connection.execute(f"INSERT INTO {table} SELECT * FROM chunk").complete()

    def _register(self, name: str, **columns: Sequence[Any]) -> None:
        import pyarrow as pa

        kinds = {"stale": pa.bool_(), "user_id": pa.string(), "identifying": pa.list_(pa.binary())}
        self._connection.register(
            name,
            pa.table({column: pa.array(values, kinds.get(column, pa.binary())) for column, values in columns.items()}),
        )

    def _number(self, query: str) -> int:
        [(number,)] = self._connection.execute(query).fetchall()
        return int(number)


def _identifying(packed: bytes) -> Iterable[bytes]:
    identifiers = unpack(packed)
    for column in IDENTIFYING:
        for value in identifiers.get(column, ()):
            yield value.encode() if isinstance(value, str) else value
