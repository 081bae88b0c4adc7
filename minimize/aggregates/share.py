"""`share`: the part of a group's values that are among the named values."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from minimize.aggregates.base import Measure, MeasureRefused, MeasureTally, MeasureTerms, require_type
from minimize.aggregates.distinct_counts import CellCounts
from minimize.arrow.dictionaries import Codes
from minimize.spill import HashWords, SpillSpace

ShareScalar = bool | int | float | str
_TAKES = "strings, booleans, integers, doubles"


class Share(Measure):
    """The share of the rows with a value whose value is one of those named (`is`).

    Takes strings, booleans, integers, doubles. Gives a double between 0 and 1. Null unless both sides, the rows that have one
    of the values and the rows that have another, hold at least `below` distinct subjects. A share of 0 or 1 would disclose the
    value of every subject. Also null if few subjects could be derived from another share or a histogram of the field in the
    same aggregate.
    """

    name: ClassVar[str] = "share"
    about: ClassVar[str] = "the share of values that are among the named ones"
    of: str
    is_: tuple[ShareScalar, ...] = Field(alias="is", min_length=1)

    @field_validator("is_", mode="before", json_schema_input_type=ShareScalar | tuple[ShareScalar, ...])
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, bool | int | float | str) else value

    def output_type(self, type_: pa.DataType | None) -> pa.DataType:
        """Always double. Raises MeasureRefused for another type, and if a named value has another type than the field."""
        self._values(require_type(type_, _TAKES, _is_nameable))
        return pa.float64()

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return ShareTally(self._values(require_type(type_, _TAKES, _is_nameable)), terms)

    def _values(self, type_: pa.DataType) -> pa.Array:
        kinds = _python_types(type_)
        if not all(type(value) in kinds for value in self.is_):
            raise MeasureRefused("values of the type of the field")
        return pa.array(self.is_, type_)


class ShareTally:
    """Rows per group and subject, on both sides."""

    def __init__(self, named: pa.Array, terms: MeasureTerms) -> None:
        self._named = named
        self._terms = terms
        self._having, self._others = CellCounts(), CellCounts()

    @property
    def nbytes(self) -> int:
        """Bytes that can be spilled."""
        return self._having.nbytes + self._others.nbytes

    def spill(self, space: SpillSpace, subjects: HashWords) -> None:
        """Spills the subjects of both sides by their hashes."""
        self._having.spill(space, subjects)
        self._others.spill(space, subjects)

    def observe(self, groups: Codes, values: pa.Array | None, subjects: Codes) -> None:
        """Adds rows."""
        if values is None:
            return
        hits = _matches_named(values, self._named)
        for side, crowd in ((hits, self._having), (~hits, self._others)):
            crowd.add(groups[side], subjects[side])

    def merge(self, other: Self, groups: Codes, subjects: Codes) -> None:
        """Merges another tally."""
        self._having.merge(other._having, groups, subjects)
        self._others.merge(other._others, groups, subjects)

    def subjects(self, groups: Codes) -> tuple[Codes, Codes]:
        """The number of distinct subjects of each group with one of the values, and with another value."""
        return self._having.settle(groups)[1], self._others.settle(groups)[1]

    def settle(self, groups: Codes) -> pa.Array:
        """The share of each group; null if a side is small."""
        having, many = self._having.settle(groups)
        others, more = self._others.settle(groups)
        enough = np.minimum(many, more) >= max(self._terms.below, 1)
        return pa.array(having / np.maximum(having + others, 1), pa.float64(), mask=~enough)


def _matches_named(values: pa.Array, named: pa.Array) -> npt.NDArray[np.bool_]:
    if pa.types.is_dictionary(values.type):
        indices: Codes = values.indices.to_numpy(zero_copy_only=False)
        return _matches_named(values.dictionary, named)[indices]
    return np.asarray(pc.is_in(values, value_set=named.cast(values.type)).to_numpy(zero_copy_only=False), np.bool_)


def _python_types(type_: pa.DataType) -> tuple[type, ...]:
    if pa.types.is_boolean(type_):
        return (bool,)
    if pa.types.is_integer(type_):
        return (int,)
    return (int, float) if pa.types.is_floating(type_) else (str,)


def _is_nameable(type_: pa.DataType) -> bool:
    tests = (
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_string,
        pa.types.is_large_string,
    )
    return any(test(type_) for test in tests)
