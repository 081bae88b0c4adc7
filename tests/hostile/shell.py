"""The command as a shell starts it: a process of its own, whose memory can be asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MEASURED = """
import atexit, pathlib, sys
def most():  # of this process alone: what `getrusage` tells begins with the parent's
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("VmHWM"))
atexit.register(lambda: print(most(), file=sys.stderr))
from minimize.cli import entry
entry()
"""


@dataclass(frozen=True)
class Ended:
    """How a process ended, what it printed, and the most memory that it held, in bytes."""

    code: int
    out: str
    err: str
    memory: int

    @property
    def json(self) -> Any:
        """Its result for machines."""
        return json.loads(self.out)


def minimize(folder: Path, *arguments: object) -> Ended:
    """`minimize ARGUMENTS` in a folder that holds `test.keys`."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("MINIMIZE_")}
    env["MINIMIZE_KEYS"] = str(folder / "test.keys")
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *map(str, arguments)], cwd=folder, env=env, capture_output=True, text=True
    )
    *err, memory = done.stderr.splitlines()
    return Ended(done.returncode, done.stdout, "\n".join(err), 1024 * int(memory))
