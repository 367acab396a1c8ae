"""The table of breaches: which connector breaks which rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from cdp_bridge.sdk import Connector
from msgspec import Struct

from hostile import LIMITS
from hostile.good import Good
from hostile.settings import Account
from hostile.source import GoodSource

G = TypeVar("G", bound=type[Good])


class Breach(Struct, frozen=True):
    """A connector that breaks the rule `must` and no other; `committed` are the settings of its earlier version."""

    must: int
    connector: Connector
    committed: type[Struct]


BREACHES: list[Breach] = []


def breaks(must: int, *, committed: type[Struct] | None = None, **changes: Any) -> Callable[[G], G]:
    """Enter a class as the code of a connector that breaks a rule; `changes` are other fields of the Connector."""

    def enter(code: G) -> G:
        kind: Literal["source", "destination"] = "source" if issubclass(code, GoodSource) else "destination"
        words = re.sub("(?<!^)(?=[A-Z])", "-", code.__name__).lower()
        fields = {"settings": Account, "limits": LIMITS, **changes}
        connector = Connector(name=f"{kind}-{words}", kind=kind, load=f"{code.__module__}:{code.__name__}", **fields)
        BREACHES.append(Breach(must, connector, committed or connector.settings))
        return code

    return enter
