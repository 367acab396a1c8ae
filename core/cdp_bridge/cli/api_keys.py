"""`keys create`, `keys list`, `keys revoke`: manages the keys of the API."""

from __future__ import annotations

import click

from cdp_bridge.cli.options import command_line_user, json_option, open_store, store_option
from cdp_bridge.cli.output import print_json, print_table


@click.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "operator", "admin"]), default="viewer", show_default=True)
@click.option("--sees-hashes", is_flag=True, help="Let it see the hashed identifiers of single people.")
@click.option(
    "--days", type=click.IntRange(1, 3_650), default=90, show_default=True, help="After how many days it expires."
)
@store_option
@json_option
def create_key(name: str, role: str, sees_hashes: bool, days: int, store_url: str, as_json: bool) -> None:
    """Create a key for the API, and print it; it cannot be shown again."""
    from datetime import timedelta
    from typing import cast

    from cdp_bridge.entities import Role
    from cdp_bridge.store.access.audit import AuditRecord

    with open_store(store_url) as store:
        store.audit.add(AuditRecord(who=command_line_user(), action="create", kind="api key", name=name))
        key, text = store.api_keys.create(name, cast(Role, role), sees_hashes=sees_hashes, life=timedelta(days=days))
    if as_json:
        print_json({"id": key.id, "key": text})
    else:
        click.echo(text)


@click.command("list")
@store_option
@json_option
def list_key(store_url: str, as_json: bool) -> None:
    """List the keys of the API, revoked ones too."""
    with open_store(store_url) as store:
        listed = store.api_keys.all()
    if as_json:
        print_json(listed)
        return
    rows = [
        (key.id, key.name, key.role, key.sees_hashes, key.created_at, key.expires_at, key.revoked_at) for key in listed
    ]
    print_table(("id", "name", "role", "sees hashes", "created", "expires", "revoked"), rows)


@click.command("revoke")
@click.argument("key_id", metavar="ID")
@store_option
def revoke_key(key_id: str, store_url: str) -> None:
    """Revoke a key at once."""
    from cdp_bridge.store.access.audit import AuditRecord

    with open_store(store_url) as store:
        store.api_keys.revoke(key_id)
        store.audit.add(AuditRecord(who=command_line_user(), action="revoke", kind="api key", name=key_id))
