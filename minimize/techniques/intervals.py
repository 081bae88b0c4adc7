"""Half-open intervals over all numbers, numbered from low to high: of one width, or between edges (the outer two open)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

from minimize.techniques.lattice import EXACT, Lattice, Whole, fraction_text
from minimize.techniques.numeric import Doubles


@dataclass(frozen=True, slots=True)
class Interval:
    """`[lower, upper)`; None is no bound."""

    lower: Fraction | None
    upper: Fraction | None

    def __str__(self) -> str:
        if self.lower is None:
            return f"< {fraction_text(self.upper or Fraction(0))}"
        if self.upper is None:
            return f">= {fraction_text(self.lower)}"
        return f"[{fraction_text(self.lower)}, {fraction_text(self.upper)})"


class Intervals(Protocol):
    """Finds the interval of a number."""

    def hard(self, numbers: Doubles) -> npt.NDArray[np.bool_]:
        """Where `find` would not be exact."""
        ...

    def find(self, numbers: Doubles) -> Whole:
        """The index of the interval of each double."""
        ...

    def find_one(self, number: Fraction) -> int:
        """The index of the interval of an exact number."""
        ...

    def interval(self, index: int) -> Interval:
        """The bounds of an interval."""
        ...


@dataclass(frozen=True, slots=True)
class Even:
    """Intervals of one width; one begins at the origin."""

    lattice: Lattice

    def hard(self, numbers: Doubles) -> npt.NDArray[np.bool_]:
        """Too far from zero for the width."""
        return self.lattice.hard(numbers)

    def find(self, numbers: Doubles) -> Whole:
        """By the last lower bound that is not above."""
        return self.lattice.floor(numbers)

    def find_one(self, number: Fraction) -> int:
        """By the last lower bound that is not above."""
        return self.lattice.floor_one(number)

    def interval(self, index: int) -> Interval:
        """From one point of the lattice to the next."""
        return Interval(self.lattice.point(index), self.lattice.point(index + 1))


_MANY = 16
"""Up to so many edges each is compared with all numbers: a search costs more."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Interval 0 is below the first edge, the last is from the last edge on."""

    edges: tuple[Fraction, ...]

    @classmethod
    def of(cls, edges: Sequence[Decimal]) -> Edges:
        """The intervals between these decimals."""
        return cls(tuple(Fraction(edge) for edge in edges))

    def hard(self, numbers: Doubles) -> npt.NDArray[np.bool_]:
        """Nowhere: edges of at most 15 digits compare like their doubles."""
        return np.zeros(len(numbers), np.bool_)

    def find(self, numbers: Doubles) -> Whole:
        """How many edges are not above."""
        bounds = [float(edge) for edge in self.edges]
        if len(bounds) > _MANY:
            return np.searchsorted(np.array(bounds), numbers, side="right").astype(np.int64)
        found = np.zeros(len(numbers), np.uint8)
        for bound in bounds:
            found += numbers >= bound
        return found.astype(np.int64)

    def find_one(self, number: Fraction) -> int:
        """How many edges are not above."""
        return bisect_right(self.edges, number)

    def interval(self, index: int) -> Interval:
        """From one edge to the next; no bound at either end."""
        bounds = (None, *self.edges, None)
        return Interval(bounds[index], bounds[index + 1])


def is_short(number: Decimal) -> bool:
    """Whether a decimal has so few digits (14) that its double stands for nothing else."""
    return len(number.normalize().as_tuple().digits) < len(str(EXACT)) - 1
