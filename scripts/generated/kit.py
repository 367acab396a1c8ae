"""docs/kit.md: the classes that a connector's tests import from the conformance kit, from their docstrings."""

from __future__ import annotations

from pathlib import Path

from cdp_bridge import testing
from cdp_bridge.testing import numbered, relay

from .reference import Section, written

FILE = Path("docs/kit.md")

INTRODUCTION = """\
# The conformance kit

`scripts/specs` writes this page from the code. The tests of a connector import from `cdp_bridge.testing`, and need the
extra `cdp-bridge[author]`. How to begin, and to run them: [Writing a connector](writing-a-connector.md#test). The rules
that are tested: [What a connector must do](connector-spec.md).
"""
SECTIONS = (
    Section(
        "Suites",
        ("SourceSuite", "DestinationSuite"),
        "A suite is a class of pytest, with a test for each rule. A rule that cannot apply is skipped, with the\n"
        "reason. A test that fails says what it saw and what to do, and names the rule.",
        testing,
    ),
    Section("Twins", ("SourceTwin", "DestinationTwin"), "", testing),
    Section(
        "Faults between connector and twin",
        ("Relay", "Fault", "Request"),
        "For tests of your own, from `cdp_bridge.testing.relay`.",
        relay,
    ),
    Section(
        "Batches",
        ("batch", "keys", "digest"),
        "For tests of your own, from `cdp_bridge.testing.numbered`: batches as the core hands them over.",
        numbered,
    ),
)


def page() -> str:
    """The whole of docs/kit.md."""
    return written(INTRODUCTION, SECTIONS)
