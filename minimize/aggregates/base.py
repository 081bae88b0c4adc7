"""The contract of a measure: the measure and its parameters, its tally per group, and tests of field types.

A tally is exact and can be merged, however the records were cut into batches.

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
    """A measure does not take fields of this type; `takes` names what it does take."""

    def __init__(self, takes: str) -> None:
        self.takes = takes
        super().__init__(f"takes {takes}")


@dataclass(frozen=True, slots=True)
class MeasureTerms:
    """What a measure is bound to: the threshold of subjects, the multiple that counts are rounded to, and whether the values
    that it sees are generalized."""

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
        """Takes equally long columns in: the group, the value, the subject (-1 for none) of each row.

        Values are plain or dictionary-encoded and hold no null; a measure over rows gets None.
        """
        ...

    def merge(self, other: Any, groups: Codes, subjects: Codes) -> None:
        """Takes another tally of its class in; `groups[i]` and `subjects[i]` are our codes for its code i."""
        ...

    def settle(self, groups: Codes) -> pa.Array:
        """One value for each of some groups, ascending codes, of the type that the measure `gives`."""
        ...


@runtime_checkable
class SpillableTally(Protocol):
    """A tally that grows with its subjects or values, and can do with less memory."""

    @property
    def nbytes(self) -> int:
        """Bytes that could be set aside."""
        ...

    def spill(self, space: SpillSpace, subjects: HashWords) -> None:
        """Sets them aside. Takes the hash of each code of a subject; the codes may mean something else from now on.

        Before a tally settles in which something was set aside, the rest must be, too.
        """
        ...


class Measure(BaseModel):
    """A word of `measures:` with its parameters. `of` is the key of the field that it is over."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", populate_by_name=True)

    name: ClassVar[str]
    about: ClassVar[str]
    by_rank: ClassVar[bool] = False
    """Whether values in open bins take part, by their rank."""
    of: str | None = None

    def output_type(self, type_: pa.DataType | None) -> pa.DataType:
        """The type of its column, for the (plain) type of the field it is over. Raises MeasureRefused."""
        raise MeasureRefused("nothing")

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally for values of this (plain) type."""
        raise MeasureRefused("nothing")

    @property
    def shared_measure(self) -> Measure:
        """The measure whose tally this one can settle from, too: itself, or one that all of its kind share."""
        return self

    def adapt_tally(self, tally: MeasureTally) -> MeasureTally:
        """A tally that has observed for `tallied_as`, settling as this measure does."""
        return tally


def require_type(type_: pa.DataType | None, takes: str, *tests: Callable[[pa.DataType], bool]) -> pa.DataType:
    """The type, where one of the tests holds for it. Raises MeasureRefused."""
    if type_ is None or not any(test(type_) for test in tests):
        raise MeasureRefused(takes)
    return type_


def is_number(type_: pa.DataType) -> bool:
    """Whether values can be added up: integers, doubles, decimals."""
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def is_ordered(type_: pa.DataType) -> bool:
    """Whether values have a smallest and a largest that mean something: numbers and times."""
    return is_number(type_) or bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_))


def is_scalar(type_: pa.DataType) -> bool:
    """Whether values can be told apart as wholes: everything that is not nested."""
    return not (pa.types.is_nested(type_) or pa.types.is_null(type_) or pa.types.is_dictionary(type_))
