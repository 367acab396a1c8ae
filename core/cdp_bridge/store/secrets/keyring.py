"""The file with the keys under which a store keeps secrets: one `ID KEY` a line, the newest last."""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path

from cdp_bridge.errors import ConfigError
from cdp_bridge.files import decode_text

VARIABLE = "CDP_BRIDGE_KEYRING"
KEY_BYTES, ID_BYTES = 32, 8

Keys = Mapping[str, bytes]
"""16 hex digits -> 32 bytes, the newest last."""


class Keyring:
    """The keys of one store; the file is read each time, so that every process sees a new key at once.

    Whoever changes it must hold the store's lock for secrets: two writers would lose a key, and secrets with it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, database_file: str | None) -> Keyring:
        """The keyring named by CDP_BRIDGE_KEYRING, or beside a SQLite file; ConfigError if there is neither."""
        named = os.environ.get(VARIABLE)
        if named:
            return cls(Path(named))
        if database_file is None:
            raise ConfigError(
                "nothing says where the keyring is",
                place=VARIABLE,
                remedy="Set it to a file on this machine; with PostgreSQL every machine needs the same keys",
            )
        return cls(Path(f"{database_file}.keyring"))

    def keys(self) -> Keys:
        """All keys, none if there is no file; ConfigError for one that others may read, or that is no keyring."""
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read()
        except FileNotFoundError:
            return {}
        except OSError:
            raise self._fault("the keyring cannot be read", "Make it readable by this user") from None
        if mode & 0o077:
            raise self._fault("the keyring is open to other users", f"Run: chmod 600 {self.path}")
        text = decode_text(data, str(self.path))
        return dict(self._key(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())

    def add(self) -> str:
        """Make a key, under which new secrets are encrypted from now on; its id."""
        name = secrets.token_hex(ID_BYTES)
        self._write({**self.keys(), name: secrets.token_bytes(KEY_BYTES)})
        return name

    def drop(self, unused: set[str]) -> None:
        """Delete keys."""
        self._write({name: key for name, key in self.keys().items() if name not in unused})

    def _key(self, number: int, line: str) -> tuple[str, bytes]:
        name, _, text = line.strip().partition(" ")
        try:
            identifier, key = bytes.fromhex(name), b64decode(text, validate=True)
        except ValueError:
            identifier, key = b"", b""
        if len(identifier) != ID_BYTES or len(key) != KEY_BYTES:
            raise self._fault(f"line {number} of the keyring is not an id and a key", "Restore it from a backup")
        return name, key

    def _write(self, keys: Keys) -> None:
        """Replace the file as a whole: after a crash at any point it is the old one or the new one."""
        beside = self.path.with_name(f".{self.path.name}.new")
        text = "".join(f"{name} {b64encode(key).decode()}\n" for name, key in keys.items())
        try:
            # A process may have been killed while it wrote.
            beside.unlink(missing_ok=True)
            with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            beside.unlink(missing_ok=True)
            problem = f"the keyring cannot be written ({os.strerror(error.errno or 0)})"
            raise self._fault(problem, "Check that its folder exists, has space and is writable by this user") from None

    def _fault(self, problem: str, remedy: str) -> ConfigError:
        return ConfigError(problem, place=str(self.path), remedy=remedy)
