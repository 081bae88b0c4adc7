"""The last step of a manifest's field with `values:` a value that is not listed becomes null."""

from __future__ import annotations

import pyarrow as pa

from minimize.techniques import Context, Treated
from minimize.techniques.base import each_distinct
from minimize.techniques.map import Map


class ListedValues(Map):
    """A map that keeps the listed values. Any other value becomes null and counts as unparsable, as `map` alone would not.

    >>> import pyarrow as pa
    >>> from datetime import UTC, datetime
    >>> listed = ListedValues(values={"assigned": "assigned"})
    >>> listed.apply(pa.array(["assigned", "lost"]), Context("f", datetime.now(UTC))).untreated.to_pylist()
    [False, True]
    """

    def apply(self, values: pa.Array, context: Context) -> Treated:
        """The listed values."""
        return each_distinct(values, self.values.get, pa.string())
