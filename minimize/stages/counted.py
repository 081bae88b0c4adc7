"""What happened to a field's values in a batch, as counts."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from minimize.stage import FieldCounts
from minimize.stages.chain import Branched
from minimize.stages.changed import changes


def count(
    raw: pa.Array, values: pa.Array, closed: pa.BooleanArray | None, out: Branched | None, *, replaced: bool = False
) -> FieldCounts:
    """Each non-null value in one of gated, dropped, unparsable and (changed or as it was).

    Takes the values as they came in, the same without the closed ones, and what became of those. Where every value is
    `replaced` by another in any case, none is compared.
    """
    if closed is None and (out is None or (out.untreated is None and out.dropped is None)):
        present = len(raw) - raw.null_count
        if out is None:
            return FieldCounts(present)
        return FieldCounts(present, present if replaced else changes(values, out, None))
    return _apart(raw, values, closed, out, replaced=replaced)


def _apart(
    raw: pa.Array, values: pa.Array, closed: pa.BooleanArray | None, out: Branched | None, *, replaced: bool
) -> FieldCounts:
    """The same where some values were gated, dropped or could not be treated."""
    present = raw.is_valid()
    gated = _and(present, closed)
    passed = present if closed is None else pc.and_not(present, closed)
    if out is None:
        return FieldCounts(present.true_count, gated=gated)
    dropped = _and(passed, out.dropped)
    left = passed if out.dropped is None else pc.and_not(passed, out.dropped)
    unparsable = _and(left, out.untreated)
    treated = left if out.untreated is None else pc.and_not(left, out.untreated)
    other = treated.true_count if replaced else changes(values, out, treated)
    return FieldCounts(present.true_count, other, gated, unparsable, dropped)


def _and(mask: pa.BooleanArray, other: pa.BooleanArray | None) -> int:
    return 0 if other is None else pc.and_(mask, other).true_count
