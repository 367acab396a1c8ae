"""Lists of people who must not be sent: read, hashed in each way there is, and kept in the store as digests only."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence

from cdp_bridge.errors import ConfigError
from cdp_bridge.identity import Question, explain_many, variants
from cdp_bridge.staging.suppression_file import Line, Named, bare, read
from cdp_bridge.store import Store

log = logging.getLogger(__name__)

MAX_UNREADABLE = 0.05
"""The share of a list's lines that may be unreadable; with more, the list is probably not what it should be."""
_EXAMPLES = 5

KEY_BYTES = 16


def refresh(store: Store, lists: tuple[str, ...]) -> None:
    """Make the store's suppression entries equal to the files; ConfigError for one that cannot be relied on.

    A list that is missing, unreadable in more than a small part, or empty all of a sudden stops the run: sending
    somebody who opted out is worse than sending late.
    """
    for path in lists:
        lines = list(read(path))
        entries = list(dict.fromkeys(named for line in lines for named in line.named))
        readable, digested = _digested(store, entries)
        _refuse_unreadable(path, lines, readable)
        if not digested and any(known.source == path for known in store.count_suppressions()):
            raise ConfigError(
                "the suppression list names nobody any more, and did before",
                place=os.path.abspath(path),
                remedy="Put the list back; if nobody is to be suppressed, take it out of suppressions, and apply",
            )
        store.suppress(digested, path)


def digests(values: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
    """(value, field, digest) of each e-mail address, phone, mobile ad id or hash in each way; nothing of others.

    Not only as the platform in question wants it: a hash that the CDP has already may be by other rules, and is sent as
    it is.
    """
    for named, field, digest in _hashed(list(map(bare, values))):
        if digest:
            yield named.value, field, digest


def member_key(key: bytes, user_id: str) -> bytes:
    """The member key of a user id, as the stage computes it in SQL."""
    return hashlib.sha256(f"{key.hex()}{user_id}".encode()).digest()[:KEY_BYTES]


def _digested(store: Store, entries: list[Named]) -> tuple[set[Named], list[tuple[str, bytes]]]:
    """The entries that can be read, and (field, digest) of these."""
    readable, digested = set[Named](), list[tuple[str, bytes]]()
    ids = [named for named in entries if named.fields == ("user_id",)]
    if ids:
        key = store.key("member")
        readable.update(ids)
        digested += [("user_id", member_key(key, named.value)) for named in ids]
    for named, field, digest in _hashed([named for named in entries if named.fields != ("user_id",)]):
        readable.add(named)
        if digest:
            digested.append((field, digest))
    return readable, digested


def _hashed(entries: Sequence[Named]) -> Iterator[tuple[Named, str, bytes]]:
    """(entry, field, digest) of each that can be read; no digest for a value that stands for nobody."""
    questions = [(named, Question(field, named.value, named.country)) for named in entries for field in named.fields]
    for rules in variants() if questions else ():
        answers = explain_many(rules, [question for _, question in questions])
        for (named, _), answer in zip(questions, answers, strict=True):
            if answer.rejected is None and answer.hashed and answer.value:
                yield named, answer.field, bytes.fromhex(answer.value)
            elif answer.rejected == "placeholder":
                yield named, answer.field, b""


def _refuse_unreadable(path: str, lines: Sequence[Line], readable: set[Named]) -> None:
    """ConfigError, or a warning, for lines that name nobody, or somebody by what cannot be read."""
    lost = [line.number for line in lines if not line.named or not readable.issuperset(line.named)]
    if not lost:
        return
    numbers = ", ".join(map(str, lost[:_EXAMPLES])) + (" and others" if len(lost) > _EXAMPLES else "")
    if len(lost) > MAX_UNREADABLE * len(lines):
        raise ConfigError(
            f"{len(lost):,} of {len(lines):,} lines of the suppression list cannot be read: {numbers}",
            place=f"{os.path.abspath(path)}:{lost[0]}",
            remedy=(
                "Give one e-mail, phone with country code, or SHA-256 of either a line; or a CSV whose header names "
                "its columns email, phone (and country), user_id or mobile_ad_id"
            ),
        )
    log.warning("%s: %d lines could not be understood and suppress nobody: %s", path, len(lost), numbers)
