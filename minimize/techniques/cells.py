"""Cells of one area on the sphere: bands of latitude, each cut into a whole number of equal pieces.

The sine of the latitude measures area, so bands that hold `n` cells each are cut at sines that grow by `2 n / N`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minimize.techniques.numeric import Doubles

RADIUS = 6_371_007.2
"""Metres: the sphere with the area of the WGS 84 ellipsoid."""
DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Cells:
    """Per band (south to north) the number of cells, and the latitudes of its two edges in degrees."""

    counts: npt.NDArray[np.int64]
    edges: Doubles

    @classmethod
    def of(cls, metres: float) -> Cells:
        """Cells at least this high, and at least this wide in the middle: the wanted size grows until they are."""
        size = metres
        cells = cls._aiming_at(size)
        while cells.smallest() < metres:
            size *= max(metres / cells.smallest(), 1.0005)
            cells = cls._aiming_at(size)
        return cells

    @classmethod
    def _aiming_at(cls, size: float) -> Cells:
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
        """The middle of the cell of each position; a cap around a pole is a cell whose middle is the pole."""
        band = np.clip(np.searchsorted(self.edges, latitude, side="right") - 1, 0, len(self.counts) - 1)
        count = self.counts[band]
        piece = np.minimum(np.floor((longitude + 180) / 360 * count), count - 1)
        north = (self.edges[band] + self.edges[band + 1]) / 2
        cap = (count == 1) & ((band == 0) | (band == len(self.counts) - 1))
        return _rounded(np.where(cap, np.sign(north) * 90, north)), _rounded((piece + 0.5) / count * 360 - 180)


def _rounded(degrees: Doubles) -> Doubles:
    return np.asarray(np.round(degrees, DECIMALS) + 0.0, np.float64)
