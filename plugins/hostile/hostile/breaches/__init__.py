"""Connectors that each break one rule of docs/connector-spec.md, in a way in which integrators do break it."""
