"""The contract of a measure: the measure and its parameters, its tally per group, and tests of field types.

A tally is exact and can be merged, independently of the division of records into batches.

A new measure is one file in this folder with one class and its tally, one row in `MEASURES` (`__init__.py`), one test
file. `tally.py` hands out the codes of groups and subjects, leaves out rows without a value, and makes a measure null if
fewer than `below` subjects contribute a value. A measure does its own arithmetic, and protects cells finer than a group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from minimize.arrow.dictionaries import Codes
from minimize.spill import HashWords, SpillSpace


class MeasureRefused(Exception):
    """A measure does not take fields of this type. `takes` names the types that it takes."""

    def __init__(self, takes: str) -> None:
        self.takes = takes
        super().__init__(f"takes {takes}")


@dataclass(frozen=True, slots=True)
class MeasureTerms:
    """Terms of a measure: the threshold of subjects, the multiple to which counts are rounded, and whether its values are
    generalized."""

    below: int = 10
    counts_to: int | None = None
    generalized: bool = False

    def rounded(self, counts: Codes) -> Codes:
        """Counts at the nearest multiple of `counts_to`, a tie at the even multiple.

        >>> MeasureTerms(counts_to=10).rounded(np.array([4, 5, 15, 16])).tolist()
        [0, 0, 20, 20]
        """
        if self.counts_to is None:
            return counts
        whole, rest = np.divmod(counts, self.counts_to)
        up = (2 * rest > self.counts_to) | ((2 * rest == self.counts_to) & (whole % 2 == 1))
        return np.asarray((whole + up) * self.counts_to, np.int64)


class MeasureTally(Protocol):
    """One measure of all groups. Groups and subjects are dense codes that the aggregate hands out and keeps over batches."""

    def observe(self, groups: Codes, values: pa.Array | None, subjects: Codes) -> None:
        """Adds equally long columns: the group, the value, the subject (-1 for none) of each row.

        Values are plain or dictionary-encoded and hold no null; a measure over rows gets None.
        """
        ...

    def merge(self, other: Any, groups: Codes, subjects: Codes) -> None:
        """Merges another tally of its class; `groups[i]` and `subjects[i]` are the codes here for its code i."""
        ...

    def settle(self, groups: Codes) -> pa.Array:
        """One value for each of some groups, ascending codes, of the `output_type` of the measure."""
        ...


@runtime_checkable
class SpillableTally(Protocol):
    """A tally that grows with its subjects or values, and can do with less memory."""

    @property
    def nbytes(self) -> int:
        """Bytes that can be spilled."""
        ...

    def spill(self, space: SpillSpace, subjects: HashWords) -> None:
        """Spills them. Takes the hash of each subject code; the codes may be used for other subjects afterwards.

        Before a tally settles of which a part was spilled, the rest must be spilled too.
        """
        ...


class Measure(BaseModel):
    """A keyword of `measures:` with its parameters. `of` is the key of the measured field."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", populate_by_name=True)

    name: ClassVar[str]
    about: ClassVar[str]
    by_rank: ClassVar[bool] = False
    """Whether values in open bins take part, by their rank."""
    of: str | None = None

    def output_type(self, type_: pa.DataType | None) -> pa.DataType:
        """The type of its column, for the (plain) type of the measured field. Raises MeasureRefused."""
        raise MeasureRefused("nothing")

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally for values of this (plain) type."""
        raise MeasureRefused("nothing")

    @property
    def shared_measure(self) -> Measure:
        """The measure whose tally can also settle this one: itself, or one that all measures of its kind share."""
        return self

    def adapt_tally(self, tally: MeasureTally) -> MeasureTally:
        """A view of the tally of `shared_measure` that settles as this measure."""
        return tally


def require_type(type_: pa.DataType | None, takes: str, *tests: Callable[[pa.DataType], bool]) -> pa.DataType:
    """The type, if it passes one of the tests. Raises MeasureRefused."""
    if type_ is None or not any(test(type_) for test in tests):
        raise MeasureRefused(takes)
    return type_


def is_number(type_: pa.DataType) -> bool:
    """Whether values can be added up: integers, doubles, decimals."""
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def is_ordered(type_: pa.DataType) -> bool:
    """Whether values have a meaningful order: numbers and times."""
    return is_number(type_) or bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_))


def is_scalar(type_: pa.DataType) -> bool:
    """Whether values can be compared as wholes: all types that are not nested."""
    return not (pa.types.is_nested(type_) or pa.types.is_null(type_) or pa.types.is_dictionary(type_))
