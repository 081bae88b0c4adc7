"""Released numbers as quantiles want them: infinities in bins that have no bound on one side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from minimize.techniques import Context, Family, Leaves, Technique, Treated
from minimize.techniques.bin import Bin


class Ranks(Technique):
    """The last step of a chain, as numbers to rank by. Inside aggregates only; no policy names it.

    bin  the bin that the chain ended with; None for a chain that ended in numbers of another kind
    """

    name: ClassVar[str] = "ranks"
    takes: ClassVar[tuple[Family, ...]] = ("integer", "double", "decimal")
    leaves: ClassVar[Leaves] = "nothing"
    source: ClassVar[str] = "—"
    about: ClassVar[str] = "the released number, infinite in open bins"

    bin: Bin | None = None

    def gives(self, type_: pa.DataType) -> pa.DataType:
        """A double."""
        super().gives(type_)
        return pa.float64()

    def apply(self, values: pa.Array, context: Context) -> Treated:
        """The ranks."""
        return Treated(pc.cast(values, pa.float64(), safe=False) if self.bin is None else self.bin.coded_ranks(values))


def has_open_bin(chain: Sequence[Technique] | None) -> bool:
    """Whether a chain ends in a bin that has no bound on one side."""
    last = chain[-1] if chain else None
    return isinstance(last, Bin) and last.is_open


def ranked(chain: Sequence[Technique] | None) -> list[Technique] | None:
    """The chain with numbers to rank by in place of what it releases."""
    if not chain:
        return None
    last = chain[-1]
    return [*chain[:-1], Ranks(bin=last)] if isinstance(last, Bin) else [*chain, Ranks()]
