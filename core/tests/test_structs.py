"""Threads that convert to the same Struct for the first time do not end the process, once it was made ready."""

from __future__ import annotations

import subprocess
import sys

import pytest

RACE = """
import sys, threading, msgspec
from cdp_bridge.structs import make_ready

def defined(later="dict[str, int]"):
    inner = msgspec.defstruct("Inner", [("a", int), ("c", later + " | None", None)], module="__main__")
    return msgspec.defstruct("Outer", [("x", inner), ("y", list[inner]), ("w", tuple[inner, ...] | None, None)])

def half_imported():
    globals().pop("Later", None)
    outer = defined("Later")
    make_ready()
    globals()["Later"] = msgspec.defstruct("Later", [("d", int)])
    return outer

def race(outer):
    together, done = threading.Barrier(4), []

    def convert():
        make_ready()
        together.wait()
        done.append(msgspec.convert({"x": {"a": 1}, "y": [{"a": 2}]}, outer).y[0].a)

    threads = [threading.Thread(target=convert) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [2] * 4

sys.setswitchinterval(1e-6)
for _ in range(300):
    race({how}())
"""
"""Without `make_ready` this is over in the first rounds, with a segmentation fault."""


@pytest.mark.parametrize("how", ["defined", "half_imported"])
def test_threads_that_begin_together_convert_to_new_structs(how: str) -> None:
    script = RACE.replace("{how}", how)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_struct_that_cannot_be_read_is_left_alone() -> None:
    made = (
        "import msgspec; from cdp_bridge.structs import make_ready\n"
        "class Strange(msgspec.Struct):\n"
        "    unresolved: 'Nowhere'\n"
        "make_ready(); make_ready()\n"
    )
    done = subprocess.run([sys.executable, "-c", made], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
