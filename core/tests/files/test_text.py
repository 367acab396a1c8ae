"""Text as editors save it: with a byte order mark, in another encoding, with line ends."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from cdp_bridge.configuration import document
from cdp_bridge.errors import ConfigError
from cdp_bridge.files import MARK, decode_text
from cdp_bridge.protocol import catalog, intake
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.store.secrets.keyring import Keyring

CATALOG = '{"streams": []}'


def test_a_byte_order_mark_is_taken_off_once() -> None:
    assert decode_text(f"{MARK}grün".encode()) == "grün"
    assert decode_text("grün".encode()) == "grün"
    assert decode_text(b"") == ""
    assert decode_text(f"a{MARK}b".encode()) == f"a{MARK}b"


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("utf-32-be", "UTF-16"),
        ("latin-1", "not UTF-8 text"),
    ],
)
def test_other_encodings_are_named(encoding: str, named: str) -> None:
    with pytest.raises(ConfigError, match=rf"^list\.csv: is .*{named}.*\. Save it as UTF-8$"):
        decode_text("für dich".encode(encoding), "list.csv")


@pytest.mark.parametrize("mark", ["", MARK])
def test_files_are_read_with_and_without_a_mark(tmp_path: Path, mark: str) -> None:
    file, token = tmp_path / "file", tmp_path / "token"
    file.write_text(f"{mark}{CATALOG}")
    token.write_bytes(f"{mark}s3cret-token\r\n".encode())
    assert catalog.config(str(file)) == {"streams": []}
    assert catalog.configured_catalog(str(file)).streams == ()
    assert document.read(file).value == {"streams": []}
    assert document.read(file).places["streams"] == (1, 2)
    assert Resolver().secret(f"file:{token}").reveal() == "s3cret-token"
    file.write_text(f"{mark}[]")
    assert catalog.states(str(file)) == {}
    message = f'{mark}{{"type": "RECORD", "record": {{"stream": "people", "data": {{}}}}}}\n'
    assert [line.type for *_, line in intake.lines(io.BytesIO(message.encode()))] == ["RECORD"]


@pytest.mark.parametrize("ends", ["", "\n", "\r\n", " \t\n"])
def test_no_secret_has_a_mark_or_a_line_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    said = f"{MARK}s3cret-token{ends}"
    monkeypatch.setenv("SAID", said)
    resolver = Resolver(stored=lambda _: Secret(said), plugins=lambda _: Secret(said))
    for value in ("env:SAID", "store:said", "vault:said", said):
        assert resolver.secret(value).reveal() == "s3cret-token"
    assert Resolver().secret(said).reveal() == "s3cret-token"


@pytest.mark.parametrize("text", ["", "\n", "\r\n", MARK, f"{MARK}\r\n"])
def test_an_empty_secret_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "token").write_bytes(text.encode())
    monkeypatch.setenv("SAID", text)
    for value in (f"file:{tmp_path}/token", "env:SAID"):
        with pytest.raises(ConfigError, match=rf"the secret {value} is empty\. Put the secret there"):
            Resolver().secret(value)


def test_a_missing_secret_file_is_named_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"the secret file {tmp_path}/token cannot be read"):
        Resolver().secret("file:token")


@pytest.mark.parametrize("name", ["config", "secret"])
def test_a_file_in_utf_16_says_so(tmp_path: Path, name: str) -> None:
    file = tmp_path / "file"
    file.write_text(CATALOG, encoding="utf-16")
    with pytest.raises(ConfigError, match=rf"the {name}.* is UTF-16, not UTF-8\. Save it as UTF-8"):
        catalog.config(str(file)) if name == "config" else Resolver().secret(f"file:{file}")


def test_a_keyring_is_read_with_a_mark(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keyring")
    keyring.add()
    keys = keyring.keys()
    keyring.path.write_bytes(MARK.encode() + keyring.path.read_bytes())
    assert keyring.keys() == keys
