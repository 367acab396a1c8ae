"""Opens the in-memory DuckDB connection: bounded, without access to files, network or extensions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def connect(
    memory: str = "240MB", temp_directory: Path | None = None, threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """A new in-memory database whose configuration is locked; close it when done.

    `memory` is DuckDB's limit for its own buffers; what exceeds it spills to `temp_directory` (enciphered, under a key
    that is gone with the connection), without one it is an error. `threads` None leaves one per core. Python variables
    are no tables: `register` what SQL shall see.
    """
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "temp_directory": str(temp_directory or ""),
        # Spilled blocks hold personal values. The built-in cipher is called unsafe for its random numbers; the better
        # one would be an extension from the network.
        "temp_file_encryption": True,
        "force_mbedtls_unsafe": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
    }
    if threads is not None:
        config["threads"] = threads
    connection = duckdb.connect(":memory:", config=config)
    # DuckDB refuses a temp_directory once external access is off, so that comes second.
    connection.execute("SET enable_external_access = false")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET lock_configuration = true")
    return connection
