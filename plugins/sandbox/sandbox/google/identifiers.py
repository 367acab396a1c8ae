"""Validates identifiers and turns them into links (google.md 4.1, 8 and rows 18 to 24)."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from sandbox.google.directory import EMAIL, MOBILE, OTHER, PHONE, address_link
from sandbox.google.errors import Violations
from sandbox.google.shapes import Address, CompositeData, Encoding, Identifier, Member, UserData

MAX_IDENTIFIERS = 10
_NO_HEX = re.compile("[^0-9A-Fa-f]")
_REGION = re.compile("[A-Za-z]{2}")
_POSTAL = re.compile("[0-9A-Za-z][0-9A-Za-z -]{1,10}")
KEY_TYPES = {
    "composite": "CONTACT_ID",
    "user": "CONTACT_ID",
    "mobile": "MOBILE_ID",
    "userId": "USER_ID",
    "pair": "PAIR_ID",
}
"""Which lists take which data; none takes any other."""


def kind_of(member: Member) -> str | None:
    """Which kind of data a member holds; None when it holds none."""
    if member.composite_data is not UNSET:
        return "composite"
    if member.user_data is not UNSET:
        return "user"
    if member.mobile_data is not UNSET:
        return "mobile"
    if member.user_id_data is not UNSET:
        return "userId"
    if member.pair_data is not UNSET:
        return "pair"
    others = (member.ppid_data, member.google_user_id_data, member.partner_provided_id_data)
    return "other" if any(data is not UNSET for data in others) else None


@dataclass
class Reader:
    """Reads the identifiers of one request; digests are judged together, many times faster than one by one."""

    encoding: Encoding
    found: Violations
    digests: list[str] = field(default_factory=list)
    places: list[tuple[str, str]] = field(default_factory=list)

    def user_data(self, user: UserData, place: str) -> list[Any]:
        """Note one person's identifiers: for each its kind with the number of its digest, or an address."""
        sent = user.user_identifiers or ()
        if not sent:
            self.found.add(f"{place}.user_identifiers", "REQUIRED_FIELD_MISSING", "An identifier is required.")
        if len(sent) > MAX_IDENTIFIERS:
            reason = "TOO_MANY_USER_IDENTIFIERS"
            self.found.add(f"{place}.user_identifiers", reason, f"At most {MAX_IDENTIFIERS} identifiers are allowed.")
        return [self._identifier(each, place, index) for index, each in enumerate(sent)]

    def _identifier(self, each: Identifier, place: str, index: int) -> Any:
        if each.email_address is not UNSET:
            return EMAIL, self._digest(each.email_address, place, "Email")
        if each.phone_number is not UNSET:
            return PHONE, self._digest(each.phone_number, place, "Phone number")
        if each.address is not UNSET:
            return self._address(each.address, place, index)
        reason = "REQUIRED_FIELD_MISSING"
        self.found.add(f"{place}.user_identifiers[{index}]", reason, "An identifier holds exactly one value.")
        return None

    def _digest(self, value: str, place: str, name: str) -> int:
        self.digests.append(value)
        self.places.append((place, name))
        return len(self.digests) - 1

    def _address(self, each: Address, place: str, index: int) -> Any:
        inside = f"{place}.user_identifiers[{index}].address"
        for name in ("given_name", "family_name", "region_code", "postal_code"):
            if not getattr(each, name):
                self.found.add(
                    f"{inside}.{name}", "REQUIRED_FIELD_MISSING", "All four parts of an address are required."
                )
        given, family = each.given_name or "", each.family_name or ""
        region, postal = each.region_code or "", each.postal_code or ""
        if region and not _REGION.fullmatch(region.strip()):
            self.found.add(f"{inside}.region_code", "INVALID_REGION_CODE", "A region code has two letters.")
        if postal and not _POSTAL.fullmatch(postal.strip()):
            self.found.add(f"{inside}.postal_code", "INVALID_POSTAL_CODE", "The postal code is not one.")
        if not (given and family):
            return None
        names = (self._digest(name, place, "Name") for name in (given, family))
        return (*names, region, postal)

    def links(self, noted: Sequence[Any]) -> tuple[str, ...]:
        """What `user_data` noted as links; ask after `judge`."""
        made = []
        for each in noted:
            if len(each) == 2:
                made.append(each[0] + self.digests[each[1]])
            else:
                made.append(address_link(self.digests[each[0]], self.digests[each[1]], each[2], each[3]))
        return tuple(made)

    def judge(self) -> None:
        """Note every digest that is none; those that are good become lower-case hex."""
        if self.digests and self.encoding is UNSET:
            self.found.add("encoding", "REQUIRED_FIELD_MISSING", "The encoding is required with user data.")
        elif self.encoding == "BASE64":
            self.digests = [self._from_base64(number, value) for number, value in enumerate(self.digests)]
        elif set(map(len, self.digests)) <= {64} and not _NO_HEX.search("".join(self.digests)):
            self.digests = "\n".join(self.digests).lower().split("\n")
        else:
            for number, value in enumerate(self.digests):
                if not value or len(value) % 2 or _NO_HEX.search(value):
                    self._refuse_identifier(number, "INVALID_HEX_ENCODING", "is not hex encoded.")
                elif len(value) != 64:
                    self._refuse_identifier(number, "INVALID_SHA256_FORMAT", "is not a SHA-256 digest.")

    def _from_base64(self, number: int, value: str) -> str:
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            self._refuse_identifier(number, "INVALID_BASE64_ENCODING", "is not Base64 encoded.")
            return value
        if len(raw) != 32:
            self._refuse_identifier(number, "INVALID_SHA256_FORMAT", "is not a SHA-256 digest.")
        return raw.hex()

    def _refuse_identifier(self, number: int, reason: str, description: str) -> None:
        place, name = self.places[number]
        self.found.add(f"{place}.user_identifiers", reason, f"{name} {description}")


def plain_links(member: Member, place: str, found: Violations) -> tuple[str, ...]:
    """The links of a member that is known by other things than contacts: mobile ids, its user id, ids of PAIR."""
    ids: Sequence[str] = ()
    prefix, name = OTHER, "user_id_data.user_id"
    if member.mobile_data is not UNSET:
        ids, prefix, name = member.mobile_data.mobile_ids or (), MOBILE, "mobile_data.mobile_ids"
    elif member.pair_data is not UNSET:
        ids, name = member.pair_data.pair_ids or (), "pair_data.pair_ids"
    elif member.user_id_data is not UNSET:
        ids = [member.user_id_data.user_id] if member.user_id_data.user_id else ()
    if not ids or not all(ids):
        found.add(f"{place}.{name}", "REQUIRED_FIELD_MISSING", "An id is required.")
    if len(ids) > MAX_IDENTIFIERS:
        found.add(f"{place}.{name}", "TOO_MANY_ELEMENTS", f"At most {MAX_IDENTIFIERS} ids are allowed.")
    return tuple(prefix + (each.lower() if prefix == MOBILE else each) for each in ids)


def check_addresses_of_net(composite: CompositeData, place: str, found: Violations) -> None:
    """Note IP addresses that are none."""
    for number, each in enumerate(composite.ip_data or ()):
        try:
            ipaddress.ip_address(each.ip_address or "")
        except ValueError:
            found.add(f"{place}.ip_data[{number}].ip_address", "INVALID_FORMAT", "The IP address is not one.")
