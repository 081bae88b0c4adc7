"""The common part of techniques whose level a search chooses: `auto` in place of a parameter.

A search needs a bound on disclosure risk (`records: risk:` of a pipeline). A technique treats values at its finest level. The
bound then makes them coarser, for all records of a batch date at once, up to the root, where a value is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

import pyarrow as pa

from minimize.techniques.base import Context, Technique, TechniqueResult, ValueRange
from minimize.techniques.parameters import NEUTRAL

AUTO: Final = "auto"
Auto = Annotated[Literal["auto"], NEUTRAL]


class ChosenLevel(Technique):
    """A technique at a level that is not known yet."""

    def levels(self) -> Sequence[Technique]:
        """The technique at each level, from the finest: the first of the value, each further one of the result before."""
        raise TypeError(f"{type(self).__name__} does not implement levels")

    @cached_property
    def _levels(self) -> tuple[Technique, ...]:
        return tuple(self.levels())

    @property
    def finest(self) -> Technique:
        """The technique at its finest level."""
        return self._levels[0]

    @property
    def coarser_forms(self) -> tuple[Technique, ...]:
        """The techniques that make ever coarser forms of its result."""
        return self._levels[1:]

    @property
    def root(self) -> int:
        """The level at which every value is null."""
        return len(self._levels)

    def pinned(self, level: int) -> Sequence[Mapping[str, Any] | str]:
        """The chain of techniques, as policies write it, that gives the same values as a level below the root."""
        technique = self._levels[level]
        return [{technique.name: technique.model_dump(mode="json", by_alias=True, exclude_unset=True)}]

    @property
    def leaf_rows(self) -> Sequence[Sequence[str]] | None:
        """The lines of a hierarchy file, if it has one."""
        return None

    def phrase(self) -> str:
        """The finest level, and that a coarser one may be chosen."""
        return f"{self.finest.phrase()}, or coarser: a search chooses the level"

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """The output type of the finest level."""
        return self.finest.output_type(type_)

    def result_range(self, values: ValueRange) -> ValueRange:
        """Not known, because a coarser level can leave the range of the finest."""
        return ValueRange()

    def locates_finely(self, *, coordinate: bool) -> bool:
        """As the finest level does."""
        return self.finest.locates_finely(coordinate=coordinate)

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The values at the finest level."""
        return self.finest.apply(values, context)

    def apply_column(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The values at the finest level."""
        return self.finest.apply_column(values, context)


def check_steps(steps: Sequence[Decimal]) -> None:
    """Raises ValueError unless each step is a multiple of the one before, so that the levels of a search contain each other."""
    if any(step <= 0 for step in steps):
        raise ValueError("each of `steps` must be above 0")
    if any(coarser <= finer or coarser % finer for finer, coarser in pairwise(steps)):
        raise ValueError("each of `steps` must be a multiple of the one before")
