"""A process is known by more than its number, which others get after it."""

import os
import re
import subprocess
import sys

import pytest
from cdp_bridge import processes

NAME = "from cdp_bridge import processes; print(processes.this_process(), flush=True); input()"


def test_a_process_is_alive_until_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        name = it.stdout.readline().strip()
        assert not processes.is_dead(name)
        it.kill()
        it.wait()
        assert processes.is_dead(name)


def test_who_has_the_number_of_another_is_not_the_other() -> None:
    name = processes.this_process()
    assert not processes.is_dead(name)
    assert processes.is_dead(re.sub(r"started \d+", "started 1", name))


@pytest.mark.parametrize(
    ("pattern", "other"),
    [(r"(started \d+), \S+", r"\1, another-boot"), (r"pid:\[\d+\]", "pid:[1]"), (r" \(.*", ""), (r" \(.*", " pid:[1]")],
)
def test_of_another_machine_or_without_a_start_nothing_is_known(pattern: str, other: str) -> None:
    name = processes.this_process().replace(f"process {os.getpid()} ", "process 999999999 ")
    assert processes.is_dead(name)
    assert not processes.is_dead(re.sub(pattern, other, name))


def test_people_read_number_and_host() -> None:
    assert processes.readable(processes.this_process()) == f"process {os.getpid()} on {os.uname().nodename}"
    assert processes.readable("process 7 on host") == "process 7 on host"


def test_a_fork_has_a_name_of_its_own() -> None:
    mine = processes.this_process()
    reads, writes = os.pipe()
    if not (child := os.fork()):
        os.write(writes, processes.this_process().encode())
        os._exit(0)
    os.waitpid(child, 0)
    other = os.read(reads, 1_000).decode()
    os.close(reads)
    os.close(writes)
    assert other.startswith(f"process {child} on ")
    assert processes.is_dead(other)
    assert not processes.is_dead(mine)
