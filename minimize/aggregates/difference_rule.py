"""The difference rule: a figure replaces an earlier release only if enough subjects have changed.

Earlier releases are stored as contribution sketches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.contribution_sketches import Entries, FigureKind, count_differing, fold_sketches
from minimize.arrow.dictionaries import Bools, Codes, decode_dictionary
from minimize.spill import HashWords, ValueHasher

T = TypeVar("T", bound=np.generic)
MAX_RELEASES: Final = 16
"""Largest number of different releases of a row. The last one is final."""
_METADATA_KEY: Final = b"releases"
_GROUP_KEY_DOMAIN: Final = 2
"""The domain of the hashes of group keys."""


@dataclass(frozen=True, slots=True)
class FigureRows:
    """The figures of one kind in some rows: which rows publish them, and the contribution sketch of each row."""

    shown: Bools
    entries: Entries = field(repr=False)

    def take(self, places: Codes) -> FigureRows:
        """Those of some rows."""
        return FigureRows(self.shown[places], self.entries[places])


@dataclass(frozen=True, slots=True)
class ReleaseDecision:
    """Decision on the rows of a new release.

    allowed  rows whose figures may be published
    is_same  rows with the figures of an earlier release
    """

    allowed: Bools
    is_same: Bools


@dataclass(frozen=True, slots=True)
class ReleaseHistory:
    """The releases of the rows of a table so far. Those of one row are in the order of their publication.

    rows      the row of each release, as a keyed hash of its group's keys
    below     the threshold of each
    has_sketches     whether it has sketches; figures that were published by earlier versions of this software have none
    figures   the sketches by kind of figure
    meanings  the definition of each measure of the table in force, by name
    deferred  number of rows that wait until more subjects have changed
    is_lost   whether earlier releases may be missing here: rows without any are then not published
    """

    rows: HashWords
    below: Codes
    has_sketches: Bools
    figures: Mapping[FigureKind, FigureRows] = field(repr=False)
    meanings: Mapping[str, str] = field(default_factory=dict)
    deferred: int = 0
    is_lost: bool = False

    @classmethod
    def empty(cls) -> Self:
        """The history of a table that was not published before."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.bool_), {})

    @classmethod
    def from_release(
        cls,
        rows: HashWords,
        below: int,
        figures: Mapping[FigureKind, FigureRows],
        *,
        is_complete: bool = True,
        meanings: Mapping[str, str] | None = None,
    ) -> Self:
        """The history with one release of some rows."""
        return cls(rows, np.full(len(rows), below), np.full(len(rows), is_complete), figures, meanings or {})

    def forget_subjects(self) -> ReleaseHistory:
        """The same releases without sketches, for example because other subjects are counted now."""
        places = self.last_releases(np.unique(self.rows))
        return ReleaseHistory.from_release(self.rows[places], int(self.below.max(initial=0)), {}, is_complete=False)

    def __len__(self) -> int:
        return len(self.rows)

    def last_releases(self, rows: HashWords) -> Codes:
        """The index of the last release of each row; -1 if there is none."""
        order = np.argsort(self.rows, kind="stable")
        ends = np.searchsorted(self.rows[order], rows, side="right") - 1
        found = ends >= 0
        places = np.full(len(rows), -1)
        places[found] = order[ends[found]]
        found[found] = self.rows[places[found]] == rows[found]
        return np.where(found, places, -1)

    def decide(
        self, rows: HashWords, below: int, figures: Mapping[FigureKind, FigureRows], *, in_force: Bools, is_equal: Bools
    ) -> ReleaseDecision:
        """Decides which rows of a new release may be published.

        Takes the rows, their threshold and figures; which rows are in force from an earlier release (`in_force`), and which have
        the same published figures as there (`is_equal`).
        """
        owners, releases = self._pairs(rows)
        few, differ, enough = (np.zeros(len(owners), np.bool_) for _ in range(3))
        threshold = np.maximum(self.below[releases], below)
        for kind in self.figures.keys() & figures.keys():
            new, old = figures[kind].take(owners), self.figures[kind].take(releases)
            buckets = min(new.entries.shape[1], old.entries.shape[1])
            count = count_differing(fold_sketches(new.entries, buckets) - fold_sketches(old.entries, buckets))
            related = new.shown & old.shown
            few |= related & (count > 0) & (count < threshold)
            differ |= related & (count > 0)
            enough |= count >= threshold
        is_known, is_in_force = self.has_sketches[releases], in_force[owners]
        good = np.where(is_known, ~few & (is_in_force | enough), is_in_force & is_equal[owners])
        allowed = np.ones(len(rows), np.bool_)
        np.logical_and.at(allowed, owners, good)
        is_same = np.zeros(len(rows), np.bool_)
        np.logical_or.at(is_same, owners, is_known & ~differ & good)
        if self.is_lost:
            allowed &= np.bincount(owners, minlength=len(rows)) > 0
        is_final = np.bincount(owners, minlength=len(rows)) >= MAX_RELEASES
        return ReleaseDecision(allowed & (is_same | ~is_final), is_same)

    def append(self, other: ReleaseHistory) -> ReleaseHistory:
        """These releases and a later one. If a row has the same figures as before, its release is the last one again.

        A release without sketches can be followed only by one of the same figures, which replaces it.
        """
        buckets = min([each.entries.shape[1] for some in (self, other) for each in some.figures.values()], default=0)
        before = self._take(np.flatnonzero(self.has_sketches | ~np.isin(self.rows, other.rows)))
        whole = ReleaseHistory(
            rows=np.concatenate([before.rows, other.rows]),
            below=np.concatenate([before.below, other.below]),
            has_sketches=np.concatenate([before.has_sketches, other.has_sketches]),
            figures={
                kind: _concatenate_figures(kind, [before, other], buckets)
                for kind in dict.fromkeys([*self.figures, *other.figures])
            },
            meanings=other.meanings or self.meanings,
            deferred=self.deferred,
            is_lost=self.is_lost,
        )
        return whole._without_repeats()

    def _pairs(self, rows: HashWords) -> tuple[Codes, Codes]:
        """Each row of a new release with each earlier release of it."""
        order = np.argsort(rows, kind="stable")
        places = np.searchsorted(rows[order], self.rows)
        found = places < len(rows)
        found[found] = rows[order[places[found]]] == self.rows[found]
        return order[places[found]], np.flatnonzero(found)

    def _without_repeats(self) -> ReleaseHistory:
        """Keeps only the last one of equal releases of a row."""
        _, places, counts = np.unique(self.rows, return_inverse=True, return_counts=True)
        several = np.flatnonzero(counts[places] > 1)
        parts = [self.rows[several, None], self.has_sketches[several, None].astype(np.uint64)]
        for each in self.figures.values():
            parts += [each.shown[several, None].astype(np.uint64), each.entries[several].astype(np.uint64)]
        lines = np.ascontiguousarray(np.hstack(parts)[::-1])
        _, first = np.unique(lines.view(np.dtype((np.void, lines.itemsize * lines.shape[1]))), return_index=True)
        if len(first) == len(several):
            return self
        kept = np.ones(len(self), np.bool_)
        kept[several] = False
        kept[several[len(several) - 1 - first]] = True
        return self._take(np.flatnonzero(kept))

    def _take(self, places: Codes) -> ReleaseHistory:
        figures = {kind: each.take(places) for kind, each in self.figures.items()}
        return replace(
            self,
            rows=self.rows[places],
            below=self.below[places],
            has_sketches=self.has_sketches[places],
            figures=figures,
        )

    def to_bytes(self) -> bytes:
        """The releases as bytes. They must be sealed: an attacker who knows the records of a subject could test guesses."""
        columns = {"row": pa.array(self.rows), "below": pa.array(self.below), "known": pa.array(self.has_sketches)}
        for place, each in enumerate(self.figures.values()):
            width = each.entries.shape[1] * each.entries.itemsize
            data = pa.py_buffer(np.ascontiguousarray(each.entries))
            columns[f"shown_{place}"] = pa.array(each.shown)
            columns[f"entries_{place}"] = pa.Array.from_buffers(pa.binary(width), len(self), [None, data])
        table = pa.table(columns).replace_schema_metadata({_METADATA_KEY: self._about()})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue().to_pybytes())

    def _about(self) -> bytes:
        about = {
            "kinds": [*self.figures],
            "meanings": self.meanings,
            "deferred": self.deferred,
            "is_lost": self.is_lost,
        }
        return json.dumps(about, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The releases that were packed. Raises ValueError, KeyError or pa.ArrowException for other bytes."""
        table = pa.ipc.open_stream(content).read_all().combine_chunks()
        about = json.loads((table.schema.metadata or {})[_METADATA_KEY])
        figures: dict[FigureKind, FigureRows] = {}
        for place, kind in enumerate(about["kinds"]):
            figures[None if kind is None else tuple(kind)] = FigureRows(
                _column_values(table, f"shown_{place}", np.bool_), _column_entries(table.column(f"entries_{place}"))
            )
        return cls(
            rows=_column_values(table, "row", np.uint64),
            below=_column_values(table, "below", np.int64),
            has_sketches=_column_values(table, "known", np.bool_),
            figures=figures,
            meanings=about["meanings"],
            deferred=about["deferred"],
            is_lost=about["is_lost"],
        )


def hash_rows(columns: Mapping[str, pa.ChunkedArray], rows: int, hasher: ValueHasher) -> HashWords:
    """A keyed hash of each row's group, by the values of its keys. Takes the columns by the definition of their key.

    The order of keys and their types are ignored: 1 and "1" are one key.
    """
    total = np.zeros(rows, np.uint64)
    for about, column in columns.items():
        whole = column.combine_chunks()
        plain = decode_dictionary(whole)
        values = hasher(plain.cast(pa.string()), domain=_GROUP_KEY_DOMAIN)[:, 0]
        # The upper half of a product depends on all bits of both factors; a sum does not depend on the order.
        total += ((values >> _HALF_WORD) | np.uint64(1)) * (
            values ^ hasher(pa.array([about]), domain=_GROUP_KEY_DOMAIN)[0, 1]
        )
    return total


_HALF_WORD: Final = np.uint64(32)


def _concatenate_figures(kind: FigureKind, parts: Sequence[ReleaseHistory], buckets: int) -> FigureRows:
    """The figures of one kind in several histories. Releases of a history that lacks the kind do not publish it."""
    shown, entries = [], []
    for each in parts:
        found = each.figures.get(kind)
        shown.append(np.zeros(len(each), np.bool_) if found is None else found.shown)
        entries.append(
            np.zeros((len(each), buckets), np.uint32) if found is None else fold_sketches(found.entries, buckets)
        )
    return FigureRows(np.concatenate(shown), np.concatenate(entries))


def _column_values(table: pa.Table, name: str, type_: type[T]) -> npt.NDArray[T]:
    return np.asarray(table.column(name).to_numpy(), type_)


def _column_entries(column: pa.ChunkedArray) -> Entries:
    if not len(column):
        return np.empty((0, column.type.byte_width // 4), np.uint32)
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    width = column.type.byte_width
    whole = np.frombuffer(array.buffers()[1], np.uint32, len(array) * width // 4, array.offset * width)
    return whole.reshape(len(array), width // 4)
