"""Values between bounds as whole numbers around the middle of the bounds, so that a sum of them is exact and can have noise.

A value counts in units of its type: 1 for integers, the last decimal place for decimals. For doubles, and between bounds that are
more than 2**32 units apart, a unit is the distance of the bounds, divided by 2**32. A value outside the bounds counts as the
nearer bound; NaN is no value.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools, Codes, decode_dictionary

_MOST_UNITS: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class ValueBounds:
    """The bounds between which all values of a field are, both included, in the unit of the field.

    >>> ValueBounds(Decimal(0), Decimal(100)).centred(pa.array([0, 50, 120])).tolist()
    [-100, 0, 100]
    """

    low: Decimal
    high: Decimal

    @property
    def distance(self) -> float:
        """The distance between the bounds."""
        return float(self.high - self.low)

    @property
    def middle(self) -> Fraction:
        """The middle between the bounds."""
        return Fraction(self.low + self.high) / 2

    def unit(self, type_: pa.DataType) -> Fraction:
        """The size of a unit."""
        own = Fraction(1, 10**type_.scale) if pa.types.is_decimal(type_) else Fraction(1)
        distance = Fraction(self.high - self.low)
        is_whole = not (Fraction(self.low) % own or Fraction(self.high) % own)
        is_fine = is_whole and not pa.types.is_floating(type_) and distance <= _MOST_UNITS * own
        return own if is_fine or not distance else distance / _MOST_UNITS

    def width(self, type_: pa.DataType) -> int:
        """The distance of the bounds in units: by how many half units one value can change a sum, is twice this."""
        return int(Fraction(self.high - self.low) / self.unit(type_))

    def centred(self, values: pa.Array) -> Codes:
        """The distance of each value from the middle in half units. Takes a column without nulls and NaN."""
        plain = decode_dictionary(values)
        unit, width = self.unit(plain.type), self.width(plain.type)
        if not width:
            return np.zeros(len(plain), np.int64)
        if pa.types.is_integer(plain.type) and unit == 1 and not pa.types.is_uint64(plain.type):
            whole = plain.cast(pa.int64()).to_numpy()
            places = np.clip(whole, int(self.low), int(self.high)) - int(self.low)
        else:
            numbers = pc.cast(plain, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            share = (numbers - float(self.low)) / float(self.high - self.low)
            places = np.rint(np.clip(share, 0.0, 1.0) * width).astype(np.int64)
        return np.asarray(2 * places - width, np.int64)


def not_nan(values: pa.Array) -> Bools | None:
    """The mask of values that are not NaN; None if none is."""
    plain = values.dictionary if pa.types.is_dictionary(values.type) else values
    if not pa.types.is_floating(plain.type):
        return None
    found = ~np.isnan(decode_dictionary(values).to_numpy(zero_copy_only=False))
    return None if found.all() else found
