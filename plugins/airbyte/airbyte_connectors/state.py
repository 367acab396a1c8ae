"""Converts the STATE of a source to a checkpoint, and back to its state file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airbyte_connectors.messages import Json

_NO_CURSOR = "__ab_no_cursor_state_message"


def kept(state: Json) -> Json | None:
    """What a later read needs of a STATE (for one stream, for all together, or legacy); None if it leads nowhere."""
    saved = {name: state[name] for name in ("type", "stream", "global", "data") if state.get(name)}
    match saved:
        case {"type": "STREAM", "stream": {"stream_state": {**value}}}:
            return saved if value and _NO_CURSOR not in value else None
        case {"type": "GLOBAL", "global": {**value}}:
            return saved if value else None
        case {"data": {**value}}:
            return {"type": "LEGACY", "data": value}
    return None


def given(saved: Mapping[str, Any]) -> Any:
    """The content of the state file: a list of states, of the legacy kind the bare state."""
    return saved["data"] if saved["type"] == "LEGACY" else [saved]
