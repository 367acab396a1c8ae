"""What scripts/images makes."""

from __future__ import annotations

from typing import Any

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
