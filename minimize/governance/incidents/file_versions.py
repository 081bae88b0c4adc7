"""Versions of exposed files: copies that replaced each other are counted once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from minimize.datasets.published_output import PublishedOutput
from minimize.governance.incidents.exposure import (
    ExposedFile,
)
from minimize.output.folder import RESTRICTED, output_and_date
from minimize.receipts import Receipt
from minimize.records import RECORDS


@dataclass(frozen=True, slots=True)
class FileVersion:
    """An exposed file among the exposed versions of the same records.

    A rewrite (a deletion, an expiry) leaves a part of the records, so the first version has all of them.
    """

    group: str
    """Identifies the versions."""
    age: Literal["first", "between", "last"] = "first"
    """Whether it is the first exposed version, the last one, or one between them, which adds nothing."""


def file_versions(files: Iterable[ExposedFile]) -> dict[str, FileVersion]:
    """The version of each exposed file that a rewrite replaced, or made from another exposed file, by place."""
    exposed = {place_of(each): each for each in files}
    parents: dict[str, set[str]] = {}
    for output in {str(each.file.output.folder): each.file.output for each in exposed.values()}.values():
        for receipt in output.chain:
            if not receipt.reads_source:
                parents |= _replaced_places(output, receipt)
    earlier = {place: _ancestors(place, parents) & exposed.keys() for place in exposed}
    groups = {place: place for place in exposed}
    for place, others in earlier.items():
        joined = {groups[each] for each in (place, *others)}
        groups |= {each: min(joined) for each, group in groups.items() if len(joined) > 1 and group in joined}
    replaced = {each for others in earlier.values() for each in others}
    changed = {group for place, group in groups.items() if earlier[place]}
    return {
        place: FileVersion(group, "first" if not earlier[place] else "between" if place in replaced else "last")
        for place, group in groups.items()
        if group in changed
    }


def place_of(exposed_file: ExposedFile) -> str:
    """The place of a file: its output and its path."""
    return f"{exposed_file.file.output.folder}/{exposed_file.file.path}"


def _replaced_places(output: PublishedOutput, receipt: Receipt) -> dict[str, set[str]]:
    """For each file that a rewrite made, the files of its partition that it replaced."""
    replaced: dict[tuple[str, str | None], set[str]] = {}
    for file in (*receipt.replaces, *receipt.removes):
        replaced.setdefault(_partition(file.path), set()).add(f"{output.folder}/{file.path}")
    written = [*(file.path for each in receipt.outputs.values() for file in each.files)]
    written += [file.path for file in receipt.restricted or ()]
    return {f"{output.folder}/{path}": replaced.get(_partition(path), set()) for path in written}


def _partition(path: str) -> tuple[str, str | None]:
    """The output and date of a file. The sealed records of restricted subjects belong to the records."""
    name, date = output_and_date(path)
    return (RECORDS if name == RESTRICTED else name, date)


def _ancestors(place: str, parents: Mapping[str, set[str]]) -> set[str]:
    ancestors: set[str] = set()
    waiting = set(parents.get(place, ()))
    while waiting:
        ancestors |= waiting
        waiting = {parent for child in waiting for parent in parents.get(child, ())} - ancestors
    return ancestors
