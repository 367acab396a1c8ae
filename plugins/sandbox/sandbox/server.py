"""Runs all twins in one process."""

import asyncio
import gc
import json
import signal
import sys
from dataclasses import dataclass

from aiohttp import web

from sandbox import google, meta, people, segment, tiktok, warehouse
from sandbox.churn import Churn


@dataclass(frozen=True)
class Options:
    """Where to listen, whom the twins know, and the warehouse to fill (its URL or None)."""

    host: str
    ports: dict[str, int]
    people: int
    seed: int
    warehouse: str | None


async def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError when a port is taken, and what the warehouse's driver raises."""
    # A twin keeps millions of small tuples alive: collecting as often as by default costs a third of its time.
    gc.set_threshold(100_000, 50, 100)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    population = people.generate(options.people, options.seed)
    apps = _twins(population, options.warehouse)
    runners = []
    try:
        where = {}
        for name, app in apps.items():
            runners.append(web.AppRunner(app, access_log=None, shutdown_timeout=1))
            where[name] = await _listen(runners[-1], options.host, options.ports[name])
        sys.stdout.write(json.dumps(where | ({"warehouse": options.warehouse} if options.warehouse else {})) + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        for runner in runners:
            await runner.cleanup()


def _twins(population: people.Population, warehouse_url: str | None) -> dict[str, web.Application]:
    """Every twin by name; they know the same people, also those that come with a later churn."""
    if warehouse_url is not None:
        warehouse.seed(warehouse_url, population)
    platforms = {"meta": meta, "tiktok": tiktok, "google": google}
    apps: dict[str, web.Application] = {name: each.create_app(population) for name, each in platforms.items()}

    def on_churn(happened: Churn) -> None:
        for name, each in platforms.items():
            each.learn(apps[name], happened.changed.values())

    return apps | {"segment": segment.create_app(population, warehouse_url, on_churn)}


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    """The base URL of a twin that has begun to listen."""
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    name, bound = runner.addresses[0][:2]
    return f"http://{name}:{bound}"
