"""The TikTok twin's own controls under /_twin: the ground truth, configuration and clock."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from sandbox import controls
from sandbox.tiktok.audiences import settle
from sandbox.tiktok.state import Audience, Twin

COUNTERS = ("rows_received", "requests_add", "requests_remove", "requests_replace")


class Controls(controls.Controls[Twin, Audience]):
    """What TikTok's audiences show."""

    def settle(self, audiences: Iterable[Audience]) -> None:
        """Let the time that has passed do its work on what is about to be shown."""
        for audience in audiences:
            settle(self.twin, audience)

    def describe(self, audience: Audience) -> dict[str, Any]:
        """What is shown of one audience."""
        about: dict[str, Any] = {"id": audience.audience_id, "account_id": audience.advertiser_id}
        about |= {"deleted": audience.deleted, "name": audience.name, "streaming": audience.streaming}
        about |= {name: audience.counters[name] for name in COUNTERS}
        held = {"held_rows": len(audience.members.rows), "held_people": len(audience.members.people())}
        return about | held | {"processing": audience.job is not None, "error_msg": audience.error_msg}

    def people_of(self, audience: Audience) -> Iterable[int]:
        """The numbers of the people whom an audience holds."""
        return audience.members.people()


def install(app: web.Application, twin: Twin) -> None:
    """Give a twin its control routes."""
    Controls(twin, twin.audiences).install(app)
