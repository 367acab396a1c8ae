"""What an account says of itself, asked through its connector without a run: probes, streams, some records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from .. import settings
from ..errors import BridgeError, ConfigError
from ..loading import sound
from ..mapping import record_batch
from ..model import Catalog, Connector, Page, Probe, ReadRequest
from ..redact import redact
from ..registry import Registry
from ..settings import Resolve
from .blame import blame
from .items import items_of


class Account(Struct, frozen=True):
    """An account whose connector has said what it offers."""

    connector: Connector
    code: Any
    settings: Any
    catalog: Catalog

    def records(self, request: ReadRequest, most: int) -> list[Mapping[str, Any]]:
        """The first records of a stream."""
        return list(islice(self._records(request), most))

    def _records(self, request: ReadRequest) -> Iterator[Mapping[str, Any]]:
        for item in items_of(self.code, self.connector, self.settings, request):
            if isinstance(item, Page) and item.stream == request.stream:
                yield from record_batch(item.records).to_pylist()


def check(registry: Registry, connector: Connector, raw: dict[str, Any], resolve: Resolve) -> list[Probe]:
    """The connector's probes; settings that are wrong are one failed probe each."""
    try:
        loaded = settings.load(connector.settings, raw, resolve)
        with blame(connector):
            found = sound(list[Probe], registry.load(connector).check(loaded))
    except settings.SettingsError as error:
        found = [Probe("settings", False, f"{one.place}: {one.problem}", one.remedy) for one in error.errors]
    except ConfigError as error:
        found = [Probe("settings", False, f"{error.place}: {error.problem}".removeprefix(": "), error.remedy)]
    except BridgeError as error:
        found = [Probe("check", False, str(error))]
    return [replace(one, detail=redact(one.detail), remedy=redact(one.remedy)) for one in found]


def discover(registry: Registry, name: str, raw: dict[str, Any], resolve: Resolve) -> Account:
    """Ask a connector what it offers under these settings; ConfigError, TransientError and others as it raises them."""
    connector = registry.connector(name)
    loaded, code = settings.load(connector.settings, raw, resolve), registry.load(connector)
    with blame(connector):
        return Account(connector, code, loaded, sound(Catalog, code.discover(loaded)))
