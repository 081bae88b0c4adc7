"""`h3`: the H3 cell of a position."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, ClassVar

import pyarrow as pa
from pydantic import Field

from minimize.arrow.dictionaries import combine_columns, distinct_values
from minimize.errors import ConfigurationError
from minimize.techniques.base import Context, Family, Residual, Technique, TechniqueResult, failure_mask
from minimize.techniques.numeric import parse_positions, require_position
from minimize.techniques.parameters import LOWER_TIGHTENS

COARSE_RESOLUTION = 4
"""The finest resolution whose cells do not show whose position it is."""


class H3(Technique):
    """The identifier of the H3 cell of a position.

    Takes a struct of two numbers, latitude and longitude in degrees (`from: [LATITUDE, LONGITUDE]`), gives text. Null if
    one of the two is null. Positions out of range cannot be treated. The residual is coarse: the cell, whose size depends on
    the resolution (7: about 5 km², 9: about 0.1 km²). Raises ConfigurationError if the extra `h3` is not installed.
    Source: Uber, H3: hexagonal hierarchical spatial index (2018).

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> places = pa.array([{"latitude": 48.8566, "longitude": 2.3522}, {"latitude": 91.0, "longitude": 0.0}])
    >>> H3(resolution=7).apply(places, Context("f", datetime.now(UTC))).values.to_pylist()
    ['871fb4662ffffff', None]
    """

    name: ClassVar[str] = "h3"
    takes: ClassVar[tuple[Family, ...]] = ("struct",)
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "H3 (Uber, 2018)"
    about: ClassVar[str] = "the H3 cell of a position"
    locates: ClassVar[bool] = True

    resolution: Annotated[int, LOWER_TIGHTENS] = Field(ge=0, le=15)

    def phrase(self) -> str:
        """The resolution."""
        return f"only the area that it is in (H3 cell of resolution {self.resolution})"

    def locates_finely(self, *, coordinate: bool) -> bool:
        """Whether cells are smaller than those of resolution 4, which are about 45 km wide."""
        return self.resolution > COARSE_RESOLUTION

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """Text. Raises UnsupportedType for other types than a pair of numbers."""
        require_position(super().output_type(type_), self.takes)
        if find_spec("h3") is None:
            raise ConfigurationError("`h3` requires the package h3", hint="Install minimize with its extra `h3`.")
        return pa.string()

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The cells, one distinct position at a time, because the index takes one at a time."""
        from h3 import latlng_to_cell

        where = parse_positions(values)
        latitudes, longitudes = (
            distinct_values(pa.array(part, mask=~where.good)) for part in (where.latitude, where.longitude)
        )
        pairs = combine_columns([latitudes, longitudes])
        north, east = (degrees.values.to_numpy(zero_copy_only=False) for degrees in (latitudes, longitudes))
        points = zip(north[pairs.parts[0]].tolist(), east[pairs.parts[1]].tolist(), strict=True)
        cells = [latlng_to_cell(latitude, longitude, self.resolution) for latitude, longitude in points]
        return TechniqueResult(pa.array(cells, pa.string()).take(pairs.codes), failure_mask(where.bad))
