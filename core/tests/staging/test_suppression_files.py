"""Suppression lists as people export them: read whichever way they are written, and never relied on when in doubt."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cdp_bridge.entities import DataMapping
from cdp_bridge.errors import ConfigError
from cdp_bridge.staging.suppression import digests
from cdp_bridge.staging.suppression_file import BARE_HASH, Named, bare, read
from msgspec.structs import replace

from ..conftest import SyncHarness

ADA = Named("ada@example.com", ("email",))
BOB = Named("+14155550101", ("phone",))
HASH = hashlib.sha256(b"ada@example.com").hexdigest()
DEVICE = "5f3a2b18-9c4d-4e7f-b8e2-17d3a1e69b25"
LISTS: list[tuple[str, list[Named]]] = [
    ("ada@example.com\n+14155550101\n", [ADA, bare("+14155550101")]),
    (f"ada@example.com\n{HASH}\n{DEVICE}\n", [ADA, Named(HASH, BARE_HASH), Named(DEVICE, ("mobile_ad_id",))]),
    ("\ufeffada@example.com\r\n\r\n  \r\n", [ADA]),
    ("ada@example.com;\n+14155550101;\n", [ADA, bare("+14155550101")]),
    ('"ada@example.com",\n', [ADA]),
    ("Ada <ada@example.com>\n", [ADA]),
    ('"Lovelace, Ada" <ada@example.com>\nLovelace, Ada <ada@example.com>\n', [ADA, ADA]),
    ("Courriel;Motif\nada@example.com;demande\n", [ADA]),
    ("people who opted out\nada@example.com\n", [ADA]),
    ("email,date\nada@example.com,2026-01-01\n", [ADA]),
    ("\n\nE-Mail;Grund\r\nada@example.com;kein Interesse\r\n", [ADA]),
    ("sep=;\nE-Mail;Grund\nada@example.com;\n", [ADA]),
    ("reason\temail_address\nspam, twice\tada@example.com\n", [ADA]),
    ('email|reason\n"ada@example.com"|"a ""quote"" and\na line"\n', [ADA]),
    ('Email\n"""Ada"" <ada@example.com>"\n', [ADA]),
    ("Phone Number,Email\n+14155550101,ada@example.com\n,ada@example.com\n+14155550101,N/A\n", [BOB, ADA, ADA, BOB]),
    ("phone,country\n0151 12345678,DE\n", [Named("0151 12345678", ("phone",), "DE")]),
    ("User ID,Suppressed At\nu1,2026-01-01\n", [Named("u1", ("user_id",))]),
    ("id\n17\n", [Named("17", ("user_id",))]),
    ("Id,Email,HasOptedOutOfEmail\n003X,ada@example.com,1\n003Y,eve@example.com,0\n", [ADA]),
    (f"IDFA\n{DEVICE.upper()}\n", [Named(DEVICE.upper(), ("mobile_ad_id",))]),
    (f"sha256\n{HASH}\n", [Named(HASH, BARE_HASH)]),
    (f"Email (SHA256)\n{HASH}\n", [Named(HASH, ("email",))]),
    # As vendors export them.
    (
        '"Email Address","First Name",MEMBER_RATING,UNSUB_TIME,UNSUB_REASON\n'
        '"ada@example.com",Ada,2,"2026-01-01 10:00:00","NORMAL (I no longer want to receive these emails)"\n',
        [ADA],
    ),
    (
        "Email,Klaviyo ID,Phone Number,Email Marketing Consent,Email Suppressions\n"
        "ada@example.com,01H,,UNSUBSCRIBED,[]\neve@example.com,01J,,SUBSCRIBED,[]\nada@example.com,01K,,,\n",
        [ADA, ADA],
    ),
    ("Subscriber Key,Email Address,Status\nu1,ada@example.com,Held\n", [Named("u1", ("user_id",)), ADA]),
    ("email,created\nada@example.com,1700000000\n", [ADA]),
    ("Unsubscribed from all email,Email\ntrue,ada@example.com\n,ada@example.com\nfalse,eve@example.com\n", [ADA, ADA]),
    ("", []),
    ("email,date\n", []),
    ("\ufeff\r\n", []),
]


@pytest.mark.parametrize(("text", "expected"), LISTS)
def test_a_list_names_people_however_it_is_written(tmp_path: Path, text: str, expected: list[Named]) -> None:
    file = tmp_path / "list"
    file.write_bytes(text.encode())
    assert [named for line in read(str(file)) for named in line.named] == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('email\n"ada@example.com\nbob@example.com\n', 2),
        ('email,reason\nada@example.com,"two\nlines"\nbob@example.com,"a" b\n', 4),
        ('\n\nemail,reason\nada@example.com,x\nbob@example.com,"' + "x" * 200_000 + '"\n', 5),
    ],
)
def test_a_broken_quote_is_named_by_the_line_where_it_begins(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(ConfigError, match=rf"^{tmp_path}/list:{line}: the line is no CSV") as raised:
        list(read(str(tmp_path / "list")))
    assert "example.com" not in str(raised.value)


def test_a_line_that_names_nobody_has_its_number(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("email,date\nada@example.com,\n\n,2026-01-01\n")
    assert [(line.number, len(line.named)) for line in read(str(tmp_path / "list"))] == [(2, 1), (4, 0)]


USER_ID = DataMapping(omniads_field="user_id", cdp_field="id")
DEVICE_ID = DataMapping(omniads_field="mobile_ad_id", cdp_field="device", policy="clear")
EMAIL = DataMapping(omniads_field="email", cdp_field="email")


def test_people_are_suppressed_by_user_id(harness: SyncHarness, tmp_path: Path) -> None:
    harness.sync()
    harness.suppress(tmp_path / "list", "user_id,reason", "u0,asked", "u1,asked", "u2,asked", "nobody,asked")
    log = harness.sync()
    assert (log.status, log.removes) == ("succeeded", 3), "suppression does not wait for approval"
    assert log.funnel.dropped == {"suppressed": 3}
    assert set(harness.ledger()) == {"u3", "u4"}


def test_who_is_suppressed_by_user_id_goes_although_the_extract_is_empty(harness: SyncHarness, tmp_path: Path) -> None:
    harness.sync()
    harness.suppress(tmp_path / "list", "user_id", "u0")
    harness.cdp.people.clear()
    log = harness.sync()
    assert log.status == "waiting"
    assert set(harness.ledger()) == {"u1", "u2", "u3", "u4"}


@pytest.mark.parametrize("listed", [DEVICE, DEVICE.upper(), hashlib.sha256(DEVICE.encode()).hexdigest()])
def test_people_are_suppressed_by_mobile_ad_id(harness: SyncHarness, tmp_path: Path, listed: str) -> None:
    harness.configure(mappings=(USER_ID, EMAIL, DEVICE_ID))
    harness.cdp.put("u0", email="u0@example.com", device=DEVICE.upper())
    harness.suppress(tmp_path / "list", "mobile_ad_id,date", f"{listed},2026-01-01")
    log = harness.sync()
    assert log.funnel.dropped == {"suppressed": 1}
    assert set(harness.ledger()) == {"u1", "u2", "u3", "u4"}


@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        (["<html>", "<p>not found</p>"], "2"),
        (["email", "u0@example.com", "u1 at example.com"], "3"),
        (["phone", "0151 12345678"], "2"),
        (["mobile_ad_id", "123"], "2"),
        (["u0@example.com", *["?"] * 9], "2, 3, 4, 5, 6 and others"),
        (["email,date", ",2026-01-01"], "2"),
    ],
)
def test_a_list_that_cannot_be_read_for_the_most_part_stops_the_run(
    harness: SyncHarness, tmp_path: Path, lines: list[str], numbers: str
) -> None:
    harness.suppress(tmp_path / "list", *lines)
    log = harness.sync()
    assert log.status == "failed"
    assert f"lines of the suppression list cannot be read: {numbers}. Give one" in log.error
    assert log.error.startswith(f"{tmp_path}/list:{numbers[0]}: ")
    assert "example.com" not in log.error
    assert harness.platform.calls == 0


@pytest.mark.parametrize("content", ["", "\n", "email,date\n", "email,opted out\nu0@example.com,false\n", None])
def test_a_list_that_shrinks_to_nothing_stops_the_run(
    harness: SyncHarness, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "list"
    harness.suppress(file, "u0@example.com")
    harness.sync()
    harness.cdp.put("u9", email="u9@example.com")
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    log = harness.sync()
    assert log.status == "failed"
    assert log.error.startswith(f"{file}: the suppression list ")
    assert harness.platform.calls == 0
    harness.save(replace(harness.bridge, suppressions=()))
    assert harness.sync().status == "succeeded", "what the remedy says"
    assert set(harness.ledger()) == {"u0", "u1", "u2", "u3", "u4", "u9"}


def test_a_list_may_begin_empty(harness: SyncHarness, tmp_path: Path) -> None:
    harness.suppress(tmp_path / "list", "email,date")
    assert harness.sync().status == "succeeded"
    harness.assert_equal()


def test_a_value_that_stands_for_nobody_is_no_fault_of_the_list(harness: SyncHarness, tmp_path: Path) -> None:
    harness.suppress(tmp_path / "list", "mobile_ad_id", "00000000-0000-0000-0000-000000000000", DEVICE)
    assert harness.sync().status == "succeeded"


def test_what_comes_by_request_may_be_a_mobile_ad_id() -> None:
    assert [(field, digest.hex()) for _, field, digest in digests([DEVICE.upper()])] == [
        ("mobile_ad_id", hashlib.sha256(DEVICE.encode()).hexdigest())
    ]
