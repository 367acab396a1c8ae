"""An exception as one sentence that a person may see: no trace, no value, no secret."""

from __future__ import annotations

import traceback
from typing import Literal

from cdp_bridge.errors import BridgeError, ConfigError, Stopped, TransientError
from cdp_bridge.redact import redact
from cdp_bridge.settings import SettingsError

FailureType = Literal["config_error", "transient_error", "system_error"]


def failure_type(error: BaseException) -> FailureType:
    """Airbyte's name for who can do something about the error: the user, time, or the maintainers."""
    if isinstance(error, ConfigError):
        return "config_error"
    return "transient_error" if isinstance(error, TransientError | Stopped) else "system_error"


def sentence(error: BaseException) -> str:
    """What to tell a person: of an exception that is not ours only type and place, since its text may quote values."""
    if isinstance(error, SettingsError):
        return "\n".join(map(sentence, error.errors))
    if isinstance(error, ConfigError):
        # Part by part: "token: is missing" as a whole looks like a token with its value.
        return str(ConfigError(redact(error.problem), place=redact(error.place), remedy=redact(error.remedy)))
    if isinstance(error, BridgeError):
        return redact(str(error))
    if isinstance(error, Stopped):
        return "the run was stopped before it was complete"
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"bug: {type(error).__name__} at {place}, please report"
