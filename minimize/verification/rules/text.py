"""`mask`, `map`, `top`, `generalize`, `presence`, `size`: marks, listed words, and counts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from minimize.stores import within
from minimize.verification.rules.base import Given, Obeys, Place, Unchecked

MARK: Final = "****"


def masked(given: Given, place: Place) -> Obeys:
    """The mark, and beside it no more characters than are kept."""
    if "keep_first" in given:
        first = int(given["keep_first"])
        return lambda value: value.endswith(MARK) and len(value) <= len(MARK) + first
    last = int(given["keep_last"])
    return lambda value: value.startswith(MARK) and len(value) <= len(MARK) + last


def mapped(given: Given, place: Place) -> Obeys:
    """One of the values that the policy lists."""
    listed = [*given["values"].values(), given.get("otherwise")]
    allowed = frozenset(form for each in listed if each is not None for form in _forms(each))
    return lambda value: value in allowed


def few(given: Given, place: Place) -> Obeys:
    """No more distinct values than are kept, beside the other."""
    keep, other = int(given["keep"]), str(given.get("other", "other"))
    seen: set[str] = set()

    def obeys(value: Any) -> bool:
        seen.add(value)
        return len(seen - {other}) <= keep

    return obeys


def labels(given: Given, place: Place) -> Obeys:
    """Labels of the hierarchy's level, or its root."""
    rows = list(_hierarchy(str(given["hierarchy"]), place))
    level = int(given["level"])
    allowed = frozenset(label for row in rows for label in (row[min(level, len(row) - 1)], row[-1]))
    return lambda value: value in allowed


def true(given: Given, place: Place) -> Obeys:
    """True, and never false."""
    return lambda value: value is True


def sizes(given: Given, place: Place) -> Obeys:
    """A number of elements."""
    return lambda value: value >= 0


def _hierarchy(name: str, place: Place) -> Iterator[list[str]]:
    path = next(
        (each for each in (place.folder / name, place.folder / PurePosixPath(name).name) if each.is_file()), None
    )
    if path is None or not within(path, place.folder):
        raise Unchecked(PurePosixPath(name).name)
    text = path.read_text(encoding="utf-8-sig")
    delimiter = ";" if text.count(";") >= text.count(",") else ","
    return ([cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter) if row)


def _forms(value: Any) -> tuple[Any, ...]:
    return (value, str(value).lower()) if isinstance(value, bool) else (value, str(value))
