"""What scripts/images makes."""

from __future__ import annotations

import json
from typing import Any

from cyclonedx.validation.json import JsonStrictValidator

from scripts.inventory import bom

from .conftest import BOXED, ROOT, make_images

TAG = "cdp-bridge-source-boxed"


def test_the_same_input_is_the_same_image_by_digest(engine: Any) -> None:
    before = engine.inspect_image(TAG)["Id"]
    engine.remove_image(TAG, force=True)
    for layer in (ROOT / ".cache/images").glob("source-boxed-*"):
        layer.unlink()
    assert make_images(str(BOXED)).returncode == 0
    assert engine.inspect_image(TAG)["Id"] == before


def test_an_unknown_connector_is_named(images: None) -> None:
    failed = make_images("source-nowhere")
    assert failed.returncode == 1
    assert "There is no connector source-nowhere, and no package with connectors at that path" in failed.stderr


def test_each_image_has_a_bill_of_what_is_in_it(images: None) -> None:
    text = (ROOT / f"dist/{TAG}.cdx.json").read_text()
    assert JsonStrictValidator(bom.VERSION).validate_str(text) is None
    parts = {part["purl"].partition("@")[0].partition(":")[2]: part for part in json.loads(text)["components"]}
    assert {"pypi/cdp-bridge", "pypi/cdp-bridge-source-boxed", "pypi/psycopg", "deb/debian/libc6"} <= set(parts)
    assert not {"deb/debian/libreadline8", "deb/debian/libdb5.3", "pypi/unidecode", "pypi/airbyte-cdk"} & set(parts)
    assert sorted(name for name, part in parts.items() if not part.get("licenses")) == []
