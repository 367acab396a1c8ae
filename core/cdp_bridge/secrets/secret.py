"""A credential that cannot be printed by accident."""

from __future__ import annotations

from cdp_bridge import redact


class Secret:
    """A credential that no format, join or serialiser can print; only `reveal` gives the value.

    Deliberately not a `str`: a subclass would leak through `json.dumps` and `"".join`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        redact.learn(value)

    def reveal(self) -> str:
        """The value, for the one line that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__
