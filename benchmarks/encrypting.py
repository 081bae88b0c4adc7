"""Records encrypted by category beside the same in the clear: the CPU seconds of a run, and of reading all of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.given import Given
from benchmarks.goals import ENCRYPT
from benchmarks.layouts import PLAIN, job_a, run
from benchmarks.measure import once
from benchmarks.places import HERE

LAYOUTS = {
    "in the clear": PLAIN,
    "encrypted": "{must_be: pseudonymized, encrypt: by_category}",
}
"""How the records of job A are written, by what the pipeline says of them."""
READ = """
import json, resource, sys
import minimize
minimize.read(sys.argv[1], keys=sys.argv[2])
used = resource.getrusage(resource.RUSAGE_SELF)
before = used.ru_utime + used.ru_stime
for _ in range(int(sys.argv[3])):
    minimize.read(sys.argv[1], keys=sys.argv[2])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps((used.ru_utime + used.ru_stime - before) / int(sys.argv[3])))
"""
TIMES = 3
"""How often a process reads, after once to warm up."""


def encrypted(given: Given, work: Path, runs: int) -> dict[str, Any]:
    """Per layout the least CPU seconds of a run and of a read, in alternation, and the megabytes of the records."""
    outs = {name: work / f"encrypting-{number}" for number, name in enumerate(LAYOUTS)}
    jobs = {name: job_a(outs[name], said) for name, said in LAYOUTS.items()}
    wrote: dict[str, list[float]] = {name: [] for name in LAYOUTS}
    read: dict[str, list[float]] = {name: [] for name in LAYOUTS}
    for _ in range(runs):
        for name, out in outs.items():
            shutil.rmtree(out / "out", ignore_errors=True)
            wrote[name].append(once(run(given, jobs[name], out / "out"), out / "log").cpu)
    for _ in range(runs):
        for name, out in outs.items():
            read[name].append(_read(given, out / "out"))
    return {
        name: {"run s": min(wrote[name]), "read s": min(read[name]), "MB": _megabytes(outs[name] / "out")}
        for name in outs
    }


def goals(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """What encryption may cost."""
    clear, closed = figures["in the clear"], figures["encrypted"]
    return [
        {
            "about": f"job A CPU of a {what}, encrypted ÷ in the clear",
            "goal": ENCRYPT,
            "reached": closed[of] / clear[of],
        }
        for what, of in (("run", "run s"), ("read", "read s"))
    ]


def _read(given: Given, out: Path) -> float:
    words = [sys.executable, "-c", READ, str(out), str(given.keys), str(TIMES)]
    return float(json.loads(subprocess.run(words, check=True, capture_output=True, cwd=HERE.parent).stdout))


def _megabytes(out: Path) -> float:
    return sum(path.stat().st_size for path in (out / "records").rglob("*.parquet")) / 1e6
