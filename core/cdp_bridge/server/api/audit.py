"""/v1/audit: the audit log."""

from __future__ import annotations

from litestar import Controller

from cdp_bridge.entities import AuditEntry
from cdp_bridge.server.web.endpoint import CoreGiven, Filter, reads
from cdp_bridge.server.web.paging import Listing, LogPageGiven


class AuditLog(Controller):
    """The audit log."""

    path = "/audit"
    tags = ("audit",)

    @reads("/", "admin")
    def list_audit(
        self,
        core: CoreGiven,
        log_page: LogPageGiven,
        who: Filter = None,
        action: Filter = None,
        kind: Filter = None,
        name: Filter = None,
    ) -> Listing[AuditEntry]:
        """List what was done: who, when, entry, and fields before and after; settings without values."""
        window = core.page_tokens.window(log_page, tuple[int])
        entries = core.store.audit.listed(window, who=who, action=action, kind=kind, name=name)
        return core.page_tokens.page(log_page, entries, lambda entry: (entry.number,))
