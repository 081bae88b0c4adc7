"""The contract of a measure: its parameters, its facts, and its tally per group.

A tally is exact and can be merged, independently of the division of records into batches.

A new measure is one file in this folder with one class and its tally, one row in `MEASURES` (`__init__.py`), one test
file. `tally.py` hands out the codes of groups, hashes subjects, leaves out rows without a value, and makes a measure null if
fewer than `below` subjects contribute a value. A measure does its own arithmetic, and protects cells finer than a group.
Everything else that lint, plan, run, `diff` and documentation need to know about it is stated on its class.

Values between bounds become whole numbers around the middle of the bounds, so that a sum of them is exact and can have noise.

A value counts in units of its type: 1 for integers, the last decimal place for decimals. For doubles, and between bounds that
are more than 2**32 units apart, a unit is the distance of the bounds, divided by 2**32. A value outside the bounds counts as
the nearer bound; NaN is no value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from minimize.aggregates.distinct_subjects import SubjectCounts
from minimize.arrow.dictionaries import Bools, Codes, Doubles
from minimize.spill import UNLIMITED_SPACE, HashWords, SpillSpace
from minimize.text import brief_number

if TYPE_CHECKING:
    from minimize.aggregates.definition import BoundMeasure, SubjectLimits
    from minimize.aggregates.noise import NoiseKey
    from minimize.aggregates.noisy_figures import NoisyRows
from decimal import Decimal
from fractions import Fraction
from typing import Final

import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary


class MeasureRefused(Exception):
    """A measure does not take fields of this type. `takes` names the types that it takes."""

    def __init__(self, takes: str) -> None:
        self.takes = takes
        super().__init__(f"takes {takes}")


@dataclass(frozen=True, slots=True)
class MeasureTerms:
    """Terms of a measure: the threshold of subjects, the multiple to which counts are rounded, whether its values are
    generalized, all ranks that they can have (None: not known), and where its tally spills."""

    below: int = 10
    counts_to: int | None = None
    generalized: bool = False
    ranks: tuple[float, ...] | None = None
    space: SpillSpace = field(default=UNLIMITED_SPACE, repr=False, compare=False)

    def rounded(self, counts: Codes) -> Codes:
        """Counts at the nearest multiple of `counts_to`, a tie at the even multiple.

        >>> MeasureTerms(counts_to=10).rounded(np.array([4, 5, 15, 16])).tolist()
        [0, 0, 20, 20]
        """
        if self.counts_to is None:
            return counts
        whole, remainders = np.divmod(counts, self.counts_to)
        up = (2 * remainders > self.counts_to) | ((2 * remainders == self.counts_to) & (whole % 2 == 1))
        return np.asarray((whole + up) * self.counts_to, np.int64)


class MeasureTally(Protocol):
    """One measure of all groups. Groups are dense codes that the aggregate hands out and keeps over batches."""

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds equally long columns: the group, the value, the hash of the subject (zeros for none) of each row.

        Values are plain or dictionary-encoded and hold no null; those of a measure of rows have no meaning.
        """
        ...

    def merge(self, tally: Any, groups: Codes) -> None:
        """Merges another tally of its class; `groups[i]` is the code here for its code i."""
        ...

    def settle(self, groups: Codes) -> pa.Array:
        """One value for each of some groups, ascending codes, of the `output_type` of the measure."""
        ...


@runtime_checkable
class SubjectTally(Protocol):
    """A tally whose statistics depend on the subjects behind parts of a group. The aggregate counts these subjects."""

    facts: int
    """The number of facts that a row has or has not."""
    ranges: int
    """The number of ordered words of a row."""

    def bind(self, counts: SubjectCounts) -> None:
        """Takes the counts of subjects that it settles with."""
        ...

    def describe(self, values: pa.Array) -> tuple[Sequence[Bools], Sequence[HashWords]]:
        """Masks of the rows that have each fact, and their ordered words."""
        ...


@runtime_checkable
class DigestedTally(Protocol):
    """A tally of subjects or values of its own, which take part in the digest of a release."""

    def digest(self, groups: HashWords, key: NoiseKey) -> bytes:
        """A digest of what it has tallied, independent of the order. Takes a hash of each group."""
        ...


@dataclass(frozen=True, slots=True)
class FieldTypes:
    """The (plain) types of fields that a measure takes: their names, and the test of a type."""

    names: str
    includes: Callable[[pa.DataType], bool]


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _is_ordered(type_: pa.DataType) -> bool:
    return _is_number(type_) or bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_))


def _is_scalar(type_: pa.DataType) -> bool:
    return not (pa.types.is_nested(type_) or pa.types.is_null(type_) or pa.types.is_dictionary(type_))


NUMBERS = FieldTypes("numbers", _is_number)
"""Values that can be added up: integers, doubles, decimals."""
ORDERED_TYPES = FieldTypes("numbers, timestamps, dates", _is_ordered)
SCALARS = FieldTypes("every type that is not nested", _is_scalar)
"""Values that can be compared as wholes."""


@dataclass(frozen=True, slots=True)
class StatedNoise:
    """The standard deviation of a statistic's noise."""

    total: float
    """The standard deviation of the noise of a number or a sum."""
    divided_by: str = ""
    """The number by which the statistic of a row is divided, in words; empty for a number or a sum."""
    divisor: float = 0.0
    """The standard deviation of the noise of that number. It counts as far as the statistic is from `middle`."""
    middle: float = 0.0
    typical: float = 1.0
    """What the noise is compared with: for a statistic that is divided, its range; for a number or a sum, that of one
    subject with one value in the middle of its bounds."""

    def hides(self, deviation: float, subjects: float) -> bool:
        """Whether noise of this deviation hides most of the statistic of a row with so many subjects: it is more than a fifth of
        the range, so that two deviations to both sides cover most of it, or more than half of a typical number or sum."""
        limit = self.typical / 5 if self.divided_by else self.typical * subjects / 2
        return deviation > limit

    def of_rows(self, numbers: Doubles, figures: Doubles | None = None) -> Doubles:
        """That of each row, if it has so many values. Takes also the statistics, if they are known."""
        if not self.divided_by:
            return np.full(len(numbers), self.total)
        away = np.zeros(len(numbers)) if figures is None else figures - self.middle
        return np.hypot(self.total, self.divisor * away) / np.maximum(numbers, 1.0)

    def __str__(self) -> str:
        return brief_number(self.total) + (f", divided by {self.divided_by}" if self.divided_by else "")


class Measure(BaseModel):
    """A keyword of `measures:` with its parameters. `of` is the key of the measured field; a measure of rows has none.

    The class states facts about the measure, which other modules ask. The default of each is the case that reveals most.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", populate_by_name=True)

    name: ClassVar[str]
    """The keyword of the measure."""
    about: ClassVar[str]
    """What the measure is, in a line."""
    takes: ClassVar[FieldTypes | None] = None
    """The types of fields that the measure takes; None for a measure of rows, to which most other facts do not apply."""
    result_type: ClassVar[pa.DataType | None] = None
    """The type of its column; None for the type of the field."""
    shown_values: ClassVar[Literal["none", "frequent", "supported", "single"]] = "single"
    """The values of the field that a statistic is or contains: `none`; `frequent` ones, each of at least `below` subjects; a
    `supported` one, with at least `below` subjects on both sides; or a `single` one."""
    revealed_counts: ClassVar[Literal["none", "rounded", "exact"]] = "exact"
    """The numbers of rows that a statistic reveals: `none`, `rounded` ones, or `exact` ones."""
    counts_distinct: ClassVar[bool] = False
    """Whether the measure counts distinct values of the field; subjects if the field is the counted subject."""
    needs_bounds: ClassVar[bool] = True
    """Whether one value can determine most of a statistic: values must be clipped or otherwise generalized, and the field
    must not have open bins."""
    by_rank: ClassVar[bool] = False
    """Whether values in open bins take part, by their rank."""
    hidden_cells: ClassVar[Literal["none", "together", "apart"]] = "apart"
    """Whether a statistic contains the hidden cells of a cell measure of the field: `none`, all `together`, or some cells
    `apart` from the others."""
    null_reasons: ClassVar[tuple[str, ...]] = ()
    """What a null can mean, apart from few subjects in the group."""
    takes_noise: ClassVar[bool] = False
    """Whether statistics can have noise. A statistic that is one subject's value cannot."""
    sums_values: ClassVar[bool] = False
    """Whether the measure adds up the values of its field, which then needs bounds."""
    depends_on_rows: ClassVar[bool] = False
    """Whether a statistic with noise depends on how many rows a subject has."""
    adds_up: ClassVar[bool] = False
    """Whether a statistic over several rows is the sum of the statistics of these rows."""
    of: str | None = None

    @property
    def phrase(self) -> str:
        """The measure and its field in words."""
        return self.name if self.of is None else f"{self.name} of {self.of}"

    @property
    def extreme(self) -> str | None:
        """The word for the extreme value that it gives because of its parameters."""
        return None

    def accepted_type(self, type_: pa.DataType | None) -> pa.DataType:
        """The (plain) type of the measured field, if the measure takes it. Raises MeasureRefused."""
        if self.takes is None or type_ is None or not self.takes.includes(type_):
            raise MeasureRefused("nothing" if self.takes is None else self.takes.names)
        return type_

    def output_type(self, type_: pa.DataType | None) -> pa.DataType:
        """The type of its column, for the (plain) type of the measured field. Raises MeasureRefused."""
        accepted = None if self.takes is None else self.accepted_type(type_)
        return accepted if self.result_type is None else self.result_type

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally for values of this (plain) type. Raises MeasureRefused."""
        raise NotImplementedError

    def start_noisy(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally | None:
        """An empty tally for statistics with noise; None if the totals of the groups suffice. Raises MeasureRefused."""
        return None

    def noisy_column(self, rows: NoisyRows, measured: BoundMeasure, tally: MeasureTally | None) -> pa.Array:
        """The statistics of some rows with noise. Takes the measure with its field, and the tally that was started for it."""
        raise NotImplementedError

    def stated_noise(self, deviation: float, limits: SubjectLimits, bounds: ValueBounds | None) -> StatedNoise | None:
        """The size of a statistic's noise; None if the statistic is not one number. Takes the standard deviation of a number of
        subjects, and the bounds of values."""
        return None

    def noise_text(self, deviation: float, limits: SubjectLimits, bounds: ValueBounds | None) -> str:
        """The standard deviation of a statistic's noise, in words. Takes the same."""
        size = self.stated_noise(deviation, limits, bounds)
        return f"{brief_number(deviation)} in each number of subjects" if size is None else str(size)

    @property
    def noise_obstacle(self) -> tuple[str, str]:
        """Why its statistics cannot have noise (`takes_noise`), and what to use in its place; empty if there is nothing."""
        return f"the statistics of {self.name} cannot have noise", ""

    @property
    def shared_measure(self) -> Measure:
        """The measure whose tally can also settle this one: itself, or one that all measures of its kind share."""
        return self

    def adapt_tally(self, tally: MeasureTally) -> MeasureTally:
        """A view of the tally of `shared_measure` that settles as this measure."""
        return tally


_MOST_UNITS: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class ValueBounds:
    """The bounds between which all values of a field are, both included, in the unit of the field.

    >>> ValueBounds(Decimal(0), Decimal(100)).centred(pa.array([0, 50, 120])).tolist()
    [-100, 0, 100]
    """

    low: Decimal
    high: Decimal

    @property
    def distance(self) -> float:
        """The distance between the bounds."""
        return float(self.high - self.low)

    @property
    def middle(self) -> Fraction:
        """The middle between the bounds."""
        return Fraction(self.low + self.high) / 2

    def unit(self, type_: pa.DataType) -> Fraction:
        """The size of a unit."""
        type_unit = Fraction(1, 10**type_.scale) if pa.types.is_decimal(type_) else Fraction(1)
        distance = Fraction(self.high - self.low)
        is_whole = not (Fraction(self.low) % type_unit or Fraction(self.high) % type_unit)
        is_fine = is_whole and not pa.types.is_floating(type_) and distance <= _MOST_UNITS * type_unit
        return type_unit if is_fine or not distance else distance / _MOST_UNITS

    def width(self, type_: pa.DataType) -> int:
        """The distance of the bounds in units: by how many half units one value can change a sum, is twice this."""
        return int(Fraction(self.high - self.low) / self.unit(type_))

    def centred(self, values: pa.Array) -> Codes:
        """The distance of each value from the middle in half units. Takes a column without nulls and NaN."""
        plain = decode_dictionary(values)
        unit, width = self.unit(plain.type), self.width(plain.type)
        if not width:
            return np.zeros(len(plain), np.int64)
        if pa.types.is_integer(plain.type) and unit == 1 and not pa.types.is_uint64(plain.type):
            whole = plain.cast(pa.int64()).to_numpy()
            places = np.clip(whole, int(self.low), int(self.high)) - int(self.low)
        else:
            numbers = pc.cast(plain, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            share = (numbers - float(self.low)) / float(self.high - self.low)
            places = np.rint(np.clip(share, 0.0, 1.0) * width).astype(np.int64)
        return np.asarray(2 * places - width, np.int64)


def not_nan(values: pa.Array) -> Bools | None:
    """The mask of values that are not NaN; None if none is."""
    plain = values.dictionary if pa.types.is_dictionary(values.type) else values
    if not pa.types.is_floating(plain.type):
        return None
    mask = ~np.isnan(decode_dictionary(values).to_numpy(zero_copy_only=False))
    return None if mask.all() else mask
