"""What an aggregate is, by names and types: its keys, its measures, its threshold; and what can be wrong with that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import pyarrow as pa

from minimize.aggregates.base import Measure, MeasureRefused, Terms, is_scalar
from minimize.aggregates.group_retention import GroupRetention
from minimize.codebook import settled
from minimize.errors import Finding
from minimize.pointer import Pointer

Unit = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
UNITS: tuple[Unit, ...] = get_args(Unit)


COUNTING: Final = ""
"""What stands for the subjects that an aggregate counts among the meanings of its measures."""


@dataclass(frozen=True, slots=True)
class GroupKey:
    """One group key: a field (its key in the policy) in its released form and type, a time possibly cut to a coarser unit.

    `cut` gives the starts of the unit on the clock that the field is released by; without it that clock is UTC.
    """

    key: str
    type: pa.DataType
    to: Unit | None = None
    cut: Callable[[pa.Array], pa.Array] | None = field(default=None, compare=False)

    @property
    def pointer(self) -> Pointer:
        """Where the field stands in a record."""
        return Pointer.parse(self.key)

    @property
    def star(self) -> Pointer | None:
        """The innermost list that the field stands in."""
        return star_of(self.key)


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure, the type of the field that it is over as aggregates see it (None for a measure over rows), and whether no
    value of the field reaches aggregates as it came in."""

    measure: Measure
    type: pa.DataType | None = None
    generalized: bool = False

    @property
    def star(self) -> Pointer | None:
        """The innermost list that the field stands in."""
        return None if self.measure.of is None else star_of(self.measure.of)

    @property
    def plain(self) -> pa.DataType | None:
        """The type of the values, no dictionary."""
        return None if self.type is None else settled(self.type)


@dataclass(frozen=True, slots=True)
class Definition:
    """One aggregate, ready to be tallied.

    keys      the group's names and what they stand for, in the order of the columns
    measures  the measures' names and what they stand for, in the order of the columns
    below     groups with fewer distinct subjects are absent
    counting  where the subject stands in a record
    folds     whether subjects that differ in case alone are the same
    others    shares and histograms that other tables publish of the same groups
    together  the largest threshold of these tables
    retention  how long groups are kept; None for no limit
    """

    name: str
    keys: Mapping[str, GroupKey]
    measures: Mapping[str, Measured]
    below: int
    counting: Pointer
    counts_to: int | None = None
    folds: bool = False
    others: tuple[Measured, ...] = ()
    together: int = 0
    retention: GroupRetention | None = None

    @property
    def meanings(self) -> dict[str, str]:
        """How each measure is defined, by its name; and whom the aggregate counts."""
        said = {name: f"{each.measure.name} {each.measure.model_dump_json()}" for name, each in self.measures.items()}
        return {**said, COUNTING: str(self.counting)}

    @property
    def groups(self) -> frozenset[tuple[Pointer, Unit | None]]:
        """What its groups are, however its keys are named."""
        return frozenset((key.pointer, key.to) for key in self.keys.values())

    @property
    def terms(self) -> Terms:
        """What holds for every measure."""
        return Terms(self.below, self.counts_to)

    def terms_of(self, measured: Measured) -> Terms:
        """What one measure is bound to."""
        return Terms(self.below, self.counts_to, measured.generalized)

    @property
    def star(self) -> Pointer | None:
        """The list whose elements are grouped; None where a record stands in one group."""
        return next((key.star for key in self.keys.values() if key.star is not None), None)

    @property
    def schema(self) -> pa.Schema:
        """The table's schema: the group's names, then the measures'. Raises MeasureRefused."""
        keys = [(name, settled(key.type)) for name, key in self.keys.items()]
        return pa.schema(keys + [(name, self.gives(each)) for name, each in self.measures.items()])

    def gives(self, measured: Measured) -> pa.DataType:
        """The type of a measure's column. Raises MeasureRefused."""
        return pa.int64() if self.counts_subjects(measured) else measured.measure.gives(measured.plain)

    def counts_subjects(self, measured: Measured) -> bool:
        """Whether a measure is over the field that the aggregate counts by: then subjects are counted as given."""
        measure = measured.measure
        return measure.name == "count_distinct" and Pointer.parse(measure.of or "_") == self.counting


def faults(definition: Definition) -> tuple[Finding, ...]:
    """Everything that is wrong with a definition, all at once."""
    found = (*_wrong_keys(definition), *_wrong_lists(definition), *_wrong_measures(definition))
    return tuple(Finding(code, f"{definition.name}: {what}", hint=hint, field=key) for code, what, hint, key in found)


_Fault = tuple[str, str, str, str | None]


def _wrong_keys(definition: Definition) -> Iterator[_Fault]:
    for name, key in definition.keys.items():
        kind = settled(key.type)
        if not is_scalar(kind):
            yield "A001", f"{name} is nested and cannot be a group key", "group by a leaf of it", key.key
        elif key.to is not None and not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            yield "A002", f"{name} is no time and has no {key.to}", "leave the unit out", key.key
    for name in definition.keys.keys() & definition.measures.keys():
        yield "A003", f"{name} names a group key and a measure", "give one of them another name", None


def _wrong_lists(definition: Definition) -> Iterator[_Fault]:
    star = definition.star
    for name, key in definition.keys.items():
        if key.star not in (None, star):
            yield "A004", f"{name} stands in another list than {star}", "group by leaves of one list", key.key
    for name, each in definition.measures.items():
        if star is not None and each.star not in (None, star) and not definition.counts_subjects(each):
            yield (
                "A004",
                f"{name} is over another list than {star}",
                "measure leaves of the list it groups by",
                each.measure.of,
            )
    if definition.counting.stars:
        yield "A005", "a subject in a list cannot be counted", "count a field of the record", str(definition.counting)


def _wrong_measures(definition: Definition) -> Iterator[_Fault]:
    for name, each in definition.measures.items():
        try:
            definition.gives(each)
        except MeasureRefused as error:
            refused = error.takes
            yield (
                "A006",
                f"{name}: {each.measure.name} takes {refused}",
                "choose another measure or field",
                each.measure.of,
            )


def star_of(key: str) -> Pointer | None:
    """The innermost list that a field's key stands in."""
    stars = Pointer.parse(key).stars
    return stars[-1] if stars else None
