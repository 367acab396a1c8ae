"""The good connectors with one misdeed in one call, as the settings say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from cdp_bridge.sdk import Audience, Batch, ConfigError, ReadRequest

from hostile.destination import GoodDestination, GoodWriter
from hostile.misdeeds import MISDEEDS
from hostile.settings import Call, Settings
from hostile.source import GoodSource


def _do(call: Call, settings: Settings, good: Callable[..., Any], *arguments: Any) -> Any:
    """The good call, or the misdeed in its place."""
    if not settings.misdeed or call != settings.at:
        return good(*arguments)
    if settings.misdeed not in MISDEEDS:
        raise ConfigError(f"no misdeed is called {settings.misdeed}", place="misdeed", remedy="Look into misdeeds.py")
    return MISDEEDS[settings.misdeed](good, *arguments)


class HostileSource:
    """A source that no core can trust."""

    @staticmethod
    def check(settings: Settings) -> Any:
        """See `Source.check`."""
        return _do("check", settings, GoodSource.check, settings)

    @staticmethod
    def discover(settings: Settings) -> Any:
        """See `Source.discover`."""
        return _do("discover", settings, GoodSource.discover, settings)

    @staticmethod
    def read(settings: Settings, request: ReadRequest) -> Any:
        """See `Source.read`."""
        return _do("read", settings, _items, settings, request)


def _items(settings: Settings, request: ReadRequest) -> Iterator[Any]:
    items = GoodSource.read(settings, request)
    yield next(items)
    for item in items:
        yield _do("item", settings, lambda given: given, item)


class HostileDestination:
    """A destination that no core can trust."""

    @staticmethod
    def check(settings: Settings) -> Any:
        """See `Destination.check`."""
        return _do("check", settings, GoodDestination.check, settings)

    @staticmethod
    def discover(settings: Settings) -> Any:
        """See `Destination.discover`."""
        return _do("discover", settings, GoodDestination.discover, settings)

    @staticmethod
    def open(settings: Settings) -> Any:
        """See `Destination.open`."""
        return _do("open", settings, _opened, settings)

    @staticmethod
    def preview(settings: Settings, batch: Batch) -> Any:
        """See `Destination`."""
        return _do("preview", settings, GoodDestination.preview, settings, batch)


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[HostileWriter]:
    with GoodDestination.open(settings) as writer:
        try:
            yield HostileWriter(settings, writer)
        finally:
            _do("close", settings, lambda: None)


class HostileWriter:
    """A writer that no core can trust."""

    def __init__(self, settings: Settings, good: GoodWriter) -> None:
        self._settings, self._good = settings, good

    def ensure(self, audience: Audience) -> Any:
        """See `Writer.ensure`."""
        return _do("ensure", self._settings, self._good.ensure, audience)

    def write(self, batch: Batch) -> Any:
        """See `Writer.write`."""
        return _do("write", self._settings, self._good.write, batch)

    def settle(self, audience: Any, pending: str) -> Any:
        """See `Writer.settle`."""
        return _do("settle", self._settings, self._good.settle, audience, pending)
