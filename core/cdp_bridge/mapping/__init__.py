"""Data mappings: a list of `DataMapping` compiled to one DuckDB SELECT over a page of records."""

from .compile import compile_mapping
from .mapper import Mapper, refuse
from .policy import Form, allowed, withheld
from .records import record_batch

__all__ = ["Form", "Mapper", "allowed", "compile_mapping", "record_batch", "refuse", "withheld"]
