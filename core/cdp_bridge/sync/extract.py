"""One extract of a run: what the source is asked for, the stage that takes it, and the cursor that it goes on from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from cdp_bridge.identity import load_profile
from cdp_bridge.model import AudienceRef, ReadRequest
from cdp_bridge.staging.stage import Stage
from cdp_bridge.staging.suppression import refresh
from cdp_bridge.sync.context import RunContext
from cdp_bridge.sync.session import connected

if TYPE_CHECKING:
    import duckdb


class Extract(Struct, frozen=True, kw_only=True):
    """What one run reads and stages.

    `digest` is of all that decides who is desired besides the CDP's records. Of members `unsettled` a delivery is open:
    settling changes their ledger rows, so the stage knows nothing of these.
    """

    request: ReadRequest
    stage: Stage
    digest: str
    unsettled: frozenset[bytes]

    @property
    def is_whole(self) -> bool:
        """Whether everybody is read, and not only what has changed since an earlier run."""
        return self.request.checkpoint is None

    def basis(self, ref: AudienceRef | None) -> str:
        """What a cursor rests on: a delta of the CDP's records means nothing once any of it has changed."""
        return _basis(self.digest, ref)


@contextmanager
def open_extract(run: RunContext) -> Iterator[Extract]:
    """An extract that is ready to be read; its engine ends with the block. ConfigError for a suppression list."""
    setup, store = run.setup, run.store
    refresh(store, setup.bridge.suppressions)
    digest = _digest(run)
    cursor = saved_cursor(run, digest) if setup.sync.incremental else None
    # Settling comes after the read: of a platform that is slow to answer, others who read the same must not wait.
    unsettled = frozenset(key for delivery in store.deliveries(run.name) for key, *_ in delivery.members)
    with connected() as connection:
        stage = _stage(run, connection)
        stage.load_known(store.ledger.fingerprints(run.name, _renewed_since(setup.target.expires)), without=unsettled)
        yield Extract(
            request=setup.request(cursor["state"] if cursor else None),
            stage=stage,
            digest=digest,
            unsettled=unsettled,
        )


def read(run: RunContext, extract: Extract) -> Mapping[str, Any] | None:
    """Stage everything, and count the funnel; the state of the source's last checkpoint, if it keeps any.

    ConfigError if everybody was read and no record has a field that the mapping or the consent names; among a few
    records that have changed, one may well be missing.
    """
    state = run.setup.ticket.read(extract.request, extract.stage, run.progress)
    run.log.funnel = extract.stage.finish()
    if extract.is_whole:
        extract.stage.check_fields(f"connections.{run.setup.connection.name}.{run.setup.stream}")
    return state


def saved_cursor(run: RunContext, digest: str) -> dict[str, Any] | None:
    """What an earlier run left, if it still means something."""
    cursor = run.store.cursor(run.name, run.setup.stream, run.setup.segment)
    basis = _basis(digest, run.store.audience_ref(run.name))
    return cursor if cursor and cursor["basis"] == basis else None


def digest_of(*parts: object) -> str:
    """A digest that changes with any of these."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def _stage(run: RunContext, connection: duckdb.DuckDBPyConnection) -> Stage:
    setup, store = run.setup, run.store
    stage = Stage(
        connection,
        setup.mapper,
        setup.profile,
        setup.fields,
        key=store.key("member"),
        matching_keys=setup.target.columns,
    )
    stage.suppress(store.suppressed())
    return stage


def _digest(run: RunContext) -> str:
    setup = run.setup
    # A sum, since the entries come in no order.
    suppressed = sum(int.from_bytes(digest) for chunk in run.store.suppressed() for _, digest in chunk)
    return digest_of(
        setup.bridge.mappings[setup.sync.mapping],
        setup.sync.consent,
        load_profile(setup.profile).version,
        (setup.connection.cdp_provider, setup.connection.api_credentials),
        str(suppressed),
    )


def _basis(digest: str, ref: AudienceRef | None) -> str:
    return f"{digest}:{ref.id if ref else ''}"


def _renewed_since(expires: float | None) -> datetime | None:
    """Whom the platform was sent before that, it is sent again, long before it forgets them; None: it does not."""
    return datetime.now(UTC) - timedelta(seconds=expires / 2) if expires else None
