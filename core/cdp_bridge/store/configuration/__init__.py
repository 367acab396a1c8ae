"""The configuration of the bridge."""
