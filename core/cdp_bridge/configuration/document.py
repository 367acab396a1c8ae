"""A YAML file as plain values that remember where they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from cdp_bridge.errors import ConfigError
from cdp_bridge.files import decode_text

MAX_FILE_BYTES = 5_000_000
"""Bytes."""
MAX_VALUES = 100_000
"""With aliases expanded: a few lines of them can stand for millions of values."""


class Document(Struct):
    """The value of a file; `places` has line and column (from 1) of each dotted path: of its key, or list entry."""

    file: Path
    value: Any
    places: dict[str, tuple[int, int]]

    def place(self, path: str) -> str:
        """`file:line:column (path)`; of a path that is not there, the place of the nearest thing around it."""
        around = path
        while around not in self.places:
            around = around.rpartition(".")[0]
        line, column = self.places[around]
        return f"{self.file.name}:{line}:{column}" + (f" ({path})" if path else "")

    def relocate(self, error: ConfigError) -> ConfigError:
        """The error with its dotted path replaced by its place in the file."""
        path = "" if error.place == "settings" else error.place
        return ConfigError(error.problem, place=self.place(path), remedy=error.remedy)


def read(file: Path) -> Document:
    """Read a file; ConfigError with line and column when it is not plain YAML with every key once."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot be read ({error.strerror})", place=str(file), remedy="Name a readable file"
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"is larger than {MAX_FILE_BYTES:,} bytes", place=str(file), remedy="Split it")
    text = decode_text(data, str(file))
    try:
        return _Builder(file).build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file.name}:{mark.line + 1}:{mark.column + 1}" if mark else file.name
        raise ConfigError(error.problem or "is not YAML", place=place, remedy="Correct the YAML there") from None
    except yaml.YAMLError:
        raise ConfigError("holds a character that YAML forbids", place=file.name, remedy="Take it out") from None
    except RecursionError:
        raise ConfigError("is nested too deeply", place=file.name, remedy="Nest less") from None


class _Loader(yaml.SafeLoader):
    """Safe YAML whose plain words mean what they mean in JSON: `no` and `12:30` and `2024-05-01` stay text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("float", r"-?[0-9]+(\.[0-9]+([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)", "-0123456789"),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("null", r"null|~|", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


class _Builder:
    def __init__(self, file: Path) -> None:
        self.document = Document(file, None, {"": (1, 1)})
        self.left = MAX_VALUES

    def build(self, text: str) -> Document:
        self.loader = _Loader(text)
        node = self.loader.get_single_node()
        if node is not None:
            self.document.value = self.value(node, "")
        return self.document

    def value(self, node: yaml.Node, path: str) -> Any:
        self.left -= 1
        if self.left < 0:
            raise _fault(node, f"holds more than {MAX_VALUES:,} values")
        self.document.places[path] = _place(node)
        inside = f"{path}." if path else ""
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, inside)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(part, f"{inside}{number}") for number, part in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)
        except ValueError:
            # Python reads no integer of thousands of digits.
            raise _fault(node, "is a number of too many digits") from None

    def mapping(self, node: yaml.MappingNode, inside: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, part in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _fault(key, "a key must be plain text")
            if key.value in values:
                raise _fault(key, f"the key {key.value} stands here a second time")
            values[key.value] = self.value(part, f"{inside}{key.value}")
            self.document.places[f"{inside}{key.value}"] = _place(key)
        return values


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _fault(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
