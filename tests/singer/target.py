"""A Singer target around the executable of one of our destinations; runs in singer-sdk's environment."""

# The SDK is in an environment of its own, which mypy does not see.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from singer_sdk import BatchSink, Target
from singer_sdk import typing as th


class Records(BatchSink):
    """Hands the records of one stream to its target."""

    def __init__(self, target: TargetBridge, *arguments: Any, **options: Any) -> None:
        super().__init__(target, *arguments, **options)
        self._target = target

    def process_batch(self, context: dict[str, Any]) -> None:
        self._target.waiting.append((self, context["records"]))


class TargetBridge(Target):
    """Delivers what all streams have collected by one run of the executable; only then singer-sdk lets a STATE go."""

    name = "target-cdp-bridge"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("executable", th.StringType, required=True),
        th.Property("settings", th.ObjectType(additional_properties=True), required=True),
    ).to_dict()
    default_sink_class = Records

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waiting: list[tuple[Records, list[dict[str, Any]]]] = []

    def _drain_all(self, sink_list: Iterable[Records], parallelism: int) -> None:
        super()._drain_all(sink_list, 1)
        if self.waiting:
            state = {"type": "LEGACY", "data": self._latest_state or {}}
            written = self._write([*self._records(), {"type": "STATE", "state": state}])
            told = [message["state"]["data"] for message in written if message["type"] == "STATE"]
            assert told == [state["data"]], written
        self.waiting.clear()

    def _records(self) -> Iterator[dict[str, Any]]:
        for sink, records in self.waiting:
            for data in records:
                record = {"stream": sink.stream_name, "data": data, "emitted_at": 0}
                yield {"type": "RECORD", "record": record}

    def _write(self, messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """What the executable says of these messages."""
        streams = {sink.stream_name: _configured(sink) for sink, _ in self.waiting}
        with tempfile.TemporaryDirectory() as folder:
            config, catalog = Path(folder, "config.json"), Path(folder, "catalog.json")
            config.write_text(json.dumps(self.config["settings"]))
            catalog.write_text(json.dumps({"streams": list(streams.values())}))
            command = [self.config["executable"], "write", "--config", config, "--catalog", catalog]
            lines = "".join(json.dumps(message, default=str) + "\n" for message in messages)
            done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stdout
        return [json.loads(line) for line in done.stdout.splitlines()]


def _configured(sink: Records) -> dict[str, Any]:
    stream = {"name": sink.stream_name, "json_schema": sink.schema, "supported_sync_modes": ["full_refresh"]}
    keys = [[key] for key in sink.key_properties]
    return {
        "stream": stream,
        "sync_mode": "full_refresh",
        "destination_sync_mode": "append_dedup" if keys else "append",
        "primary_key": keys,
    }


if __name__ == "__main__":
    TargetBridge.cli()
