"""`share`: the part of a group's values that are among the named values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from minimize.aggregates.base import FieldTypes, MeasureRefused, MeasureTally, MeasureTerms, StatedNoise
from minimize.aggregates.cells import CellMeasure
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, SubjectLimits
from minimize.aggregates.distinct_subjects import SubjectCounts
from minimize.aggregates.exact_sums import GroupSums
from minimize.arrow.dictionaries import Bools, Codes
from minimize.spill import HashWords

if TYPE_CHECKING:
    from minimize.aggregates.base import ValueBounds
    from minimize.aggregates.noisy_figures import NoisyRows

ShareScalar = bool | int | float | str


def _python_types(type_: pa.DataType) -> tuple[type, ...]:
    """The types of the values that can be named; empty for a type that the measure does not take."""
    if pa.types.is_boolean(type_):
        return (bool,)
    if pa.types.is_integer(type_):
        return (int,)
    if pa.types.is_floating(type_):
        return (int, float)
    return (str,) if pa.types.is_string(type_) or pa.types.is_large_string(type_) else ()


class Share(CellMeasure):
    """The share of the rows with a value whose value is one of those named (`is`).

    Takes strings, booleans, integers, doubles. Gives a double between 0 and 1. Null unless both sides, the rows that have one
    of the values and the rows that have another, hold at least `below` distinct subjects. A share of 0 or 1 would disclose the
    value of every subject. Also null if few subjects could be derived from another share or a histogram of the field in the
    same aggregate.
    """

    name: ClassVar[str] = "share"
    about: ClassVar[str] = "the share of values that are among the named ones"
    takes = FieldTypes("strings, booleans, integers, doubles", lambda type_: bool(_python_types(type_)))
    takes_noise = True
    shown_values = "none"
    needs_bounds = False
    null_reasons = ("fewer than {below} subjects on one of its sides",)
    of: str
    is_: tuple[ShareScalar, ...] = Field(alias="is", min_length=1)

    @field_validator("is_", mode="before", json_schema_input_type=ShareScalar | tuple[ShareScalar, ...])
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, bool | int | float | str) else value

    def output_type(self, type_: pa.DataType | None) -> pa.DataType:
        """Always double. Raises MeasureRefused for another type, and if a named value has another type than the field."""
        self._values(type_)
        return pa.float64()

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return ShareTally(self._values(type_), terms)

    def start_noisy(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return self.start(type_, terms)

    def noisy_column(self, rows: NoisyRows, measured: BoundMeasure, tally: MeasureTally | None) -> pa.Array:
        """The noisy share of subjects with one of the values, on its grid; null where a side is small."""
        assert isinstance(tally, ShareTally)
        assert measured.measured_field is not None
        having, _ = tally.subjects(rows.groups)
        return rows.share(measured.measured_field, pc.unique(self._values(measured.plain)), having)

    @classmethod
    def additional_measures(cls, definition: AggregateDefinition) -> Iterator[BoundMeasure]:
        """The parts into which the shares of a field divide its values, and all the values that they name."""
        for _, parts, whole in _related_shares(definition):
            yield from (*parts, whole)

    @classmethod
    def suppressed_measures(
        cls, definition: AggregateDefinition, tallies: Mapping[BoundMeasure, MeasureTally], groups: Codes, below: int
    ) -> Iterator[tuple[BoundMeasure, Bools]]:
        """All shares of a field but the first, in the groups in which few subjects are in a part."""
        for shares, parts, whole in _related_shares(definition):
            small = _groups_with_few(tallies[whole], groups, below, complement=True)
            for part in parts:
                small |= _groups_with_few(tallies[part], groups, below)
            yield from ((each, small) for each in shares[1:])

    def _values(self, type_: pa.DataType | None) -> pa.Array:
        kind = self.accepted_type(type_)
        if not all(type(value) in _python_types(kind) for value in self.is_):
            raise MeasureRefused("values of the type of the field")
        return pa.array(self.is_, kind)

    def stated_noise(self, deviation: float, limits: SubjectLimits, bounds: ValueBounds | None) -> StatedNoise:
        """That of both numbers of subjects."""
        return StatedNoise(deviation, "the number of subjects with a value", deviation)


class ShareTally:
    """Rows per group, on both sides."""

    facts, ranges = 2, 0
    _counts: SubjectCounts

    def __init__(self, named: pa.Array, terms: MeasureTerms) -> None:
        self._named = named
        self._terms = terms
        self._having, self._others = GroupSums(), GroupSums()

    def bind(self, counts: SubjectCounts) -> None:
        """Takes the counts of subjects."""
        self._counts = counts

    def describe(self, values: pa.Array) -> tuple[list[Bools], list[HashWords]]:
        """The rows with one of the values, and the others."""
        hits = _matches_named(values, self._named)
        return [hits, ~hits], []

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        hits = _matches_named(values, self._named)
        self._having.count(groups[hits])
        self._others.count(groups[~hits])

    def merge(self, tally: Self, groups: Codes) -> None:
        """Merges another tally."""
        self._having.merge(tally._having, groups)
        self._others.merge(tally._others, groups)

    def subjects(self, groups: Codes) -> tuple[Codes, Codes]:
        """The number of distinct subjects of each group with one of the values, and with another value."""
        return self._counts.count_having(groups, 0), self._counts.count_having(groups, 1)

    def settle(self, groups: Codes) -> pa.Array:
        """The share of each group; null if a side is small."""
        having, others = self._having.select(groups), self._others.select(groups)
        enough = np.minimum(*self.subjects(groups)) >= max(self._terms.below, 1)
        return pa.array(having / np.maximum(having + others, 1), pa.float64(), mask=~enough)


def _matches_named(values: pa.Array, named: pa.Array) -> npt.NDArray[np.bool_]:
    if pa.types.is_dictionary(values.type):
        indices: Codes = values.indices.to_numpy(zero_copy_only=False)
        return _matches_named(values.dictionary, named)[indices]
    return np.asarray(pc.is_in(values, value_set=named.cast(values.type)).to_numpy(zero_copy_only=False), np.bool_)


def _groups_with_few(tally: MeasureTally, groups: Codes, below: int, *, complement: bool = False) -> Bools:
    """The groups in which few subjects have one of the values of a share, or another value."""
    assert isinstance(tally, ShareTally)
    subjects = tally.subjects(groups)[complement]
    return np.asarray((subjects > 0) & (subjects < below), np.bool_)


def _related_shares(
    definition: AggregateDefinition,
) -> Iterator[tuple[list[BoundMeasure], list[BoundMeasure], BoundMeasure]]:
    """The shares of a field, if several with different values are published; the one with the fewest values first.

    Each time with the parts into which they divide the values that they name, and the share of all of these.
    """
    fields: dict[str, dict[BoundMeasure, frozenset[ShareScalar]]] = {}
    for bound_measure in definition.measures.values():
        if isinstance(bound_measure.measure, Share):
            fields.setdefault(bound_measure.measure.of, {})[bound_measure] = frozenset(bound_measure.measure.is_)
    for field, values in fields.items():
        if len(set(values.values())) == 1 or values.keys().isdisjoint(definition.measures.values()):
            continue
        shares = sorted(values, key=lambda share: (len(values[share]), repr(sorted(map(repr, values[share])))))
        named = sorted(
            frozenset[ShareScalar]().union(*values.values()), key=lambda value: (type(value).__name__, value)
        )
        parts: dict[tuple[bool, ...], list[ShareScalar]] = {}
        for value in named:
            parts.setdefault(tuple(value in values[each] for each in shares), []).append(value)
        *divided, whole = (
            replace(shares[0], measure=Share(of=field, is_=tuple(part))) for part in (*parts.values(), named)
        )
        yield shares, divided, whole
