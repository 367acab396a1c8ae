"""A destination that builds what `destination-meta` would send and drops it: what is left is the engine's own cost."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cdp_bridge.sdk import Audience, AudienceRef, Batch, Catalog, Connector, Outcome, Probe, Stream, hookimpl
from destination_meta import CONNECTOR as META
from destination_meta.members import upload
from msgspec import Struct


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """None: `BENCH_KEEP` in the environment names a file that gets every payload, one a line, to compare them."""


CONNECTOR = Connector(name="null", kind="destination", settings=Settings, load=__name__, limits=META.limits)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    return (CONNECTOR,)


def check(settings: Settings) -> list[Probe]:
    return []


def discover(settings: Settings) -> Catalog:
    return Catalog((Stream(name="audience", profile="meta", operations=("add", "remove")),))


@contextlib.contextmanager
def open(settings: Settings) -> Iterator[NullWriter]:
    keep = os.environ.get("BENCH_KEEP")
    yield NullWriter(Path(keep) if keep else None)


class NullWriter:
    """Accepts every member."""

    def __init__(self, keep: Path | None) -> None:
        self._keep = keep

    def ensure(self, audience: Audience) -> AudienceRef:
        return AudienceRef(id="1", account="null")

    def write(self, batch: Batch) -> Outcome:
        payload = upload(batch).payload
        if self._keep:
            with self._keep.open("ab") as kept:
                kept.write(payload + b"\n")
        return Outcome()

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        return Outcome()
