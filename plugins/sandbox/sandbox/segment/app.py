"""The Segment twin as an HTTP application: all surfaces on one port, told apart by their paths."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox import faults, journal
from sandbox.churn import Churn
from sandbox.people import Population
from sandbox.segment import activations, control, oauth, previews, profile_api, public_api, regulations, tracking
from sandbox.segment.refusals import RefusalError, public
from sandbox.segment.twin import TWIN, Twin

_MAX_BODY = 8 * 2**20


def create_app(
    population: Population, warehouse_url: str | None = None, on_churn: Callable[[Churn], None] | None = None
) -> web.Application:
    """The twin of a workspace whose people are `population`.

    A churn moves on the warehouse at `warehouse_url`, which the caller has seeded (`sandbox.warehouse.seed`), and is
    then told to `on_churn`, so that another twin can learn of the new people.
    """
    app = web.Application(client_max_size=_MAX_BODY)
    app[TWIN] = Twin(population, warehouse_url)
    journal.install(app)
    faults.install(app)
    app.middlewares.append(_refuse)
    control.install(app, on_churn)
    profile_api.install(app)
    oauth.install(app)
    tracking.install(app)
    for surface in (previews, activations, regulations, public_api):
        surface.install(app)
    public_api.install_fallback(app)
    return app


@web.middleware
async def _refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusalError as refusal:
        return refusal.response()
    except web.HTTPRequestEntityTooLarge:
        return public(413, "payload-too-large", "The request body is too large.").response()
