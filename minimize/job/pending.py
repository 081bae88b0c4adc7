"""What arrived since the last receipt of each batch date: new, changed, shrunk or gone, by the digests of the files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from minimize.io.find import Found, Shown
from minimize.io.part import FilePart
from minimize.job.dates import Day
from minimize.receipt import Receipt
from minimize.stores import Place
from minimize.times import day

State = Literal["new", "same", "changed", "shrunk", "gone"]
PENDING: Final = frozenset({"new", "changed"})
READING: Final = frozenset({"run", "replay"})
"""The kinds of receipt that read a batch from its source."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """The files of one batch date beside those of its last receipt.

    state  `new`: never run; `same`; `changed`: files came or have other bytes; `shrunk`: some of the files that were read are
           gone; `gone`: all of them
    lost   how many of the files that were read are gone
    """

    state: State
    lost: int = 0


def arrivals(found: Found, chain: Iterable[Receipt], shown: Shown | None) -> dict[Day, Arrival]:
    """Per batch date of the source and of the receipts what arrived. Reads the files for their digests."""
    before = last_inputs(chain, shown)
    days: set[Day] = {*found.files, *before}
    return {
        when: arrival(digests(found.files.get(when, ()), found.root, shown), before.get(when))
        for when in days
        if found.files.get(when) or before.get(when)
    }


def arrival(now: Mapping[str, str], before: Mapping[str, str] | None) -> Arrival:
    """One batch: the files that are there, and those of its last receipt (None where it never ran), by name."""
    if before is None:
        return Arrival("new")
    lost = len(before.keys() - now.keys())
    if now == before:
        return Arrival("same")
    return Arrival("changed" if not lost else "shrunk" if now else "gone", lost)


def last_inputs(chain: Iterable[Receipt], shown: Shown | None) -> dict[Day, Mapping[str, str]]:
    """Per batch date the files that its last receipt read, by their names as they are shown today, with their digests."""
    found: dict[Day, Mapping[str, str]] = {}
    for receipt in sorted(chain, key=lambda receipt: receipt.sequence):
        if receipt.kind in READING or receipt.from_ == "source":
            found |= dict(_by_date(receipt))
    if shown is None:
        return found
    return {when: {shown.again(name): digest for name, digest in files.items()} for when, files in found.items()}


def digests(files: Sequence[Place], root: Place, shown: Shown | None) -> dict[str, str]:
    """The files by their shown name, with their digests."""
    parts = (FilePart(path, root, shown) for path in files)
    return {part.name: part.digest for part in parts}


def _by_date(receipt: Receipt) -> Iterator[tuple[Day, Mapping[str, str]]]:
    if len(receipt.dates) < 2:
        yield _day(receipt.dates[0] if receipt.dates else None), {each.path: each.digest for each in receipt.inputs}
        return
    for name in receipt.dates:
        yield _day(name), {each.path: each.digest for each in receipt.inputs if each.date == name}


def _day(name: str | None) -> Day:
    return None if name is None else day(name)
