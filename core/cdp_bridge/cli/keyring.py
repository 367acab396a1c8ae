"""`keys rotate`: encrypts the secrets of the store under a new key."""

from __future__ import annotations

import click

from cdp_bridge.cli.options import open_store, store_option


@click.command("rotate")
@click.option(
    "--drop-old", is_flag=True, help="Delete the old keys; secrets in backups made before cannot be read then."
)
@store_option
def rotate_key(drop_old: bool, store_url: str) -> None:
    """Encrypt all secrets of the store under a new key; continues after an interruption."""
    with open_store(store_url) as store:
        renewed = sum(store.secrets.rotate())
        click.echo(f"Secrets encrypted under a new key: {renewed}")
        if drop_old:
            dropped = store.secrets.drop_keys()
            click.echo(f"Old keys deleted: {len(dropped)}")
