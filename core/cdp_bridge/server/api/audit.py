"""/v1/audit: who changed what, and when."""

from __future__ import annotations

from litestar import Controller

from cdp_bridge.entities import AuditEntry
from cdp_bridge.server.web.endpoint import CoreGiven, Limit, PageToken, reads
from cdp_bridge.server.web.paging import Listing, page


class AuditLog(Controller):
    """The audit log."""

    path = "/audit"
    tags = ("audit",)

    @reads("/", "admin")
    def list_audit(self, core: CoreGiven, limit: Limit = 50, cursor: PageToken = None) -> Listing[AuditEntry]:
        """List changes, newest first: who, what and when, with digests of before and after, and no value."""
        found = core.store.audit.newest(core.page_tokens.open(cursor, int), limit + 1)
        return page(core.page_tokens, found, limit, lambda one: one.number)
