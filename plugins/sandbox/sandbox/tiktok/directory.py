"""TikTok's own users, found by hashed e-mail, phone or device id (contract 6)."""

import hashlib
from collections.abc import Iterator

from sandbox.directory import ByColumn, Person, sha256

KEYS = (
    "EMAIL_SHA256",
    "PHONE_SHA256",
    "IDFA_SHA256",
    "AAID_SHA256",
    "IDFA_MD5",
    "AAID_MD5",
    "MAID",
)
"""The order of the cells of a held row, and of what decides whom a row means."""

EVENT_EMAIL = "email of events"


class Directory(ByColumn):
    """Every person by each identifier."""

    keys = KEYS
    others = (EVENT_EMAIL,)

    def hashes(self, person: Person) -> Iterator[tuple[str, str]]:
        """Every identifier as TikTok wants it."""
        for email in person.emails:
            yield "EMAIL_SHA256", sha256(audience_email(email.true))
            yield EVENT_EMAIL, sha256(email.true)
        for phone in person.phones:
            yield "PHONE_SHA256", sha256(phone.true)
        for mobile in person.mobile_ids:
            kind = "IDFA" if mobile.form.startswith("ios") else "AAID"
            md5 = hashlib.md5(mobile.true.encode(), usedforsecurity=False).hexdigest()
            yield f"{kind}_SHA256", sha256(mobile.true)
            yield f"{kind}_MD5", md5
            for value in (mobile.true, sha256(mobile.true), md5):
                yield "MAID", value


def audience_email(email: str) -> str:
    """An address as audiences want it: lower-case, without dots and `+suffix` in the local part of any domain."""
    local, _, domain = email.lower().rpartition("@")
    return f"{local.partition('+')[0].replace('.', '')}@{domain}"
