"""`audit`: writes out the audit log."""

from __future__ import annotations

import click

from cdp_bridge.cli.options import open_store, store_option
from cdp_bridge.cli.output import print_json_line


@click.command()
@click.option("--after", type=click.IntRange(0), default=0, show_default=True, help="From the entry after this number.")
@store_option
def audit(after: int, store_url: str) -> None:
    """Print the audit log as JSON lines, oldest entry first, each with its digest in the chain."""
    import msgspec

    with open_store(store_url) as store:
        for entry, digest in store.audit.all(after):
            line = {**msgspec.to_builtins(entry), "digest": digest.hex() if digest else None}
            print_json_line(line)
