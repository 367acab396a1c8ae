"""Settings that cannot be shown without an HTTP client, since it is imported beside them."""

import requests

from hostile.settings import Account


class HeavyAccount(Account, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """An account that also knows how to connect."""

    def session(self) -> requests.Session:
        """Why the import seemed to be needed."""
        return requests.Session()
