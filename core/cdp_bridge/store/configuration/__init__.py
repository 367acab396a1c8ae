"""The configuration of the bridge, as the store keeps it."""
