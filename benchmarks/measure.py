"""One contender, one process, one measurement: wall and CPU seconds, and the most memory that its processes held at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.contenders import Contender
from benchmarks.contenders.ingest import KEEP
from benchmarks.data.fleet import AT
from benchmarks.given import Given
from benchmarks.places import HERE

EVERY = 0.05
"""Seconds between two looks at the memory of a process and its children."""
TWO = {"POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2"}
"""Threads of Polars and of Arrow, whatever the machine has; DuckDB and the kernels say so themselves."""
LEDGER = "MINIMIZE_LEDGER"
"""Not passed on: each output has a ledger of its own."""
_PAGE, _TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A contender that did not come to its end."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took."""

    wall: float
    cpu: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Figure:
    """What several runs took: medians, and the smallest and largest."""

    runs: tuple[Run, ...]

    def of(self, what: str) -> float:
        """The median of `wall`, `cpu` or `megabytes`."""
        return float(median(getattr(run, what) for run in self.runs))

    def spread(self, what: str) -> tuple[float, float]:
        """The smallest and the largest."""
        values = [getattr(run, what) for run in self.runs]
        return min(values), max(values)


def command(contender: Contender, given: Given, out: Path) -> list[str]:
    """How a contender is called."""
    if contender.module is not None:
        return [sys.executable, "-m", "benchmarks.contenders", contender.module, str(given.folder), str(out)]
    options = {
        "--input": given.devices / "*.parquet",
        "--settings": given.settings,
        "--keys": given.keys,
        "--at": AT.isoformat(),
        "--output": out,
        **({"--date": AT.date()} if contender.exact else {}),  # exact figures are published once for each date
    }
    return [
        sys.executable,
        "-m",
        "minimize",
        "run",
        str(contender.pipeline),
        *(str(word) for pair in options.items() for word in pair),
    ]


def once(words: Sequence[str], log: Path, extra: Mapping[str, str] | None = None) -> Run:
    """Runs a command to its end. Raises Failed with the end of what it said."""
    call = [sys.executable, "-I", "-S", str(HERE / "launch.py"), str(log), *words]
    own_ledger = {name: value for name, value in os.environ.items() if name != LEDGER}
    environment = {**own_ledger, **TWO, **(extra or {})}
    with subprocess.Popen(call, stdout=subprocess.PIPE, cwd=HERE.parent, env=environment) as launcher:
        watch = Watch(launcher.pid)
        told, _ = launcher.communicate()
        most, used = watch.stop()
    took = json.loads(told)
    if took["exit"]:
        raise Failed(f"{' '.join(words[:5])}: exit {took['exit']}\n{log.read_text(errors='replace')[-2000:]}")
    return Run(took["wall"], max(used, took["cpu"]), max(most, took["most"]) / 1e6)


def kept(contender: Contender, given: Given, out: Path) -> Run:
    """The warm-up: the outcome stays, to be compared."""
    shutil.rmtree(out, ignore_errors=True)
    return once(command(contender, given, out), out.with_suffix(".log"), {KEEP: "1"})


def timed(contender: Contender, given: Given, out: Path) -> Run:
    """A measured run; what it wrote is removed."""
    shutil.rmtree(out, ignore_errors=True)
    run = once(command(contender, given, out), out.with_suffix(".log"))
    shutil.rmtree(out, ignore_errors=True)
    return run


class Watch:
    """Looks at the memory of all that a process starts, itself left out, and remembers the most; and at their CPU seconds.

    Pages that processes share are counted once for each of them: with workers the figure is an upper bound. CPU seconds are
    what each process had used when it was last seen: a kernel forgets those of children that nobody waits for.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._most, self._done = pid, 0, threading.Event()
        self._used: dict[tuple[int, int], int] = {}
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> tuple[int, float]:
        """The most bytes seen, and the CPU seconds of all processes seen."""
        self._done.set()
        self._thread.join()
        return self._most, sum(self._used.values()) / _TICKS

    def _look(self) -> None:
        while not self._done.wait(EVERY):
            below = [*_below(self._pid)]
            self._most = max(self._most, sum(map(_held, below)))
            self._used.update(used for pid in below if (used := _used(pid)) is not None)


def _held(pid: int) -> int:
    """The resident bytes of a process; 0 for one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _used(pid: int) -> tuple[tuple[int, int], int] | None:
    """A process, by its number and its start, and the ticks that it has used; None for one that is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (pid, int(words[19])), int(words[11]) + int(words[12])


def _below(pid: int) -> Iterator[int]:
    """The descendants of a process."""
    for child in _children(pid):
        yield child
        yield from _below(child)


def _children(pid: int) -> list[int]:
    try:
        lists = [task.read_text() for task in Path(f"/proc/{pid}").glob("task/*/children")]
    except OSError:
        return []
    return [int(word) for words in lists for word in words.split()]
