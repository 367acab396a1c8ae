"""What the kit shows of a difference, and that each of its messages has what was seen and what to do."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cdp_bridge import testing
from cdp_bridge.testing.messages import difference, key_text, member_difference, short

SUITES = ("suite", "faults", "source", "destination", "refusals", "batches", "lines", "harness")


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@pytest.mark.parametrize(
    ("expected", "got", "text"),
    [
        ({("a",), ("b",)}, {("a",), ("b",)}, ""),
        ({("a",), ("b",)}, {("a",)}, "1 of 2 missing, 0 too many: expected ('b'), got nothing like it"),
        ({("a",)}, {("a",), ("c",)}, "0 of 1 missing, 1 too many: expected nothing else, got ('c')"),
        ({("1", "x")}, {(1, "x")}, "1 of 1 missing, 1 too many: expected ('1', 'x'), got (1, 'x')"),
    ],
)
def test_one_expected_key_stands_beside_one_that_was_got(
    expected: set[tuple[object, ...]], got: set[tuple[object, ...]], text: str
) -> None:
    assert difference(expected, got, key_text) == text


@pytest.mark.parametrize("value", ["ada@example.com", "+1 212 555 0101", digest(1)])
def test_a_key_that_is_a_personal_value_is_a_digest(value: str) -> None:
    shown = key_text((value, "u-1"))
    assert value not in shown
    assert shown.startswith("(<str #")
    assert shown.endswith(", 'u-1')")
    assert shown != key_text((f"{value}0", "u-1"))


def test_a_member_stands_beside_the_one_most_like_it_with_what_differs_first() -> None:
    wanted = frozenset(map(digest, range(5)))
    like, other = (wanted - {digest(4)}) | {digest(9)}, frozenset({digest(7), "US"})
    text = member_difference([wanted], [other, like], {wanted: bytes(range(16))})
    assert text.startswith(
        f"1 of 1 missing, 2 too many: expected member key 00010203... with 5 values ({digest(4)[:8]}..."
    )
    assert f", got 5 values ({digest(9)[:8]}..." in text
    assert member_difference([wanted], [wanted]) == ""
    assert member_difference([], [frozenset({"US"})]).endswith("expected nobody else, got 1 values (clear #9b202ecb)")
    assert short(bytes(16)) == "00000000..."


def messages(module: str) -> Iterator[tuple[int, str]]:
    """Line and literal text of the message of each `assert` and `pytest.fail`."""
    (path,) = Path(testing.__file__).parent.rglob(f"{module}.py")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assert):
            yield node.lineno, text(node.msg)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.fail":
            yield node.lineno, text(node.args[0])


def text(message: ast.expr | None) -> str:
    parts = ast.walk(message) if message else ()
    return "".join(part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


@pytest.mark.parametrize("module", SUITES)
def test_each_message_is_what_was_seen_and_behind_a_semicolon_what_to_do(module: str) -> None:
    checks = list(messages(module))
    assert checks
    assert [line for line, message in checks if "; " not in message] == []
