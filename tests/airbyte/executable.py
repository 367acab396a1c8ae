"""One of our executables as the connector object that airbyte-cdk's standard tests drive; runs in their environment.

What it prints reaches the tests as it is: every line through airbyte-cdk's own serializer, in its order.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, TraceType, Type
from airbyte_cdk.sources.message import InMemoryMessageRepository


class Executable:
    """Takes each command's files by the paths that airbyte-cdk gives, and answers with what the executable prints."""

    path: str
    check_config_against_spec = True

    def __init__(self) -> None:
        self.message_repository = InMemoryMessageRepository()

    def read_config(self, path: str) -> Any:
        self._config = path
        return json.loads(Path(path).read_text())

    def configure(self, config: Any, folder: str) -> Any:
        return config

    def read_catalog(self, path: str) -> str:
        return path

    def read_state(self, path: str | None) -> None:
        assert path is None

    def spec(self, logger: Any) -> Any:
        return self._answer(Type.SPEC, "spec").spec

    def check(self, logger: Any, config: Any) -> Any:
        return self._answer(Type.CONNECTION_STATUS, "check", "--config", self._config).connectionStatus

    def discover(self, logger: Any, config: Any) -> Any:
        return self._answer(Type.CATALOG, "discover", "--config", self._config).catalog

    def read(self, logger: Any, config: Any, catalog: str, state: None) -> Iterator[AirbyteMessage]:
        yield from self._messages("read", "--config", self._config, "--catalog", catalog)

    def _answer(self, kind: Type, *command: str) -> AirbyteMessage:
        """The one message of that kind; all others go the way of a source's log."""
        messages = self._messages(*command)
        for message in messages:
            if message.type != kind:
                self.message_repository.emit_message(message)
        (answer,) = [message for message in messages if message.type == kind]
        return answer

    def _messages(self, *command: str) -> list[AirbyteMessage]:
        done = subprocess.run([self.path, *command], capture_output=True, check=False)
        messages = [AirbyteMessageSerializer.load(json.loads(line)) for line in done.stdout.splitlines()]
        failed = any(message.trace and message.trace.type == TraceType.ERROR for message in messages)
        assert (done.returncode != 0, done.stderr) == (failed, b""), done.stderr.decode()
        return messages
