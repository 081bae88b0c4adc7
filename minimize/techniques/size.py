"""`size`: the number of elements of a list or map."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from minimize.techniques.base import Context, Family, Residual, Technique, TechniqueResult, ValueRange


class Size(Technique):
    """The number of elements of a list or of keys of a map.

    Takes list or map, gives int32; null stays null, an empty list is 0. The residual is coarse: the number. A large number can
    be rare, so bin or clip it if that matters.
    Source: GDPR Art. 5(1)(c), data minimisation.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> Size().apply(pa.array([["a", "b"], [], None]), Context("f", datetime.now(UTC))).values.to_pylist()
    [2, 0, None]
    """

    name: ClassVar[str] = "size"
    takes: ClassVar[tuple[Family, ...]] = ("list", "map")
    result_type: ClassVar[pa.DataType | None] = pa.int32()
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "GDPR Art. 5(1)(c)"
    about: ClassVar[str] = "the number of elements"
    summarizes: ClassVar[bool] = True
    proposed_for: ClassVar[Mapping[str, str]] = {"container": ""}

    def result_range(self, values: ValueRange) -> ValueRange:
        """No number of elements is negative."""
        return ValueRange(low=Decimal(0))

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The lengths."""
        return TechniqueResult(pc.list_value_length(_map_as_list(values)).cast(pa.int32()))


def _map_as_list(values: pa.Array) -> pa.Array:
    """A map as the list of its entries; lists as they are."""
    if not pa.types.is_map(values.type):
        return values
    return values.cast(pa.list_(pa.struct([values.type.key_field, values.type.item_field])))
