"""`keys rotate`: another key under which the store keeps its secrets."""

from __future__ import annotations

import click

from cdp_bridge.cli.options import open_store, store_option


@click.command("rotate")
@click.option(
    "--drop-old", is_flag=True, help="Forget the old keys; secrets in backups made before cannot be read then."
)
@store_option
def rotate_key(drop_old: bool, store_url: str) -> None:
    """Keep all secrets of the store under a new key; after an interruption, go on with it."""
    with open_store(store_url) as store:
        renewed = sum(store.secrets.rotate())
        click.echo(f"Secrets kept under a new key: {renewed}")
        if drop_old:
            dropped = store.secrets.drop_keys()
            click.echo(f"Old keys forgotten: {len(dropped)}")
