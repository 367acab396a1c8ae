"""The licence of a package by its own metadata, as an SPDX expression, and whether it may be part of what we give."""

from __future__ import annotations

import re
from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution
from typing import NamedTuple, cast

from license_expression import Licensing
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from .locks import Locked

ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "Unlicense", "Zlib"),
    *("CC0-1.0", "PSF-2.0", "Python-2.0"),
    # "BSD License" and no more: each of the family is permissive.
    "LicenseRef-BSD",
    # Weak copyleft: it covers the files of the package only, and we pass these on as they are.
    "MPL-2.0",
}


class Named(NamedTuple):
    """A licence that one package may have although no other may, or that its metadata does not say."""

    licence: str
    reason: str


_PSYCOPG = (
    "imported as a package of its own and passed on unmodified, so that anybody can put another version in its place"
)
NAMED = {
    "psycopg": Named("LGPL-3.0-only", _PSYCOPG),
    "psycopg-binary": Named("LGPL-3.0-only", _PSYCOPG),
    "rich-click": Named("MIT", "its metadata has the whole text of the MIT licence in the field License"),
}
"""By canonical name. The reason says where the licence was read, or why it does no harm: this licence, no other."""

_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "LicenseRef-BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
}
_SPELLINGS = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2": "Apache-2.0",
    "apache 2 license": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "bsd": "LicenseRef-BSD",
    "bsd 2-clause license": "BSD-2-Clause",
    "mit license": "MIT",
}
_LIBRARY = Licensing()


def installed(package: Locked) -> Message | None:
    """The metadata of that version of a package, if it is installed here."""
    try:
        found = distribution(package.name)
    except PackageNotFoundError:
        return None
    return cast(Message, found.metadata) if found.version == package.version else None


def of(name: str, metadata: Message) -> str | None:
    """The licence of a package, by its metadata or, where this does not say it, by `NAMED`."""
    named = NAMED.get(canonicalize_name(name))
    return expression(metadata) or (named.licence if named else None)


def expression(metadata: Message) -> str | None:
    """The licence, or None if the metadata does not say it in words that have one meaning.

    All that it says must hold: classifiers that go beyond the field `License` are added to it.
    """
    if stated := metadata.get("License-Expression"):
        return _spdx(stated)
    field = _spdx(metadata.get("License", ""))
    classified = [one.rpartition(" :: ")[2] for one in metadata.get_all("Classifier", []) if _is_licence(one)]
    if any(name not in _CLASSIFIERS for name in classified):
        return None
    parts = [field] if field else []
    parts += [one for one in map(_CLASSIFIERS.__getitem__, classified) if not _is_said(one, " ".join(parts))]
    return " AND ".join(f"({part})" if len(parts) > 1 and " OR " in part else part for part in parts) or None


def said(metadata: Message) -> str:
    """What the metadata says on the licence, for a message."""
    fields = ("License-Expression", "License", "License-File")
    lines = [
        f"{field}: {metadata[field].strip().splitlines()[0]}" for field in fields if metadata.get(field, "").strip()
    ]
    return "; ".join(lines + [one for one in metadata.get_all("Classifier", []) if _is_licence(one)]) or "nothing"


def fault(name: str, licence: str | None) -> str | None:
    """Why a package of that licence may not be part of what we give; None if it may."""
    named = NAMED.get(canonicalize_name(name))
    if licence is None:
        return None if named else "its licence is unknown"
    if (named and named.licence == licence) or _allows(_LIBRARY.parse(licence)):
        return None
    return f"{licence} is not allowed"


def _is_licence(classifier: str) -> bool:
    return classifier.startswith("License :: ") and classifier.rpartition(" :: ")[2] not in (
        "OSI Approved",
        "DFSG approved",
    )


def _is_said(licence: str, parts: str) -> bool:
    names = re.findall(r"[\w.+-]+", parts)
    return licence in names or (licence == "LicenseRef-BSD" and any(name.startswith("BSD-") for name in names))


def _spdx(text: str) -> str | None:
    try:
        return canonicalize_license_expression(_SPELLINGS.get(text.strip().casefold(), text.strip()))
    except InvalidLicenseExpression:
        return None


def _allows(node: object) -> bool:
    """Of `A OR B` we take what is allowed; of `A AND B` all must be."""
    if isinstance(node, _LIBRARY.AND):
        return all(map(_allows, node.args))
    if isinstance(node, _LIBRARY.OR):
        return any(map(_allows, node.args))
    return str(node) in ALLOWED
