"""`grid`: the centre of an equal-area cell.

Cells have one area on the sphere: bands of latitude, each cut into a whole number of equal pieces. The sine of the latitude
measures area, so bands with `n` cells each are cut at sines that grow by `2 n / N`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from minimize.techniques.base import Context, Family, Residual, Technique, TechniqueResult, failure_mask
from minimize.techniques.numeric import COARSE_METRES, Doubles, parse_positions, require_position
from minimize.techniques.parameters import HIGHER_TIGHTENS

RADIUS = 6_371_007.2
"""Metres: the sphere with the area of the WGS 84 ellipsoid."""
DECIMALS = 6


@dataclass(frozen=True, slots=True)
class EqualAreaCells:
    """Per band (south to north) the number of cells, and the latitudes of its two edges in degrees."""

    counts: npt.NDArray[np.int64]
    edges: Doubles

    @classmethod
    def from_size(cls, metres: float) -> EqualAreaCells:
        """Cells at least this high, and at least this wide in the middle: the target size is increased until they are."""
        size = metres
        cells = cls._from_target_size(size)
        while cells.smallest() < metres:
            size *= max(metres / cells.smallest(), 1.0005)
            cells = cls._from_target_size(size)
        return cells

    @classmethod
    def _from_target_size(cls, size: float) -> EqualAreaCells:
        bands = max(int(np.pi * RADIUS / size), 2)
        middles = (np.arange(bands) + 0.5) * np.pi / bands - np.pi / 2
        counts = np.maximum(np.floor(2 * np.pi * RADIUS * np.cos(middles) / size), 1).astype(np.int64)
        sines = 2 * np.concatenate([[0], np.cumsum(counts)]) / counts.sum() - 1
        return cls(counts, np.degrees(np.arcsin(np.clip(sines, -1, 1))))

    @property
    def area(self) -> float:
        """Square metres of every cell."""
        return float(4 * np.pi * RADIUS**2 / self.counts.sum())

    def smallest(self) -> float:
        """Metres: the least height of a band, or width of a cell on its band's middle latitude."""
        heights = np.radians(np.diff(self.edges)) * RADIUS
        middles = np.radians((self.edges[1:] + self.edges[:-1]) / 2)
        widths = 2 * np.pi * RADIUS * np.cos(middles) / self.counts
        return float(min(heights.min(), widths[self.counts > 1].min(initial=np.inf)))

    def centres(self, latitude: Doubles, longitude: Doubles) -> tuple[Doubles, Doubles]:
        """The centre of the cell of each position. A cap around a pole is a cell whose centre is the pole."""
        band = np.clip(np.searchsorted(self.edges, latitude, side="right") - 1, 0, len(self.counts) - 1)
        count = self.counts[band]
        piece = np.minimum(np.floor((longitude + 180) / 360 * count), count - 1)
        north = (self.edges[band] + self.edges[band + 1]) / 2
        cap = (count == 1) & ((band == 0) | (band == len(self.counts) - 1))
        return _round_degrees(np.where(cap, np.sign(north) * 90, north)), _round_degrees(
            (piece + 0.5) / count * 360 - 180
        )


def _round_degrees(degrees: Doubles) -> Doubles:
    return np.asarray(np.round(degrees, DECIMALS) + 0.0, np.float64)


class Grid(Technique):
    """The centre of a cell that is at least `metres` high and wide, of the same area everywhere on the globe.

    Takes a struct of two numbers, latitude and longitude in degrees (`from: [LATITUDE, LONGITUDE]`), gives a struct of two
    doubles under the same names, rounded to a millionth of a degree. Null if one of the two is null. Positions out of
    range cannot be treated. The residual is coarse: the cell, which can be one household where few people live.
    Source: Malkin, A new method to subdivide a spherical surface into equal-area cells (2016), with more bands.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> paris = pa.array([{"latitude": 48.8566, "longitude": 2.3522}])
    >>> [round(degrees, 2) for degrees in Grid().apply(paris, Context("f", datetime.now(UTC))).values[0].as_py().values()]
    [48.86, 2.35]
    """

    name: ClassVar[str] = "grid"
    takes: ClassVar[tuple[Family, ...]] = ("struct",)
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "Malkin 2016"
    about: ClassVar[str] = "the centre of an equal-area cell"
    locates: ClassVar[bool] = True

    metres: Annotated[float, HIGHER_TIGHTENS] = Field(300.0, ge=10, le=1_000_000)

    def phrase(self) -> str:
        """The size of a cell."""
        return f"only the centre of an area that is at least {self.metres:g} metres wide"

    def locates_finely(self, *, coordinate: bool) -> bool:
        """Whether cells are smaller than 10 km."""
        return self.metres < COARSE_METRES

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """Two doubles under the names of the inputs. Raises UnsupportedType for other types than a pair of numbers."""
        output = super().output_type(type_)
        require_position(output, self.takes)
        return pa.struct([pa.field(output.field(place).name, pa.float64()) for place in (0, 1)])

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The centres."""
        where = parse_positions(values)
        centres = self._cells.centres(where.latitude, where.longitude)
        missing = ~where.good
        children = [pa.array(np.where(missing, 0.0, part), mask=missing) for part in centres]
        output = self.output_type(values.type)
        return TechniqueResult(
            pa.StructArray.from_arrays(children, fields=list(output), mask=pa.array(missing)), failure_mask(where.bad)
        )

    @cached_property
    def _cells(self) -> EqualAreaCells:
        return EqualAreaCells.from_size(self.metres)
