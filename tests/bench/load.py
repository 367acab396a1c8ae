"""An open-loop HTTP client: requests start on time, whether or not earlier ones are answered.

`python -m tests.bench.load URL REQUESTS_A_SECOND SECONDS`, with the key in `BENCH_KEY`; prints a JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from itertools import cycle, islice
from typing import Any
from urllib.parse import urlsplit

# Of a hundred requests, one is a scrape: two a second are more than any number of Prometheus servers ask for.
SHARES = {"list": 30, "page": 25, "run": 30, "audiences": 10, "audience": 4, "metrics": 1}
MIX = random.Random(1).sample([name for name, share in SHARES.items() for _ in range(share)], 100)


class Client:
    """Requests over connections that are kept open, as many as there are requests under way."""

    def __init__(self, url: str, key: str) -> None:
        self._place = urlsplit(url)
        self._head = f"Host: {self._place.netloc}\r\nAuthorization: Bearer {key}\r\n\r\n"
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of an answer."""
        # The server closes those that were idle for long.
        self._idle = [one for one in self._idle if not one[0].at_eof()]
        place = self._place.hostname, self._place.port
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(*place)
        writer.write(f"GET {path} HTTP/1.1\r\n{self._head}".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
        body = await reader.readexactly(int(length.partition(":")[2]))
        self._idle.append((reader, writer))
        return int(head.split(" ")[1]), body


async def addresses(client: Client) -> dict[str, Any]:
    """For each part of the mix, addresses that take turns: pages deep in the list, runs of many ages."""
    pages, runs, cursor = list[str](), list[str](), ""
    for _ in range(10):
        found = json.loads((await client.get(f"/v1/runs?limit=50{cursor}"))[1])
        cursor = f"&cursor={found['next']}"
        pages.append(f"/v1/runs?limit=50{cursor}")
        runs += [f"/v1/runs/{one['id']}" for one in found["items"]]
    audiences = json.loads((await client.get("/v1/audiences?limit=200"))[1])["items"]
    named = [f"/v1/runs?audience={one['name']}" for one in audiences]
    of = {
        "list": ["/v1/runs", *named],
        "page": pages,
        "run": runs,
        "audiences": ["/v1/audiences"],
        "audience": [f"/v1/audiences/{one['name']}" for one in audiences],
        "metrics": ["/metrics"],
    }
    return {name: cycle(paths) for name, paths in of.items()}


async def load(url: str, rate: float, seconds: float) -> dict[str, Any]:
    """Milliseconds from when a request was due to the end of its answer; by part of the mix, and of all."""
    client = Client(url, os.environ["BENCH_KEY"])
    paths = await addresses(client)
    took: list[tuple[str, float]] = []
    statuses: Counter[int] = Counter()

    async def ask(name: str, due: float) -> None:
        try:
            status, _ = await client.get(next(paths[name]))
        except (OSError, asyncio.IncompleteReadError):
            status = 0
        took.append((name, (time.perf_counter() - due) * 1_000))
        statuses[status] += 1

    for name in MIX:
        await ask(name, time.perf_counter())
    took.clear()
    statuses.clear()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, name in enumerate(islice(cycle(MIX), int(rate * seconds))):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(ask(name, due))
    lasted = time.perf_counter() - began
    parts = {name: [took for part, took in took if part == name] for name in SHARES}
    everything = [one for _, one in took]
    return {
        "rate": len(took) / lasted,
        "p50": _percentile(everything, 0.5),
        "p99": _percentile(everything, 0.99),
        "p99s": {name: _percentile(found, 0.99) for name, found in parts.items()},
        "bad": sum(count for status, count in statuses.items() if status != 200),
    }


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[int(len(values) * part)]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))))
