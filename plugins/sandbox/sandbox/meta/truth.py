"""The Meta twin's own controls under /_twin: the ground truth, configuration and clock."""

from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from sandbox import controls
from sandbox.meta.audiences import operation_status
from sandbox.meta.state import Audience, Twin

COUNTERS = (
    "rows_received",
    "rows_invalid",
    "rows_dropped",
    "requests_add",
    "requests_remove",
    "requests_replace",
)


class Mood(msgspec.Struct, forbid_unknown_fields=True):
    """What a test does to one audience: a forced operation_status (after so many more membership calls), lookalikes."""

    operation_status: int | None = None
    after: int = 0
    lookalikes: int = 0


class Controls(controls.Controls[Twin, Audience]):
    """What Meta's audiences show, and the mood of one."""

    def install(self, app: web.Application) -> None:
        """Give an application the control routes."""
        super().install(app)
        app.router.add_post("/_twin/audiences/{id}", self.set_audience)

    def describe(self, audience: Audience) -> dict[str, Any]:
        """What is shown of one audience."""
        about = {"id": audience.audience_id, "account_id": audience.account_id, "deleted": audience.deleted}
        about |= {"name": audience.fields["name"], "description": audience.fields.get("description")}
        about |= {name: audience.counters[name] for name in COUNTERS}
        held = {"held_rows": len(audience.members.rows), "held_people": len(audience.members.people())}
        return about | held | {"operation_status": operation_status(self.twin, audience)}

    def people_of(self, audience: Audience) -> Iterable[int]:
        """The numbers of the people whom an audience holds."""
        return audience.members.people()

    async def set_audience(self, request: web.Request) -> web.Response:
        """Answer `POST /_twin/audiences/{id}`."""
        mood, audience = msgspec.json.decode(await request.read(), type=Mood), self.audience(request)
        audience.forced_status, audience.forced_after = mood.operation_status, mood.after
        audience.lookalikes = mood.lookalikes
        return controls.as_json(self.describe(audience))


def install(app: web.Application, twin: Twin) -> None:
    """Give a twin its control routes."""
    Controls(twin, twin.audiences).install(app)
