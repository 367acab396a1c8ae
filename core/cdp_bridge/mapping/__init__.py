"""Compiles a list of `DataMapping` to one DuckDB SELECT over a page of records."""

from cdp_bridge.mapping.compile import compile_mapping
from cdp_bridge.mapping.mapper import Mapper, refuse
from cdp_bridge.mapping.policy import Form, allowed, withheld
from cdp_bridge.mapping.presence import MissingFields
from cdp_bridge.mapping.records import record_batch

__all__ = ["Form", "Mapper", "MissingFields", "allowed", "compile_mapping", "record_batch", "refuse", "withheld"]
