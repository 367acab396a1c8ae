"""`keys`: who may use the API, and what secrets are kept under; each subcommand is in a module of its own."""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {"create": "api_keys", "list": "api_keys", "revoke": "api_keys", "rotate": "keyring"}


class Keys(click.Group):
    """Finds each subcommand in the module that has it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name, imported now."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f".{_COMMANDS[cmd_name]}", __package__), f"{cmd_name}_key")
        return command


@click.group(cls=Keys)
def keys() -> None:
    """Make, list and revoke keys of the API; rotate the one under which secrets are kept."""
