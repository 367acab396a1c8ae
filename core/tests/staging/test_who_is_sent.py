"""Consent, suppression, validation and policies: who is sent, with what, and why the others are not."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.connectors.handle import open_connector
from cdp_bridge.entities import Consent, DataMapping, OnInvalid
from cdp_bridge.errors import ConfigError
from cdp_bridge.identity import load_profile
from cdp_bridge.secrets import Resolver
from cdp_bridge.sync.reading import SharedRead
from cdp_bridge.sync.setup import prepare
from msgspec.structs import replace

from ..conftest import SyncHarness, digest

ID = DataMapping(omniads_field="user_id", cdp_field="id")
EMAIL = DataMapping(omniads_field="email", cdp_field="email")
PHONE = DataMapping(omniads_field="phone", cdp_field="phone")


def everything_sent(harness: SyncHarness) -> set[str]:
    return {
        value
        for batch in harness.platform.batches
        for lists in batch.identifiers.values()
        for values in lists
        for value in values
    }


def test_every_purpose_must_be_granted(harness: SyncHarness) -> None:
    harness.configure(
        consent=(
            Consent(purpose="ads", cdp_field="ok"),
            Consent(purpose="profiling", cdp_field="profiling", granted=("opt-in",)),
        )
    )
    harness.cdp.put("u0", email="u0@example.com", profiling="opt-in")
    harness.cdp.put("u1", email="u1@example.com", profiling="yes")
    harness.cdp.put("u2", email="u2@example.com", profiling="opt-in", ok="no")
    log = harness.sync()
    assert set(harness.ledger()) == {"u0"}
    assert log.funnel.dropped == {"no_consent:ads": 1, "no_consent:profiling": 3}
    assert log.funnel.consented == 1


@pytest.mark.parametrize(("missing", "sent"), [("denied", {"u0"}), ("granted", {"u0", "u1"})])
def test_what_a_missing_consent_means_is_the_activations_word(
    harness: SyncHarness, missing: Any, sent: set[str]
) -> None:
    harness.configure(consent=(Consent(purpose="ads", cdp_field="opt", missing=missing),))
    harness.cdp.people.clear()
    harness.cdp.put("u0", email="u0@example.com", phone="+14155550100", opt=True)
    harness.cdp.put("u1", email="u1@example.com")
    harness.cdp.put("u2", email="u2@example.com", opt=False)
    harness.sync()
    assert set(harness.ledger()) == sent


def test_withdrawn_consent_removes(harness: SyncHarness) -> None:
    harness.sync()
    harness.cdp.put("u3", email="u3@example.com", phone="+14155550103", ok="no")
    assert harness.sync().removes == 1
    harness.assert_equal()


def test_suppressed_people_are_not_sent_and_those_sent_before_go(harness: SyncHarness, tmp_path: Path) -> None:
    harness.suppress(tmp_path / "list", "U0@example.com ")
    harness.sync()
    assert "u0" not in harness.ledger()
    harness.suppress(tmp_path / "list", "u0@example.com", "+14155550101", "u2@example.com", "u3@example.com")
    log = harness.sync()
    # Three of four members: suppression does not wait for approval.
    assert (log.status, log.removes) == ("succeeded", 3)
    assert set(harness.ledger()) == {"u4"}
    assert log.funnel.dropped == {"suppressed": 4}
    assert len(harness.platform.held) == 1


def test_who_leaves_a_suppression_list_comes_back(harness: SyncHarness, tmp_path: Path) -> None:
    harness.suppress(tmp_path / "list", "u0@example.com")
    harness.sync()
    harness.suppress(tmp_path / "list", "somebody.else@example.com")
    harness.sync()
    harness.assert_equal()


def test_a_hash_suppresses_what_it_stands_for(harness: SyncHarness, tmp_path: Path) -> None:
    harness.suppress(tmp_path / "list", digest("u0@example.com"), digest("14155550101").upper())
    harness.sync()
    assert set(harness.ledger()) == {"u2", "u3", "u4"}


def test_a_hash_of_the_cdp_is_suppressed_by_whichever_rules_it_was_made(harness: SyncHarness, tmp_path: Path) -> None:
    """Meta hashes a phone without its plus, others with it; a hash that the CDP has is sent as it is."""
    harness.cdp.put("u0", email="u0@example.com", phone=digest("+14155550100"))
    harness.cdp.put("u1", email=digest("first.last@gmail.com"))
    harness.cdp.put("u2", email=digest("firstlast@gmail.com"))
    harness.suppress(tmp_path / "list", "+14155550100", "First.Last@gmail.com")
    log = harness.sync()
    assert log.funnel.dropped == {"suppressed": 3}
    assert set(harness.ledger()) == {"u3", "u4"}


def test_suppression_sees_what_must_not_leave(harness: SyncHarness, tmp_path: Path) -> None:
    harness.configure(mappings=(ID, EMAIL, DataMapping(omniads_field="phone", cdp_field="phone", policy="never")))
    harness.suppress(tmp_path / "list", "+14155550100")
    harness.sync()
    assert set(harness.ledger()) == {"u1", "u2", "u3", "u4"}


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"PK\x03\x04\xff"])
def test_a_list_that_cannot_be_read_stops_the_run(harness: SyncHarness, tmp_path: Path, content: bytes | None) -> None:
    harness.suppress(tmp_path / "list", "u0@example.com")
    if content is None:
        (tmp_path / "list").unlink()
    else:
        (tmp_path / "list").write_bytes(content)
    log = harness.sync()
    assert log.status == "failed"
    assert log.error.startswith(f"{tmp_path}/list: the suppression list cannot be read")
    assert harness.platform.calls == 0


def test_lines_that_suppress_nobody_are_counted(
    harness: SyncHarness, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = [f"other{number}@example.com" for number in range(38)]
    harness.suppress(tmp_path / "list", "u0@example.com", "not an address", "", *others, "07")
    log = harness.sync()
    assert "2 lines could not be understood and suppress nobody: 2, 42" in caplog.text
    assert "not an address" not in caplog.text
    assert log.funnel.dropped == {"suppressed": 1}


@pytest.mark.parametrize(
    ("on_invalid", "members", "dropped"),
    [
        ("drop-field", {"u0", "u1", "u2", "u3", "u4"}, {}),
        ("drop-record", {"u1", "u2", "u3", "u4"}, {"invalid:email": 1}),
    ],
)
def test_a_breach_of_validation_costs_what_the_policy_says(
    harness: SyncHarness, on_invalid: OnInvalid, members: set[str], dropped: dict[str, int]
) -> None:
    strict = DataMapping(
        omniads_field="email", cdp_field="email", validation={"pattern": "^u[1-9]"}, on_invalid=on_invalid
    )
    harness.configure(mappings=(ID, strict, PHONE))
    log = harness.sync()
    assert set(harness.ledger()) == members
    assert log.funnel.dropped == dropped
    assert log.funnel.fields_rejected == {"email:pattern": 1}
    assert digest("u0@example.com") not in everything_sent(harness)


def test_the_policy_fail_stops_before_anything_is_sent(harness: SyncHarness) -> None:
    strict = DataMapping(omniads_field="email", cdp_field="email", validation={"pattern": "^u[1-9]"}, on_invalid="fail")
    harness.configure(mappings=(ID, strict))
    log = harness.sync()
    assert log.status == "failed"
    assert "1 records have a value of email that breaks its validation" in log.error
    assert "u0" not in log.error
    assert harness.platform.calls == 0


def test_what_no_rule_lets_out_never_leaves(harness: SyncHarness) -> None:
    """Meta takes e-mail and phone hashed, ad and external ids in clear."""
    assert load_profile("meta").fields["external_id"].send == "clear"
    harness.configure(
        mappings=(
            ID,
            EMAIL,
            DataMapping(omniads_field="phone", cdp_field="phone", policy="never"),
            DataMapping(omniads_field="external_id", cdp_field="loyalty", policy="hash"),
            DataMapping(omniads_field="first_name", cdp_field="name", policy="clear"),
        )
    )
    harness.cdp.put("u0", email="u0@example.com", phone="+14155550100", loyalty="L-0", name="Ann", secret="unmapped")
    harness.sync()
    sent = everything_sent(harness)
    assert {digest("u0@example.com"), digest("ann")} <= sent
    for kept in ("14155550100", "+14155550100", "L-0", "l-0", "unmapped", "u0", "vip"):
        assert not {kept, digest(kept)} & sent
    assert set(harness.platform.batches[0].identifiers) == {"email", "first_name", "first_initial"}
    assert all(len(value) == 64 for value in sent)


def test_the_policy_clear_lets_out_what_the_profile_sends_in_clear(harness: SyncHarness) -> None:
    loyal = DataMapping(omniads_field="external_id", cdp_field="loyalty", policy="clear")
    harness.configure(mappings=(ID, EMAIL, loyal))
    harness.cdp.put("u0", email="u0@example.com", loyalty="L-0")
    harness.sync()
    assert "L-0" in everything_sent(harness)


def test_a_person_without_a_strong_identifier_is_not_sent(harness: SyncHarness) -> None:
    harness.configure(mappings=(ID, EMAIL, PHONE, DataMapping(omniads_field="first_name", cdp_field="name")))
    harness.cdp.put("u0", name="Ann")
    harness.cdp.put("u1", email="no address", name="Ben")
    harness.cdp.put("u2", phone="12")
    log = harness.sync()
    assert set(harness.ledger()) == {"u3", "u4"}
    dropped = log.funnel.dropped
    assert dropped.pop("unidentifiable:nothing_given") == 1
    assert dropped.pop("unidentifiable:email:invalid") == 1
    assert list(dropped.values()) == [1]
    assert next(iter(dropped)).startswith("unidentifiable:phone:")


def test_records_without_user_id_are_counted_not_sent(harness: SyncHarness) -> None:
    harness.cdp.extra = [{"id": None, "ok": "yes", "email": "x@example.com"}, {"ok": "yes", "email": "y@example.com"}]
    log = harness.sync()
    assert log.funnel.dropped == {"no_user_id": 2}
    assert len(harness.platform.held) == 5


def test_setup_names_what_is_missing(harness: SyncHarness) -> None:
    registry = harness.registry()
    for change, place in (
        ({"connection": "none"}, "audiences.vip.connection: there is no none"),
        ({"destination": "none"}, "audiences.vip.destination: there is no none"),
        ({"mapping": "none"}, "audiences.vip.mapping: there is no mapping none"),
    ):
        activation = replace(harness.bridge.audiences[0], **change)
        with pytest.raises(ConfigError, match=place):
            prepare(
                harness.bridge,
                registry,
                activation,
                partial(open_connector, registry, Resolver()),
                SharedRead().tickets[0],
            )
