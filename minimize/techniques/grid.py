"""`grid`: the centre of an equal-area cell."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from minimize.techniques.base import Context, Family, Leaves, Technique, Treated, mask_of
from minimize.techniques.cells import Cells
from minimize.techniques.position import is_position, positions


class Grid(Technique):
    """The centre of a cell that is at least `metres` high and wide, of the same area everywhere on the globe.

    Takes a struct of two numbers, latitude and longitude in degrees (`from: [LATITUDE, LONGITUDE]`), gives a struct of two
    doubles under the same names, rounded to a millionth of a degree. Null where one of the two is null; what is out of range
    cannot be treated. Leaves nothing finer than the cell, which in thinly settled country can still be one household.
    Source: Malkin, A new method to subdivide a spherical surface into equal-area cells (2016), with more bands.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> paris = pa.array([{"latitude": 48.8566, "longitude": 2.3522}])
    >>> [round(degrees, 2) for degrees in Grid().apply(paris, Context("f", datetime.now(UTC))).values[0].as_py().values()]
    [48.86, 2.35]
    """

    name: ClassVar[str] = "grid"
    takes: ClassVar[tuple[Family, ...]] = ("struct",)
    leaves: ClassVar[Leaves] = "nothing"
    source: ClassVar[str] = "Malkin 2016"
    about: ClassVar[str] = "the centre of an equal-area cell"
    locates: ClassVar[bool] = True

    metres: float = Field(300.0, ge=10, le=1_000_000)

    def gives(self, type_: pa.DataType) -> pa.DataType:
        """Two doubles under the names of the inputs. Raises TypeRefused for what is no pair of numbers."""
        given = super().gives(type_)
        is_position(given, self.takes)
        return pa.struct([pa.field(given.field(place).name, pa.float64()) for place in (0, 1)])

    def apply(self, values: pa.Array, context: Context) -> Treated:
        """The centres."""
        where = positions(values)
        centres = self._cells.centres(where.latitude, where.longitude)
        missing = ~where.good
        children = [pa.array(np.where(missing, 0.0, part), mask=missing) for part in centres]
        given = self.gives(values.type)
        return Treated(
            pa.StructArray.from_arrays(children, fields=list(given), mask=pa.array(missing)), mask_of(where.bad)
        )

    @cached_property
    def _cells(self) -> Cells:
        return Cells.of(self.metres)
