"""/v1/audit: the audit log."""

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
        """List changes, newest first: who, when, entry, and fields before and after; settings without values."""
        entries = core.store.audit.newest(core.page_tokens.open(cursor, int), limit + 1)
        return page(core.page_tokens, entries, limit, lambda entry: entry.number)
