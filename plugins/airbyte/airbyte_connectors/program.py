"""Runs the commands of the Airbyte connector that the settings name, with its config and secrets."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from cdp_bridge.sdk import ConfigError

from airbyte_connectors.folders import private_files
from airbyte_connectors.listening import messages
from airbyte_connectors.messages import Json, Message
from airbyte_connectors.process import lines
from airbyte_connectors.settings import DestinationSettings, Image, Manifest, SourceSettings

Settings = SourceSettings | DestinationSettings
_CONTAINER = (sys.executable, "-m", "cdp_bridge.protocol.container")
"""The program that runs an image like an executable."""


class Program:
    """Runs the connector anew for every command, as Airbyte does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        connector = settings.connector
        match connector:
            case Manifest():
                self._command, self.name = [connector.runner], Path(connector.path).name
            case Image():
                self._command, self.name = [*_CONTAINER, connector.image, *settings.hosts, "--"], connector.image
            case _:
                self._command, self.name = [connector.command, *connector.arguments], Path(connector.command).name

    def run(self, command: str, files: Mapping[str, Any], stdin: bytes | None = None) -> Generator[Message, None, None]:
        """Run a command and yield its messages; closed early, it ends the process.

        `files` are JSON values, each given as the option of its name; the config comes along unless the command is
        `spec`. Raises ConfigError or TransientError if it fails, also after the last message.
        """
        if command != "spec":
            files = {"config": self._config(), **files}
        contents = {name: msgspec.json.encode(value) for name, value in files.items()}
        with private_files(contents if stdin is None else {**contents, "stdin": stdin}) as paths:
            options = [word for name in contents for word in (f"--{name}", str(paths[name]))]
            printed = lines([*self._command, command, *options], paths.get("stdin"), self._settings.patience)
            with contextlib.closing(printed):
                yield from messages(self.name, printed)

    def ask(self, command: str) -> list[Message]:
        """All messages of a command."""
        return list(self.run(command, {}))

    def specification(self) -> Json:
        """The JSON schema of its config: from its `spec`, or its manifest."""
        spec = next((message.spec for message in self.ask("spec") if message.spec), None)
        if spec is None:
            remedy = "Name a program that speaks the Airbyte protocol"
            raise ConfigError("has no specification", place=self.name, remedy=remedy)
        if not isinstance(self._settings.connector, Manifest):
            return spec.connection_specification
        match _manifest(self._settings.connector.path):
            case {"spec": {"connection_specification": dict() as schema}}:
                return schema
        return {}

    def _config(self) -> Json:
        config = with_secrets(self._settings)
        if isinstance(self._settings.connector, Manifest):
            config["__injected_declarative_manifest"] = _manifest(self._settings.connector.path)
        return config


def with_secrets(settings: Settings) -> Json:
    """The config with every secret in its place; ConfigError if there is something else in the way."""
    config: Json = msgspec.json.decode(msgspec.json.encode(settings.config))
    for path, secret in settings.secrets.items():
        *groups, name = path.split(".")
        place = config
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                remedy = f"Make {group} of the config an object, or correct the path"
                raise ConfigError("leads through a value", place=f"secrets.{path}", remedy=remedy)
        if name in place:
            raise ConfigError("is in the config too", place=f"secrets.{path}", remedy="Take it out of the config")
        place[name] = secret.reveal()
    return config


def _manifest(path: str) -> Json:
    try:
        manifest = msgspec.to_builtins(yaml.safe_load(Path(path).read_text(encoding="utf-8-sig")), str_keys=True)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or type(error).__name__}"
        raise ConfigError(problem, place=path, remedy="Check the path of the manifest") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = f"line {mark.line + 1} is not YAML" if mark else "is not YAML in UTF-8 with text as keys"
        raise ConfigError(problem, place=path, remedy="Correct it") from None
    if not isinstance(manifest, dict) or manifest.get("type") != "DeclarativeSource":
        raise ConfigError("is not a manifest", place=path, remedy="It begins with version, and type: DeclarativeSource")
    return manifest
