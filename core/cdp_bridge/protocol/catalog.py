"""The files of the Airbyte protocol that we read: config, configured catalog and state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct, field

from cdp_bridge.errors import ConfigError
from cdp_bridge.files import decode_text

T = TypeVar("T")
NO_CURSOR = {"__ab_no_cursor_state_message": True}
"""What Airbyte's own CDK puts into the state of a stream that cannot be continued."""


class StreamName(Struct, frozen=True):
    """A stream's name and, where a platform groups streams, its namespace."""

    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}" if self.namespace else self.name


class ConfiguredStream(Struct, frozen=True, kw_only=True):
    """A stream that the user chose, and how."""

    stream: StreamName
    sync_mode: Literal["full_refresh", "incremental"] = "full_refresh"
    destination_sync_mode: str = "append"
    destination_object_name: str | None = None
    primary_key: tuple[tuple[str, ...], ...] | None = None


class ConfiguredCatalog(Struct, frozen=True):
    """The streams that the user chose."""

    streams: tuple[ConfiguredStream, ...]


class StreamState(Struct, frozen=True):
    """How far one stream was read."""

    stream_descriptor: StreamName
    stream_state: dict[str, Any] | None = None


class GlobalState(Struct, frozen=True):
    """How far all streams together were read."""

    stream_states: tuple[StreamState, ...] = ()


class SavedState(Struct, frozen=True):
    """One entry of a state file."""

    type: str = "STREAM"
    stream: StreamState | None = None
    whole: GlobalState | None = field(name="global", default=None)


SavedStates: Any = tuple[SavedState, ...] | dict[str, Any]


def config(path: str) -> dict[str, Any]:
    """The raw settings in a config file."""
    return _decode(path, "config", dict[str, Any])


def configured_catalog(path: str) -> ConfiguredCatalog:
    """The configured catalog in a file; ConfigError when it names a stream twice."""
    catalog = _decode(path, "catalog", ConfiguredCatalog)
    names = [chosen.stream for chosen in catalog.streams]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"the stream {twice} is there twice", place=path, remedy="Keep one entry a stream")
    return catalog


def states(path: str | None) -> Mapping[str, dict[str, Any]]:
    """The state of each stream that can be continued, by stream name."""
    if path is None:
        return {}
    saved = _decode(path, "state", SavedStates)
    if isinstance(saved, dict):
        if saved:
            raise ConfigError("is not a list of states", place=path, remedy="Give the STATE messages of the last read")
        return {}
    parts = [part for entry in saved for part in (entry.stream, *(entry.whole.stream_states if entry.whole else ()))]
    return {
        part.stream_descriptor.name: part.stream_state
        for part in parts
        if part and part.stream_state and part.stream_state != NO_CURSOR
    }


def _decode(path: str, name: str, kind: type[T]) -> T:
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            f"the {name} cannot be read: {reason}", place=path, remedy=f"Give a readable {name} file"
        ) from None
    try:
        return msgspec.json.decode(decode_text(raw), type=kind)
    except ConfigError as error:
        raise ConfigError(f"the {name} {error.problem}", place=path, remedy=error.remedy) from None
    except msgspec.ValidationError as error:
        # The message names the place and the expected type; only an enum's quotes the value, and none here is personal.
        raise ConfigError(f"is not a {name}: {error}", place=path, remedy="See the Airbyte protocol") from None
    except (msgspec.DecodeError, RecursionError):
        raise ConfigError(f"the {name} is not JSON in UTF-8", place=path, remedy=f"Give a {name} in JSON") from None
