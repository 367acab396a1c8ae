"""A configuration that takes long to check keeps nobody waiting, and one that would take too long is refused."""

from __future__ import annotations

from typing import Any

from .conftest import Target


def rules(count: int) -> list[dict[str, Any]]:
    """Mappings of one list, each with an expression and a pattern of its own."""
    return [
        {"omniads_field": "user_id", "cdp_field": "id"},
        *(
            {
                "omniads_field": "email",
                "cdp_field": f"emails.{number}",
                "transformation_rule": f"lower(value || c{number})",
                "validation": {"pattern": f"^[a-z]{{1,{number % 9 + 1}}}"},
            }
            for number in range(count - 1)
        ),
    ]


def test_a_mapping_of_thousands_of_rules_is_refused_before_it_is_compiled(target: Target) -> None:
    answer = target.call("POST", "/v1/mappings", {"name": "huge", "rules": rules(4_000)})
    assert (answer.status_code, "may have 500" in answer.text) == (422, True)


def test_edits_beside_the_longest_mappings_compile_them_no_more(target: Target) -> None:
    for number in range(3):
        body = {"name": f"long-{number}", "rules": rules(500)}
        target.call("POST", "/v1/mappings", body).raise_for_status()
    for number in range(40):
        body = {"name": f"short-{number}", "rules": rules(2)}
        target.call("POST", "/v1/mappings", body).raise_for_status()
