"""Lists of people who must not be sent: read, hashed in each way there is, and kept in the store as digests only."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from cdp_bridge.errors import ConfigError
from cdp_bridge.identity import Question, explain_many, variants
from cdp_bridge.store import Store

log = logging.getLogger(__name__)


def refresh(store: Store, lists: tuple[str, ...]) -> None:
    """Make the store's suppression entries equal to the files; ConfigError for one that cannot be read.

    A missing list stops the run: sending somebody who opted out is worse than sending late.
    """
    for path in lists:
        entries = list(dict.fromkeys(_read(path)))
        hashed = list(digests(entries))
        store.suppress([(field, digest) for _, field, digest in hashed], path)
        if lost := len(set(entries) - {entry for entry, _, _ in hashed}):
            log.warning("%s: %d lines could not be understood and suppress nobody", path, lost)


def digests(entries: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
    """(entry, field, digest) of each e-mail address, phone or hash in each way there is; nothing of other entries.

    Not only as the platform in question wants it: a hash that the CDP has already may be by other rules, and is sent as
    it is.
    """
    # A bare hash may be of either, so it suppresses both.
    questions = [(entry, field) for entry in entries for field in (("email",) if "@" in entry else ("email", "phone"))]
    for rules in variants():
        answers = explain_many(rules, [Question(field, entry) for entry, field in questions])
        for (entry, _), answer in zip(questions, answers, strict=True):
            if answer.rejected is None and answer.hashed and answer.value:
                yield entry, answer.field, bytes.fromhex(answer.value)


def _read(path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            "the suppression list cannot be read",
            place=path,
            remedy="Put a UTF-8 file there with one e-mail, phone or hash a line",
        ) from None
    return [line.strip().strip('"') for line in lines if line.strip()]
