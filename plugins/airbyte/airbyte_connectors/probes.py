"""Checks that sources and destinations share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from cdp_bridge.sdk import ConfigError, Probe

from airbyte_connectors.conformity import check_config, check_schema
from airbyte_connectors.program import Program, Settings, with_secrets

Finding = tuple[str, Callable[[], str]]


def probe(settings: Settings, program: Program, *more: Finding) -> list[Probe]:
    """Whether it runs, has a spec that its config fits, connects, and what `more` there is; up to the first failure."""
    specification = cache(program.specification)

    def runs() -> str:
        specification()
        return f"{program.name} runs"

    def spec() -> str:
        check_schema(specification())
        return f"it describes {len(specification().get('properties', {}))} settings"

    def config() -> str:
        check_config(specification(), with_secrets(settings), settings.config)
        return "it is as the connector wants it"

    def connection() -> str:
        return _connection(program)

    probes: list[Probe] = []
    for name, finding in (("connector", runs), ("spec", spec), ("config", config), ("connection", connection), *more):
        probes.append(Probe.of(name, finding))
        if not probes[-1].passed:
            break
    return probes


def _connection(program: Program) -> str:
    status = next((message.connection_status for message in program.ask("check") if message.connection_status), None)
    if status is None:
        remedy = "Report it to the connector's maintainers"
        raise ConfigError("it did not say whether it can connect", place=program.name, remedy=remedy)
    if status.status != "SUCCEEDED":
        remedy = "Check config and secrets by the connector's documentation"
        raise ConfigError(status.message or "it cannot connect", place=program.name, remedy=remedy)
    return "the connector's own check has succeeded"
