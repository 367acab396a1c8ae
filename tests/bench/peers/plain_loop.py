"""One plain loop with hashlib: `python -m tests.bench.peers.plain_loop PEOPLE {phonenumbers | digits}`."""

from __future__ import annotations

import re
import sys
import time

from . import payload


def main(people: str, phones: str) -> None:
    """Read, hash and drop everybody; with `digits`, phones are taken for international and only stripped."""
    if phones == "digits":
        payload.phone = lambda raw, country: re.sub("[^0-9]", "", raw)
    started = time.monotonic()
    sink = payload.Sink()
    rows: list[payload.Row] = []
    for record in payload.records(people):
        rows.append(payload.row(record))
        if len(rows) == payload.ROWS:
            sink.send(rows)
            rows = []
    if rows:
        sink.send(rows)
    payload.report(started, sink.members)


if __name__ == "__main__":
    main(*sys.argv[1:])
