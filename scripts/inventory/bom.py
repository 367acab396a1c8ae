"""Bills of materials in CycloneDX: what is in a wheel with all that it needs, or in an image."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

SUFFIX = ".cdx.json"
VERSION = SchemaVersion.V1_6
_NAMESPACE = uuid.UUID("0f4b1f6e-6a3c-4b5e-9d0f-2b8a7c1d5e93")


class Part(NamedTuple):
    """A package: its licence in SPDX if it is known, and the SHA-256 of each file that it may have come as."""

    purl: PackageURL
    licence: str | None
    hashes: tuple[str, ...] = ()


def pypi(name: str, version: str) -> PackageURL:
    """The address of a Python package."""
    return PackageURL("pypi", name=name, version=version)


def wheel(part: Part, parts: Iterable[Part]) -> str:
    """The bill of a wheel, which is `part`, and of all that it needs."""
    return _text(_component(part, ComponentType.LIBRARY), parts)


def image(tag: str, version: str, parts: Iterable[Part]) -> str:
    """The bill of a container image."""
    return _text(Component(name=tag, version=version, type=ComponentType.CONTAINER, bom_ref=tag), parts)


def _text(subject: Component, parts: Iterable[Part]) -> str:
    components = [_component(part, ComponentType.LIBRARY) for part in sorted(parts, key=lambda part: str(part.purl))]
    # The same input is the same text: no time, and a number that hangs on what is listed.
    metadata = BomMetaData(component=subject)
    metadata.timestamp = None  # type: ignore[assignment]
    listed = "\n".join(str(component.bom_ref.value) for component in [subject, *components])
    bill = Bom(components=components, metadata=metadata, serial_number=uuid.uuid5(_NAMESPACE, listed))
    bill.register_dependency(subject, components)
    return make_outputter(bill, OutputFormat.JSON, VERSION).output_as_string(indent=2) + "\n"


def _component(part: Part, kind: ComponentType) -> Component:
    return Component(
        name=part.purl.name,
        version=part.purl.version,
        type=kind,
        bom_ref=str(part.purl),
        purl=part.purl,
        licenses=[LicenseFactory().make_from_string(part.licence)] if part.licence else [],
        hashes=_hashes(part.hashes),
    )


def _hashes(digests: Sequence[str]) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in digests]
