"""Making a case smaller as long as it still shows its difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from tests.differential.cases import Case
from tests.differential.columns import BASE


Change = Callable[[Case], Any]
"""Takes something out of a case."""


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
    for change in (*_of_runs(case), *_of_files(case), *_of_policy(case), *_of_pipeline(case)):
        less = deepcopy(case)
        change(less)
        yield less


def _of_runs(case: Case) -> Iterator[Change]:
    for position in range(len(case.runs) if len(case.runs) > 1 else 0):
        yield lambda less, at=position: less.runs.pop(at)
    for part in _parts(len(case.settings)):
        yield lambda less, part=part: less.settings.__delitem__(part)


def _of_files(case: Case) -> Iterator[Change]:
    for path in case.files if len(case.files) > 1 else ():
        yield lambda less, path=path: less.files.pop(path)
    for path, rows in case.files.items():
        for part in _parts(len(rows)):
            yield lambda less, path=path, part=part: less.files[path].__delitem__(part)


def _of_policy(case: Case) -> Iterator[Change]:
    for key in case.policy["fields"]:
        if key not in BASE:
            yield lambda less, key=key: less.policy["fields"].pop(key)


def _of_pipeline(case: Case) -> Iterator[Change]:
    for part in ("aggregates", "records", "quarantine"):
        yield lambda less, part=part: less.pipeline.pop(part, None)
    for name, aggregate in case.pipeline.get("aggregates", {}).items():
        yield lambda less, name=name: less.pipeline["aggregates"].pop(name)
        for part in ("measures", "group_by"):
            for key in aggregate[part]:
                yield lambda less, n=name, part=part, key=key: less.pipeline["aggregates"][n][part].pop(key)


def _parts(count: int) -> Iterator[slice]:
    """Halves and quarters of a list, as slices; single elements of a short one."""
    for size in sorted({(count + 1) // 2, (count + 3) // 4, 1 if count <= 8 else 0} - {0}, reverse=True):
        yield from (slice(start, start + size) for start in range(0, count, size))
