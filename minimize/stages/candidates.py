"""Candidates beyond the budget: set aside by what duplicates agree in, so that each part can be decided by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from minimize.spill import Aside, Piece, Vault
from minimize.stages.duplicates import best, words

PARTS: Final = 64
_ROOM: Final = 4
"""Deciding takes up to this many times the size of the candidates."""
_FLOOR: Final = 1 << 16
"""Bytes that are held in any case."""


@dataclass(slots=True)
class Candidates:
    """The records that may stay, one a group or a few, in a bounded part of memory and, beyond it, on disk."""

    aside: Aside
    found: list[pa.Table] = field(default_factory=list, repr=False)
    decided: int = 0
    pieces: dict[int, list[tuple[Vault, Piece]]] = field(default_factory=dict, repr=False)

    def add(self, tables: Sequence[pa.Table]) -> None:
        """Takes candidates in; decides once there are twice as many as there were: memory follows groups, not records."""
        self.found.extend(tables)
        if sum(table.num_rows for table in self.found) > 2 * self.decided:
            self._decide()
            if self._is_full():
                self._set_aside()

    def merge(self, other: Candidates) -> None:
        """Takes in what others are."""
        for part, pieces in other.pieces.items():
            self.pieces.setdefault(part, []).extend(pieces)
        self.add(other.found)

    def best(self) -> Iterator[pa.Table]:
        """The record of each group that stays, in parts."""
        if not self.pieces:
            yield from ([best(pa.concat_tables(self.found))] if self.found else [])
            return
        self._set_aside()
        for part in sorted(self.pieces):
            yield best(pa.concat_tables([_read(vault, piece) for vault, piece in self.pieces[part]]))

    def _decide(self) -> None:
        if self.found:
            self.found = [best(pa.concat_tables(self.found))]
            self.decided = self.found[0].num_rows

    def _is_full(self) -> bool:
        part = self.aside.budget.part()
        return part is not None and sum(table.nbytes for table in self.found) > max(part // _ROOM, _FLOOR)

    def _set_aside(self) -> None:
        """One piece a part. The candidates are in the order of their groups."""
        self._decide()
        for table in self.found:
            parts = words(table["group"]).view(np.uint8)[::16] // (256 // PARTS)
            edges = np.searchsorted(parts, np.arange(PARTS + 1))
            for part in np.flatnonzero(np.diff(edges)).tolist():
                piece = self.aside.vault.put(_written(table.slice(edges[part], edges[part + 1] - edges[part])))
                self.pieces.setdefault(part, []).append((self.aside.vault, piece))
        self.found, self.decided = [], 0


def _written(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _read(vault: Vault, piece: Piece) -> pa.Table:
    return pa.ipc.open_stream(pa.py_buffer(vault.get(piece))).read_all()
