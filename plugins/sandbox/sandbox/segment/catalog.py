"""The fixed contents of the sandbox workspace: space, audiences, computed traits, sources and credentials."""

from typing import Any

from msgspec import Struct

from sandbox.people import Population

WORKSPACE = {"id": "9aQ1ugJvTSZwF3oN", "slug": "sandbox", "name": "Sandbox"}
SPACE = {"id": "spa_7kQ2", "slug": "prod", "name": "Production"}
PAPI_TOKENS = {"us": "sandbox-papi-token", "eu": "sandbox-papi-token-eu"}
PROFILE_TOKENS = {"us": "sandbox-profile-token", "eu": "sandbox-profile-token-eu"}
WRITE_KEYS = {
    "us": {"sandbox-write-key": "src_sandbox", "sandbox-write-key-2": "src_second"},
    "eu": {"sandbox-write-key-eu": "src_sandbox_eu"},
}
SOURCES = frozenset(source for keys in WRITE_KEYS.values() for source in keys.values())
COMPUTED_TRAITS = ("lifetime_value",)


class Audience(Struct, frozen=True):
    """The definition of one audience, without its size."""

    id: str
    key: str
    name: str
    query: str
    kind: str = "USERS"
    cadence: str = "REALTIME"
    enabled: bool = True
    uses: str | None = None


AUDIENCES = (
    Audience("aud_31Eve", "everyone", "Everyone", "profile_exists()", cadence="BATCH"),
    Audience(
        "aud_31TbQ", "cart_abandoners_7d", "Cart abandoners 7d", "event('Product Added').within(7 days).count() >= 1"
    ),
    Audience("aud_31Vip", "vip_eu", "VIP EU", "audience('everyone') and trait('plan') = 'pro'", uses="everyone"),
    Audience("aud_31Win", "winter_sale_2025", "Winter sale 2025", "event('Winter Sale').count() >= 1", enabled=False),
    Audience(
        "aud_31Acc", "big_accounts", "Big accounts", "account.trait('seats') > 100", kind="ACCOUNTS", cadence="BATCH"
    ),
    Audience("aud_31Lnk", "renewal_due", "Renewal due", "entity('subscription').renews_within(30 days)", kind="LINKED"),
)
AUDIENCE_KEYS = frozenset(audience.key for audience in AUDIENCES)
_SIZE_TYPES = {"USERS": "USERS", "ACCOUNTS": "ACCOUNTS", "LINKED": "ENTITIES"}


def described(audience: Audience, population: Population, schedules: bool) -> dict[str, Any]:
    """An audience as the Public API shows it (section 2.4, P4)."""
    count = sum(1 for _ in population.members(audience.key))
    shown = {
        "id": audience.id,
        "spaceId": SPACE["id"],
        "name": audience.name,
        "description": f"Sandbox audience {audience.key}",
        "key": audience.key,
        "enabled": audience.enabled,
        "audienceType": audience.kind,
        "status": "Live" if audience.enabled else "Disabled",
        "computeCadence": {"type": audience.cadence},
        "size": {"count": count, "type": _SIZE_TYPES[audience.kind], "uniqueCount": count},
        "definition": {"query": audience.query, "targetEntity": "subscription" if audience.kind == "LINKED" else None},
        "options": {
            "filterByExternalIds": ["user_id", "email", "android.idfa", "ios.idfa"],
            "includeHistoricalData": True,
        },
    }
    return shown | _authored() | ({"schedules": []} if schedules else {})


def described_trait(key: str) -> dict[str, Any]:
    """A computed trait as the Public API shows it (P8)."""
    shown = {
        "id": f"ct_{key}",
        "spaceId": SPACE["id"],
        "name": key.replace("_", " ").capitalize(),
        "key": key,
        "enabled": True,
        "status": "Live",
        "definition": {"query": "event('Order Completed').sum(revenue)", "type": "USERS"},
    }
    return shown | _authored()


def _authored() -> dict[str, str]:
    return {
        "createdBy": "usr_1",
        "updatedBy": "usr_1",
        "createdAt": "2026-02-01T09:00:00.000Z",
        "updatedAt": "2026-02-03T09:00:00.000Z",
    }
