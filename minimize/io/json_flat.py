"""A block of NDJSON whose lines have plain values in one order, cut into columns of texts, which are read as their types.

Gives what the strict reader would give, and which lines are beyond doubt; the others are for another reader to settle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from minimize.io.base import Chunk
from minimize.io.columnar import Bound
from minimize.io.fit import undeclared
from minimize.io.json_cut import PIECE, Cuts, cut
from minimize.io.json_order import FIRST, Order, learned
from minimize.io.json_scan import Places, Scanned, controls, escaped, pieces
from minimize.io.json_values import Column, Kept, Reading, Values
from minimize.io.project import rows_only
from minimize.io.shape import Node

FEW = 4
"""Where not one line in so many could be cut, the order is learned anew."""


class Known:
    """The order in which the lines of a source had their keys so far: a guess that costs time where it is wrong, nothing else."""

    def __init__(self, size: int = PIECE) -> None:
        self.order: Order | None = None
        self.size = size

    def cuts(self, lines: Scanned) -> tuple[Order, list[Cuts]] | None:
        """Lines of a block that could be cut; None where there is no order in them."""
        fit = ~(lines.odd | escaped(lines) | controls(lines))
        rows = fit.nonzero()[0]
        order = self.order or learned(map(lines.line, rows[:FIRST].tolist()))
        if order is None:
            return None
        every = (cut(lines, some, fit, order) for some in pieces(lines, np.arange(len(fit)), self.size))
        found = [one for one in every if one is not None and len(one.rows)]
        self._learn(lines, rows, order, found)
        return (order, found) if found else None

    def _learn(self, lines: Scanned, rows: Places, order: Order, found: Sequence[Cuts]) -> None:
        """Takes keys in that the order did not have."""
        left = np.setdiff1d(rows, np.concatenate([rows[:0], *(one.rows for one in found)]), assume_unique=True)
        known = order if len(left) * FEW <= len(rows) * (FEW - 1) else None
        self.order = known and learned(map(lines.line, left[:FIRST].tolist()), known)


def flat(lines: Scanned, bound: Bound, root: Node, known: Known) -> list[tuple[Chunk, Places]]:
    """Chunks of those of the lines that are beyond doubt, each with their indices."""
    found = known.cuts(lines)
    if found is None:
        return []
    order, cuts = found
    rows = np.concatenate([one.rows for one in cuts])
    reading = Reading(root, frozenset(pointer.top for pointer in bound.request.never), np.ones(len(rows), bool))
    there, quoted = (
        np.concatenate(masks, axis=1) for masks in zip(*((one.there, one.quoted) for one in cuts), strict=True)
    )
    columns = {
        name: column
        for key, name in enumerate(map(bytes.decode, order.keys))
        if (column := reading.column(name, Values([one.of(key) for one in cuts], there[key], quoted[key]))) is not None
    }
    sure = Kept.of(reading.sure, [len(one.rows) for one in cuts])
    held, records = rows[sure.mask], _records(columns, sure)
    extra = tuple(undeclared(records.schema, bound.request))
    return [(replace(bound, extra=extra).chunk(records, lines.places(held), unit="byte"), held)]


def _records(columns: Mapping[str, Column], sure: Kept) -> pa.RecordBatch:
    """The columns, of the lines beyond doubt."""
    if not columns:
        return rows_only(int(np.count_nonzero(sure.mask)))
    return pa.RecordBatch.from_arrays([column.of(sure) for column in columns.values()], names=[*columns])
