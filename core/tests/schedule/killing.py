"""Two schedulers, each also a worker, on one store, killed at random; afterwards everything is worked off.

`python killing.py URL KILLS LOG` prints when scheduling ended.
"""

import mmap
import os
import random
import signal
import struct
import sys
import time
from datetime import UTC, datetime, timedelta

from cdp_bridge.schedule import Scheduler, finish
from cdp_bridge.store import LeaseHeldError, Store
from cdp_bridge.store.database import Database

START = datetime(2026, 3, 28, tzinfo=UTC)
STEP = timedelta(minutes=50)


class Clock:
    """A moment that all processes share; the parent moves it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def move(self, steps: int) -> None:
        self._memory[:] = struct.pack("q", steps)

    def now(self) -> datetime:
        (steps,) = struct.unpack("q", self._memory[:])
        return START + int(steps) * STEP


def opened(url: str) -> Store:
    """The store, without the look at its tables that would cost more than everything else here."""
    return Store(Database(url, time.time))


def work_off(store: Store, clock: Clock, log: int) -> int:
    """Run what is ready, and what a killed worker left, telling the log before and after; how many were run."""
    done = 0
    for request in [*store.requests.newest(state="running"), *store.requests.ready(5)]:
        try:
            with store.requests.hold(request.audience) as lease:
                if store.requests.start(request.id, lease):
                    os.write(log, f"{request.audience} {lease.token} begins\n".encode())
                    os.write(log, f"{request.audience} {lease.token} ends\n".encode())
                    finish(store, request, lease, "succeeded", now=clock.now())
                    done += 1
        except LeaseHeldError:
            pass
    return done


def child(url: str, clock: Clock, log: int) -> int:
    """Start a scheduler and worker; its process number, once it has looked for the first time."""
    hears, tells = os.pipe()
    number = os.fork()
    if number == 0:
        store, first = opened(url), True
        scheduler = Scheduler(store)
        while True:
            scheduler.tick(clock.now())
            if first:
                os.write(tells, b".")
                first = False
            if not work_off(store, clock, log):
                time.sleep(0.005)
    os.close(tells)
    assert os.read(hears, 1) == b"."
    os.close(hears)
    return number


def end(number: int) -> None:
    os.kill(number, signal.SIGKILL)
    _, status = os.waitpid(number, 0)
    assert os.WIFSIGNALED(status), "it had ended by itself"


def main(url: str, kills: int, path: str) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    dice, clock = random.Random(5), Clock()
    # Imports the driver of the database here, once, and not in each child.
    opened(url).close()
    living = [child(url, clock, log), child(url, clock, log)]
    for kill in range(kills):
        clock.move(kill)
        time.sleep(dice.random() * 0.03)
        end(living.pop(dice.randrange(2)))
        living.append(child(url, clock, log))
    for survivor in living:
        end(survivor)
    clock.move(kills)
    with opened(url) as store:
        Scheduler(store).tick(clock.now())
        while work_off(store, clock, log):
            pass
    print(clock.now().isoformat(), flush=True)


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
