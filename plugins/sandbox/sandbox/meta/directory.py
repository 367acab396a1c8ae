"""Meta's own users, found by hashed e-mail, hashed phone or mobile ad id."""

from collections.abc import Iterator

from sandbox.directory import ByColumn, Person, sha256

STRONG = ("EMAIL", "PHONE", "MADID")


class Directory(ByColumn):
    """Every person by each strong identifier: e-mail, else phone, else mobile ad id."""

    keys = STRONG

    def hashes(self, person: Person) -> Iterator[tuple[str, str]]:
        """Every strong identifier as Meta wants it."""
        for email in person.emails:
            yield "EMAIL", sha256(email.true)
        for phone in person.phones:
            yield "PHONE", sha256(phone.true.lstrip("+"))
        for mobile in person.mobile_ids:
            yield "MADID", mobile.true
