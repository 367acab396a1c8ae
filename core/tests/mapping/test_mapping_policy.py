"""What may leave: the policies of the mappings against what the profile does."""

from typing import Any

import pytest
from cdp_bridge.entities import DataMapping
from cdp_bridge.mapping import allowed, withheld


@pytest.mark.parametrize(
    ("policies", "form", "leaves"),
    [
        (("hash",), "hashed", True),
        (("hash",), "clear", False),
        (("clear",), "clear", True),
        (("clear",), "hashed", True),
        (("never",), "hashed", False),
        (("never",), "clear", False),
        (("clear", "hash"), "clear", False),
        (("hash", "never"), "hashed", False),
        (("clear",), None, False),
    ],
)
def test_a_field_leaves_only_as_every_policy_allows(policies: tuple[Any, ...], form: Any, leaves: bool) -> None:
    mappings = [DataMapping(omniads_field="email", cdp_field="x", policy=policy) for policy in policies]
    forms = {"email": form} if form else {}
    assert allowed(mappings, forms) == (("email",) if leaves else ())
    assert ("email" in withheld(mappings, forms)) is not leaves


def test_what_is_not_mapped_is_neither_allowed_nor_withheld() -> None:
    mappings = [DataMapping(omniads_field="user_id", cdp_field="id")]
    assert allowed(mappings, {"email": "hashed"}) == ()
    assert withheld(mappings, {"email": "hashed"}) == {}
