"""Positions: a struct of latitude and longitude in degrees, as two numpy columns and masks of valid and invalid pairs."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.dictionaries import decode_dictionary
from minimize.techniques.base import Family, UnsupportedType, type_family
from minimize.techniques.numeric import Doubles

COARSE_METRES = 10_000
"""A cell of this size or larger does not show whose position it is."""
COARSE_DEGREES = Decimal("0.1")
"""A coordinate in steps of this size or larger does not either."""
_NUMBERS = ("double", "integer", "decimal")


@dataclass(frozen=True, slots=True)
class Positions:
    """Latitudes and longitudes (0 if missing), which pairs are positions, and which are out of range."""

    latitude: Doubles
    longitude: Doubles
    good: npt.NDArray[np.bool_]
    bad: npt.NDArray[np.bool_]


def require_position(type_: pa.DataType, takes: tuple[Family, ...]) -> None:
    """Raises UnsupportedType if a struct is not a pair of numbers."""
    if type_.num_fields != 2 or any(type_family(type_.field(place).type) not in _NUMBERS for place in (0, 1)):
        raise UnsupportedType(takes)


def parse_positions(values: pa.StructArray) -> Positions:
    """The pairs; a null pair, and one with a null in it, is neither good nor bad."""
    latitude, longitude = (_degrees(child) for child in values.flatten())
    there = ~(np.asarray(latitude.is_null()) | np.asarray(longitude.is_null()))
    north, east = (np.asarray(part.fill_null(0.0).to_numpy(zero_copy_only=False)) for part in (latitude, longitude))
    good = there & (np.abs(north) <= 90) & (np.abs(east) <= 180)
    return Positions(np.where(good, north, 0.0), np.where(good, east, 0.0), good, there & ~good)


def _degrees(child: pa.Array) -> pa.Array:
    return decode_dictionary(child).cast(pa.float64(), safe=False)
