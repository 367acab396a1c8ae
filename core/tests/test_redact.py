"""What never reaches a log line, and what must stay readable in it."""

import io
import logging
from collections.abc import Iterator

import pytest
from cdp_bridge import redact
from cdp_bridge.secrets import Secret

HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("mail to Ann.Lee+x@example.com failed", "Ann.Lee"),
        ("mail=ann%40example.com", "ann"),
        ("<müller@example.org>", "müller"),
        ("call +1 (202) 555-0147", "555"),
        ("call 020 7946 0958", "7946"),
        ("call 212.555.0123", "555"),
        ("call 49.176.123.45678.", "176"),
        ("born 1980-01-02", "1980"),
        (f"hash {HASH}", "e3b0"),
        (f"hash '{HASH.upper()}'", "E3B0"),
        ("GET https://example.com/x?access_token=abc&fields=id", "abc"),
        ("postgresql://user:hunter2@db.example.com:5432/x", "hunter2"),
        ("Authorization: Bearer abcdef", "abcdef"),
        ("Authorization: Basic YWJj", "YWJj"),
        ("{'access_token': 'ab cd'}", "cd"),
        ('{"password":"ab cd"}', "cd"),
        ("token=abc", "abc"),
        ("appsecret_proof=abc", "abc"),
        ("password: hunter2hunter2", "hunter2"),
    ],
)
def test_masked(text: str, gone: str) -> None:
    assert gone not in redact.redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24 03:55:57,123 WARNING cdp_bridge took 12 s",
        "100000 of 1000000 members in 3.25 s",
        "https://example.com/v1/act_123456789012/customaudiences answered 400",
        "run 123e4567-e89b-12d3-a456-426614174000",
        "connections.0.token: is missing. Add it",
        "bridge.yaml:12:7 (audiences.0.name): must match the pattern",
        "listening on 127.0.0.1:8080",
        "GET 127.0.0.1/v1/lists answered 401",
    ],
)
def test_kept(text: str) -> None:
    assert redact.redact(text) == text


def test_the_host_of_a_masked_url_stays() -> None:
    assert redact.redact("postgresql://u:p@db.example.com:5432/x") == "postgresql://***@db.example.com:5432/x"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    redact.log_to(stream, logging.INFO)
    yield stream
    root.handlers[:], root.level = handlers, level


def test_log_lines_and_tracebacks_are_masked(log: io.StringIO) -> None:
    secret = Secret("s3cr3t-value-of-a-test")
    try:
        raise ValueError(f"no such person ann@example.com, {secret.reveal()}")
    except ValueError:
        logging.getLogger("x").exception("sending to %s failed", "ann@example.com")
    text = log.getvalue()
    assert "ValueError: no such person <email>" in text
    assert "ann@" not in text
    assert "s3cr3t" not in text
    assert text[:4].isdigit()


def test_short_secrets_do_not_blank_out_words() -> None:
    redact.learn("run")
    assert redact.redact("the run ended") == "the run ended"


@pytest.mark.parametrize(
    "part", ["x", "1", "1- ", "1 ", "1.", "http://", "a://", "token:'", "token ", "a%40", "@", "?"]
)
def test_a_million_characters_of_anything_are_redacted(part: str) -> None:
    """By a pattern that looks again from each character, this would take hours."""
    text = part * (1_000_000 // len(part))
    assert len(redact.redact(text)) <= len(text) + 10
