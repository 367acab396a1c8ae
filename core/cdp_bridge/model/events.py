"""What a person did, as a platform learns of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field


class Item(Struct, frozen=True, kw_only=True):
    """A product in a conversion; `price` is that of one, in the conversion's currency."""

    id: str
    quantity: float | None = None
    price: float | None = None

    @property
    def whole_quantity(self) -> int | None:
        """The quantity, if it is a whole number: platforms count pieces."""
        return int(self.quantity) if self.quantity is not None and self.quantity == int(self.quantity) else None


class Conversion(Struct, frozen=True, kw_only=True):
    """Something that a person did and that a platform learns of.

    `event_id` tells it apart: a platform counts one id once, so a repeat is harmless. `event_name` is in snake_case
    (`purchase`, `add_to_cart`, `lead`; other names are allowed), `occurred_at` in seconds since 1970, `source` where it
    happened. `click_ids` are what platforms have put into links and cookies, by their own names (`fbc`, `fbp`, `gclid`,
    `gbraid`, `wbraid`, `ttclid`, `ttp`). `value` is in `currency` (ISO 4217).
    """

    event_id: str
    event_name: str
    occurred_at: float
    source: Literal["web", "app", "store", "crm"] = "web"
    url: str | None = None
    value: float | None = None
    currency: str | None = None
    order_id: str | None = None
    items: tuple[Item, ...] = ()
    click_ids: Mapping[str, str] = field(default_factory=dict)
    ip_address: str | None = None
    user_agent: str | None = None
