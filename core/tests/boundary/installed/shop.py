"""A source that yields the JSON lines of a script."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cdp_bridge.sdk import (
    Catalog,
    Checkpoint,
    ConfigError,
    Connector,
    Page,
    Probe,
    ReadRequest,
    Secret,
    Stream,
    TransientError,
    hookimpl,
    option,
)
from msgspec import Struct


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    script: Annotated[str, option("Script", "A file of JSON lines")] = ""
    token: Annotated[Secret | None, option("Token")] = None
    healthy: Annotated[bool, option("Healthy")] = True


CONNECTOR = Connector(
    name="source-shop", kind="source", settings=Settings, load="shop", documentation="https://example.com/shop"
)
SCHEMA = {"type": "object", "properties": {"user_id": {"type": "string"}}}
ODD = {"huge": 2**200, "lone": "\ud800", "object": object, "nan": float("nan"), "set": {1}}


@hookimpl
def bridge_connectors() -> list[Connector]:
    return [CONNECTOR]


def main() -> None:
    from cdp_bridge.sdk import run

    run(CONNECTOR)


def check(settings: Settings) -> list[Probe]:
    return [
        Probe("script", Path(settings.script).exists(), "looked for it", "Write it"),
        Probe("health", settings.healthy, "felt ill", "Rest"),
    ]


def discover(settings: Settings) -> Catalog:
    members = Stream(name="members", schema=SCHEMA, primary_key=("user_id",), cursor_field="at", membership=True)
    return Catalog((members, Stream(name="snapshot")))


def estimate(settings: Settings, request: ReadRequest) -> int | None:
    return 1_000 if request.stream == "members" else None


def read(settings: Settings, request: ReadRequest) -> Iterator[Page | Checkpoint]:
    print("a connector that prints by itself")
    if request.stream not in ("members", "snapshot"):
        raise ConfigError("there is no such stream", place=request.stream)
    if request.checkpoint:
        yield Page(request.stream, [{"continued_from": request.checkpoint}])
    for line in Path(settings.script).read_text().splitlines():
        yield from perform(request.stream, json.loads(line))


def perform(stream: str, step: dict[str, Any]) -> Iterator[Page | Checkpoint]:
    import pyarrow as pa

    match step:
        case {"rows": rows}:
            yield Page(stream, rows)
        case {"arrow": rows}:
            yield Page(stream, pa.RecordBatch.from_pylist(rows))
        case {"checkpoint": state}:
            yield Checkpoint(stream, state)
        case {"odd": True}:
            yield Page(stream, [ODD])
        case {"endless": row}:
            while True:
                yield Page(stream, [row] * 100)
        case {"config": text}:
            raise ConfigError(text, place="shop", remedy="Mend it")
        case {"transient": text}:
            raise TransientError(text)
        case {"bug": text}:
            raise ValueError(text)
