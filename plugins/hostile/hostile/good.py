"""How the good source and the good destination connect and check."""

from __future__ import annotations

from cdp_bridge.sdk import Client, Probe

from hostile.settings import Account


class Good:
    """An account at the vendor, reached through `client`."""

    client = Client

    @classmethod
    def check(cls, settings: Account) -> list[Probe]:
        """Whether the token may see lists."""
        return [Probe.of("token", lambda: cls.authorised(settings))]

    @classmethod
    def authorised(cls, settings: Account) -> str:
        """What a good token may do."""
        with cls.connected(settings) as client:
            client.read("/v1/lists", params={"tag": ""})
        return "lists can be read"

    @classmethod
    def connected(cls, settings: Account) -> Client:
        """A session with the vendor."""
        return cls.client(settings.base_url, headers={"Authorization": f"Bearer {settings.token.reveal()}"})
