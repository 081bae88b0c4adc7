"""Making a case smaller as long as it still shows its difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import reduce
from operator import getitem
from typing import Any

from tests.differential.columns import BASE
from tests.differential.random_cases import Case


def shrunk(case: Case, shows: Callable[[Case], bool], budget: int = 40) -> Case:
    """The smallest case found with at most `budget` tries that still `shows` what the case showed."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in reductions(case):
            if budget <= 0:
                return case
            budget -= 1
            if shows(candidate):
                case, smaller = candidate, True
                break
    return case


def reductions(case: Case) -> Iterator[Case]:
    """Smaller cases, those first that leave out most."""
    for *path, last in _removable(case):
        less = deepcopy(case)
        container: Any = reduce(getitem, path, vars(less))
        del container[last]
        yield less


def _removable(case: Case) -> Iterator[tuple[Any, ...]]:
    """What can be left out of a case, as a path of keys, positions and slices."""
    if len(case.runs) > 1:
        yield from (("runs", position) for position in range(len(case.runs)))
    if len(case.files) > 1:
        yield from (("files", path) for path in case.files)
    for path, rows in case.files.items():
        yield from (("files", path, part) for part in _parts(len(rows)))
    yield from (("pipeline", part) for part in ("aggregates", "records", "quarantine") if part in case.pipeline)
    yield from (("policy", "fields", key) for key in case.policy["fields"] if key not in BASE)
    yield from (("settings", part) for part in _parts(len(case.settings)))
    for name, aggregate in case.pipeline.get("aggregates", {}).items():
        yield "pipeline", "aggregates", name
        for part in ("measures", "group_by"):
            yield from (("pipeline", "aggregates", name, part, key) for key in aggregate[part])


def _parts(count: int) -> Iterator[slice]:
    """Halves and quarters of a list, as slices; single elements of a short one."""
    for size in sorted({(count + 1) // 2, (count + 3) // 4, 1 if count <= 8 else 0} - {0}, reverse=True):
        yield from (slice(start, start + size) for start in range(0, count, size))
