"""The Google twin's own controls under /_twin: the ground truth, configuration and clock."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from sandbox import controls
from sandbox.google.processing import people, settle
from sandbox.google.state import Twin, UserList

COUNTERS = (
    "rows_received",
    "rows_refused",
    "partly_removed",
    "requests_ingest",
    "requests_remove",
    "requests_remove_all",
)


class Controls(controls.Controls[Twin, UserList]):
    """What Google's user lists show, and what became of each request."""

    def install(self, app: web.Application) -> None:
        """Give an application the control routes."""
        super().install(app)
        app.router.add_get("/_twin/submissions", self.submissions)

    def settle(self, audiences: Iterable[UserList]) -> None:
        """Let the time that has passed do its work, on all lists."""
        settle(self.twin)

    def describe(self, audience: UserList) -> dict[str, Any]:
        """What is shown of one list."""
        about: dict[str, Any] = {"id": audience.list_id, "account_id": audience.account_id}
        about |= {"deleted": audience.deleted, "name": audience.fields["displayName"]}
        about |= {"integration_code": audience.fields.get("integrationCode")}
        about |= {name: audience.counters[name] for name in COUNTERS}
        members = audience.members.members()
        return about | {"held_rows": len(members), "held_people": len(people(self.twin.directory, members))}

    def people_of(self, audience: UserList) -> Iterable[int]:
        """The numbers of the people whom a list holds."""
        return people(self.twin.directory, audience.members.members())

    def sums(self) -> dict[str, Any]:
        """Sums over all lists, events, requests under way, and the time of the twin."""
        return super().sums() | {"pending": len(self.twin.pending)}

    async def submissions(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/submissions`: every accepted request with what became of it."""
        self.settle(())
        return controls.as_json(
            [
                {
                    "request_id": one.request_id,
                    "kind": one.kind,
                    "sent": one.sent,
                    "due": one.due,
                    "outcome": one.outcome,
                }
                for one in self.twin.submissions.values()
            ]
        )


def install(app: web.Application, twin: Twin) -> None:
    """Give a twin its control routes."""
    Controls(twin, twin.lists).install(app)
