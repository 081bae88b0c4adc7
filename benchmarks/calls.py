"""Small things that are called often: a prepared minimizer on a few rows, an import, a help text."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

from benchmarks.data.fleet import AT, SCHEMA, events, fleet
from benchmarks.data.generate import SEED
from benchmarks.given import Given
from benchmarks.goals import HELP, IMPORT, MANY_ROWS_MS, ONE_ROW_MS, PREPARED
from benchmarks.places import HERE

ROWS, REPEATS, STARTS = 100, 200, 15


def prepared(given: Given) -> dict[str, float]:
    """Milliseconds of this thread in a prepared call on 100 rows and on one, and in making a table of 100 and taking them out."""
    import minimize
    from minimize.policy.load import policy_from_mapping

    policy = policy_from_mapping(_without_top())
    minimizer = minimize.prepare(
        policy, SCHEMA, purpose="service_maintenance", settings=str(given.settings), keys=str(given.keys)
    )
    table = events(fleet(2000, SEED), ROWS, (0, 1), (SEED, 5))
    rows = table.to_pylist()
    calls: dict[str, Callable[[], object]] = {
        "prepared": lambda: minimizer(table, AT),
        "prepared, 1 row": lambda: minimizer(table[:1], AT),
        "round trip": lambda: pa.Table.from_pylist(rows, SCHEMA).to_pylist(),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPEATS):
        for name, call in calls.items():
            start = time.thread_time()
            call()
            times[name].append((time.thread_time() - start) * 1000)
    return {name: median(found) for name, found in times.items()}


def _without_top() -> dict[str, object]:
    """The policy of the records job, of which `top` is left out: it wants all data first, which a single call has not."""
    from ruamel.yaml import YAML

    found = YAML(typ="safe").load(HERE / "jobs" / "job_a" / "policy.yaml")
    found["fields"]["model"]["do"] = "keep"
    return dict(found)


def starts() -> dict[str, float]:
    """Milliseconds of imports and help texts, each above (imports) or with (help) a bare interpreter."""
    scripts = Path(sys.executable).parent
    words: dict[str, Sequence[str]] = {
        "python": [sys.executable, "-c", "pass"],
        "import minimize": [sys.executable, "-c", "import minimize"],
        "import pyarrow": [sys.executable, "-c", "import pyarrow"],
        "minimize --help": [str(scripts / "minimize"), "--help"],
        "httpx --help": [str(scripts / "httpx"), "--help"],
    }
    there = {name: found for name, found in words.items() if shutil.which(found[0])}
    times: dict[str, list[float]] = {name: [] for name in there}
    for turn in range(STARTS + 1):
        for name, found in there.items():
            start = time.perf_counter()
            subprocess.run(found, check=True, stdout=subprocess.DEVNULL, cwd=HERE.parent)
            if turn:
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: median(found) for name, found in times.items()}


def goals(calls: dict[str, float]) -> list[dict[str, Any]]:
    """What of it stands against what; imports are counted above a bare interpreter."""
    bare = calls.get("python", 0.0)
    pairs = (
        ("prepared", "round trip", 0.0, PREPARED),
        ("import minimize", "import pyarrow", bare, IMPORT),
        ("minimize --help", "httpx --help", 0.0, HELP),
    )
    ratios = [
        {"about": f"{one} ÷ {other}", "goal": goal, "reached": (calls[one] - less) / (calls[other] - less)}
        for one, other, less, goal in pairs
        if one in calls and other in calls
    ]
    limits = (
        ("prepared", "prepared call, 100 rows, ms", MANY_ROWS_MS),
        ("prepared, 1 row", "prepared call, 1 row, ms", ONE_ROW_MS),
    )
    return ratios + [
        {"about": about, "goal": goal, "reached": calls[one]} for one, about, goal in limits if one in calls
    ]


def now() -> str:
    """When the figures were taken."""
    return datetime.now(UTC).isoformat(timespec="seconds")
