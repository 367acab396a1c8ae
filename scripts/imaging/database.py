"""PostgreSQL of Debian's packages, for where no registry can be reached: it takes what the public image takes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .base import LIBRARIES, imported, unpack
from .layers import digest, kept, pack, run

TAG = "cdp-bridge-postgres"
USER = 999
_PROGRAMS = "usr/lib/postgresql/15/bin"
_KEPT = (*LIBRARIES, "usr/lib/postgresql", "usr/share/postgresql", "usr/share/zoneinfo", "bin/dash")
_DATA = "var/lib/postgresql/data"
# Just-in-time compilation, which is not used here, is 100 MB.
_DROPPED = ("usr/lib/x86_64-linux-gnu/libLLVM*",)
_ENTRY = """#!/bin/sh
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" -A scram-sha-256 -E UTF8 --no-locale
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB;" | postgres --single -j -D "$PGDATA" postgres
fi
exec postgres -D "$PGDATA" -c listen_addresses=* -c jit=off -c unix_socket_directories=/var/run/postgresql
"""


def image() -> str:
    """The name of the image, made if it is not there."""
    tar = kept("database", digest([Path(__file__)]), _make)
    changes = (
        f"ENV PATH=/{_PROGRAMS}:/bin PGDATA=/{_DATA} LANG=C.UTF-8",
        f"USER {USER}:{USER}",
        f"VOLUME /{_DATA}",
        'ENTRYPOINT ["/entry"]',
    )
    run("docker", "tag", imported(f"{TAG}:{tar.name}", tar, *changes), TAG)
    return TAG


def _make(path: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "root"
        unpack("postgresql-15,dash", _KEPT, _DROPPED, root)
        for folder in (_DATA, "var/run/postgresql", "tmp", "etc"):
            (root / folder).mkdir(parents=True)
        (root / "etc/passwd").write_text(f"postgres:x:{USER}:{USER}::/{_DATA}:/bin/sh\n")
        (root / "bin/sh").symlink_to("dash")
        (root / "entry").write_text(_ENTRY)
        (root / "entry").chmod(0o755)
        pack(root, path, owner=USER)
