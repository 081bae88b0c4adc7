"""Whether a process of this machine is still running."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from minimize.stores.durable_files import ProcessIdentity


def test_this_process_lives_and_one_of_another_machine_is_not_judged() -> None:
    ours = ProcessIdentity.current()
    assert not ours.is_dead()
    assert not replace(ours, machine="another", pid=1 << 22).is_dead()
    assert not replace(ours, machine="", pid=1 << 22).is_dead()
    assert replace(ours, pid=1 << 22).is_dead()


def test_a_process_that_was_killed_and_not_buried_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    born = replace(ProcessIdentity.current(), pid=child.pid)
    living = next(replace(born, born=ticks) for ticks in [_ticks(child.pid)])
    assert not living.is_dead()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert living.is_dead()
    child.wait()


def _ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[19])
