"""Comparing what two versions made of a case, and the list of differences that are intended."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import yaml

from tests.differential.versions import is_ancestor

INTENDED: Final = Path(__file__).with_name("intended.yaml")
ABSENT: Final = "absent"


@dataclass(frozen=True)
class Difference:
    """One part of a case that differs: its path, and both values as text."""

    path: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}: {shortened(self.old)} → {shortened(self.new)}"


def shortened(text: str, most: int = 150) -> str:
    """A text, cut where it is long."""
    return text if len(text) <= most else f"{text[:most]}…"


def differences(old: Any, new: Any, path: str = "") -> Iterator[Difference]:
    """Where two observations differ, part by part. Rows are compared as multisets and paired in order."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), f"{path}/{key}" if path else str(key))
        if path.endswith("schema") and list(old) != list(new) and set(old) == set(new):
            yield Difference(f"{path}/order", ", ".join(old), ", ".join(new))
    elif isinstance(old, list) and isinstance(new, list):
        if old != new:
            yield from _rows(old, new, path)
    elif old != new or type(old) is not type(new):
        yield Difference(path, _text(old), _text(new))


def _rows(old: Sequence[Any], new: Sequence[Any], path: str) -> Iterator[Difference]:
    gone, come = _without(old, new), _without(new, old)
    if not gone and not come:
        yield Difference(f"{path}/order", "rows in one order", "the same rows in another")
    for before, after in zip_longest(gone, come, fillvalue=ABSENT):
        if isinstance(before, dict) and isinstance(after, dict):
            yield from differences(before, after, path)
        else:
            yield Difference(path, _text(before), _text(after))


def _without(rows: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """The rows that the others lack, each as often as it is missing, in order."""
    left = Counter(map(_text, others))
    missing = []
    for row in rows:
        text = _text(row)
        if left[text]:
            left[text] -= 1
        else:
            missing.append(row)
    return missing


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Intended:
    """A change that was made on purpose: since which revision, at which paths, in cases with which traits, and why."""

    since: str
    paths: tuple[str, ...]
    why: str
    traits: tuple[str, ...] = ()

    def covers(self, difference: Difference, traits: Iterable[str]) -> bool:
        """Whether a difference of a case with these traits is this change."""
        at_path = any(fnmatchcase(difference.path, pattern) for pattern in self.paths)
        return at_path and set(self.traits) <= set(traits)


def intended(path: Path = INTENDED) -> list[Intended]:
    """The entries of the file."""
    said = yaml.safe_load(path.read_text()) or []
    return [
        Intended(str(each["since"]), tuple(each["paths"]), each["why"], tuple(each.get("traits", ()))) for each in said
    ]


def applicable(entries: Iterable[Intended], revision: str | None) -> list[Intended]:
    """The entries whose change an old version lacks; all of them where its revision is not known."""
    return [each for each in entries if revision is None or not is_ancestor(each.since, revision)]
