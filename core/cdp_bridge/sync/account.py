"""What an account says of itself, asked through its connector without a run: probes, streams, some records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..errors import BridgeError, ConfigError
from ..loading import sound
from ..mapping import record_batch
from ..model import Catalog, Connector, Inventory, Launcher, Page, Probe, ReadRequest
from ..redact import redact
from ..registry import Registry
from ..settings import Resolve, SettingsError
from .blame import blame
from .items import items_of
from .side import Side, side


class Account(Struct, frozen=True):
    """An account whose connector has said what it offers."""

    side: Side
    catalog: Catalog

    def records(self, request: ReadRequest, most: int) -> list[Mapping[str, Any]]:
        """The first records of a stream."""
        return list(islice(self._records(request), most))

    def inventory(self) -> Inventory:
        """What the credentials reach at the platform; nothing if its connector does not say."""
        if not hasattr(self.side.code, "inventory"):
            return Inventory()
        with blame(self.side.connector):
            return sound(Inventory, self.side.code.inventory(self.side.settings))

    def _records(self, request: ReadRequest) -> Iterator[Mapping[str, Any]]:
        for item in items_of(self.side.code, self.side.connector, self.side.settings, request):
            if isinstance(item, Page) and item.stream == request.stream:
                yield from record_batch(item.records).to_pylist()


def check(
    registry: Registry, connector: Connector, raw: dict[str, Any], resolve: Resolve, launcher: Launcher | None = None
) -> list[Probe]:
    """The connector's probes, asked for where `side` says; settings that are wrong are one failed probe each."""
    try:
        with closing(side(registry, resolve, connector, raw, launcher)) as asked, blame(connector):
            found = sound(list[Probe], asked.code.check(asked.settings))
    except SettingsError as error:
        found = [Probe("settings", False, f"{one.place}: {one.problem}", one.remedy) for one in error.errors]
    except ConfigError as error:
        found = [Probe("settings", False, f"{error.place}: {error.problem}".removeprefix(": "), error.remedy)]
    except BridgeError as error:
        found = [Probe("check", False, str(error))]
    return [replace(one, detail=redact(one.detail), remedy=redact(one.remedy)) for one in found]


@contextmanager
def discovered(
    registry: Registry, connector: Connector, raw: dict[str, Any], resolve: Resolve, launcher: Launcher | None = None
) -> Iterator[Account]:
    """An account that can be asked for records until the end of the block.

    Raises ConfigError, TransientError and others as its connector raises them.
    """
    with closing(side(registry, resolve, connector, raw, launcher)) as asked:
        with blame(connector):
            catalog = sound(Catalog, asked.code.discover(asked.settings))
        yield Account(asked, catalog)
