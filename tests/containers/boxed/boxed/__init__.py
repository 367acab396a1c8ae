"""A source for the tests of containers: reads people over HTTP, and breaks out where it can."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, hookimpl, run
from msgspec import Struct


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Where the people are, what to break, and how many made-up people to read instead."""

    base_url: str = ""
    misdeed: str = ""
    rows: int = 0


CONNECTOR = Connector(
    name="source-boxed", kind="source", settings=Settings, load="boxed.source", hosts=("localhost:1",)
)
main = partial(run, CONNECTOR)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """This one."""
    return [CONNECTOR]
