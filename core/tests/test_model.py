"""Values that connectors get: what they work out by themselves."""

import pytest
from cdp_bridge.model import Item


@pytest.mark.parametrize(
    ("quantity", "pieces"), [(None, None), (0.0, 0), (2.0, 2), (-1.0, -1), (2.5, None), (1e12, 10**12)]
)
def test_a_quantity_counts_in_whole_pieces_only(quantity: float | None, pieces: int | None) -> None:
    counted = Item(id="sku", quantity=quantity).whole_quantity
    assert counted == pieces
    assert not isinstance(counted, float)
