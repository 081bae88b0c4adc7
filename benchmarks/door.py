"""Reading through the door: encrypted by category, over TLS, filter and views on; beside pyarrow on the same rows in the open."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.certificate import certificate
from benchmarks.data.fleet import AT
from benchmarks.given import Given
from benchmarks.goals import DOOR
from benchmarks.places import HERE, JOBS

WAYS: Final = ("door", "filtered", "whole")
"""Through the door; pyarrow with the same filter; pyarrow without one."""
LAYOUTS: Final = {"open": "{must_be: pseudonymized}", "shut": "{must_be: pseudonymized, encrypt: by_category}"}
RULES: Final = {
    "version": 1,
    "roles": {
        "reader": {
            "copy": "analyst",
            "views": {
                "benchmark_records": {
                    "event_time": {"truncate_time": {"to": "day"}},
                    "os_version": {"truncate_version": {"parts": 1}},
                }
            },
        }
    },
    "assignments": [{"role": "reader", "members": {"users": ["ann"]}, "scope": {"tenants": "all", "datasets": "all"}}],
}


def read(given: Given, work: Path, runs: int) -> dict[str, Any]:
    """Per way the least wall and CPU seconds of several turns, the server's among them, and the rows."""
    house = work / "door"
    shutil.rmtree(house, ignore_errors=True)
    for name, records in LAYOUTS.items():
        _write(given, house / name, records)
    (house / "access.yaml").write_text(json.dumps(RULES))
    taken: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with _serving(house) as words:
        for _ in range(runs):
            for way in WAYS:
                taken[way].append(_once(way, words if way == "door" else [str(house / "open" / "out" / "records")]))
    return {
        way: {what: min(each[what] for each in took) for what in ("wall", "cpu")} | {"rows": took[0]["rows"]}
        for way, took in taken.items()
    }


def goals(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """What the door may cost: throughput beside pyarrow's, higher is better; here as its inverse, as all goals are."""
    return [
        {"about": f"door {what} ÷ pyarrow on open files, same filter", "goal": DOOR, "reached": ratio}
        for what in ("cpu", "wall")
        if (ratio := figures["door"][what] / figures["filtered"][what])
    ]


def lines(figures: dict[str, Any]) -> str:
    """The figures as lines of text."""
    told = [f"{way:10}{row['wall']:>10.3f}{row['cpu']:>10.3f}{row['rows']:>12,.0f}" for way, row in figures.items()]
    ratios = [
        f"throughput through the door ÷ pyarrow {way}: wall {figures[way]['wall'] / figures['door']['wall']:.2f}, "
        f"CPU {figures[way]['cpu'] / figures['door']['cpu']:.2f}"
        for way in WAYS[1:]
    ]
    return "\n".join([f"{'read':10}{'wall s':>10}{'CPU s':>10}{'rows':>12}", *told, *ratios])


def _write(given: Given, folder: Path, records: str) -> None:
    """Job A with other words about its records."""
    folder.mkdir(parents=True)
    shutil.copy(JOBS / "job_a" / "policy.yaml", folder)
    text = (JOBS / "job_a" / "pipeline.yaml").read_text().replace("{must_be: pseudonymized}", records)
    (folder / "pipeline.yaml").write_text(text)
    shutil.copy(given.keys, folder / "keys")
    options = ["--input", given.devices / "*.parquet", "--settings", given.settings, "--keys", folder / "keys"]
    _minimize(folder, "run", folder, *options, "--at", AT.isoformat(), "--output", folder / "out")


@contextmanager
def _serving(house: Path) -> Iterator[list[str]]:
    """A server over the encrypted records: its process, URL, certificate and a token, as a client wants them."""
    made = certificate(house, datetime.now(UTC))
    keys, out = house / "shut" / "keys", house / "shut" / "out"
    words = ["--keys", keys, "--access", house / "access.yaml", "--cert", made.certificate, "--key", made.key]
    call = [sys.executable, "-m", "minimize", "serve", out, *words, "--port", "0", "--json"]
    token = _minimize(house / "shut", "access", "token", "--user", "ann", "--keys", keys).stdout.strip()
    with subprocess.Popen(
        [*map(str, call)], stdout=subprocess.PIPE, text=True, cwd=HERE.parent, env=_env(house / "shut")
    ) as server:
        assert server.stdout is not None
        said = "".join(iter(server.stdout.readline, "}\n")) + "}"
        try:
            yield [str(server.pid), json.loads(said)["url"], str(made.certificate), token]
        finally:
            server.terminate()


def _once(way: str, words: list[str]) -> dict[str, float]:
    """One read in a process of its own."""
    call = [sys.executable, "-m", "benchmarks.visiting", way, *words]
    found: dict[str, float] = json.loads(subprocess.run(call, check=True, capture_output=True, cwd=HERE.parent).stdout)
    return found


def _minimize(folder: Path, *words: Any) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "minimize", *map(str, words)]
    return subprocess.run(call, check=True, capture_output=True, text=True, cwd=HERE.parent, env=_env(folder))


def _env(folder: Path) -> dict[str, str]:
    return {**os.environ, "MINIMIZE_LEDGER": str(folder / "ledger.db")}
