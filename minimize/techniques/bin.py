"""`bin`: half-open intervals of one width, or between edges (the outer two open)."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from operator import sub
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import ConfigDict, Field, model_validator

from minimize.arrow.dictionaries import distinct_values
from minimize.arrow.hashing import null_mask, number_buffer, numpy_type
from minimize.techniques.base import (
    FEW_ROWS,
    Context,
    Family,
    Residual,
    Technique,
    TechniqueResult,
    TechniqueStep,
    UnsupportedType,
    ValueRange,
    failure_mask,
    type_family,
    untreated_mask,
)
from minimize.techniques.chosen_level import Auto, ChosenLevel, check_steps
from minimize.techniques.numeric import (
    COARSE_DEGREES,
    MAX_EXACT,
    DecimalGrid,
    Doubles,
    GridIndices,
    Integers,
    Number,
    as_doubles,
    as_integers,
    as_number,
    can_hold,
    decimal_text,
    exact_decimal,
    nearest_double,
    number_text,
    result_from_doubles,
    shortest_decimal,
)
from minimize.techniques.parameters import FEWER_TIGHTENS, HIGHER_TIGHTENS, NEUTRAL, UNORDERED, Order, ranked


@dataclass(frozen=True, slots=True)
class Interval:
    """`[lower, upper)`; None is no bound."""

    lower: Fraction | None
    upper: Fraction | None

    def __str__(self) -> str:
        if self.lower is None:
            return f"< {decimal_text(self.upper or Fraction(0))}"
        if self.upper is None:
            return f">= {decimal_text(self.lower)}"
        return f"[{decimal_text(self.lower)}, {decimal_text(self.upper)})"


class Intervals(Protocol):
    """Finds the interval of a number."""

    def hard(self, numbers: Doubles) -> npt.NDArray[np.bool_]:
        """The doubles for which `find` would not be exact."""
        ...

    def find(self, numbers: Doubles) -> GridIndices:
        """The index of the interval of each double."""
        ...

    def find_one(self, number: Fraction) -> int:
        """The index of the interval of an exact number."""
        ...

    def interval(self, index: int) -> Interval:
        """The bounds of an interval."""
        ...


@dataclass(frozen=True, slots=True)
class EvenIntervals:
    """Intervals of one width; one begins at the origin."""

    lattice: DecimalGrid

    def hard(self, numbers: Doubles) -> npt.NDArray[np.bool_]:
        """The doubles that are too far from zero for the width."""
        return self.lattice.hard(numbers)

    def find(self, numbers: Doubles) -> GridIndices:
        """The index of the last lower bound that is not above the number."""
        return self.lattice.floor(numbers)

    def find_one(self, number: Fraction) -> int:
        """The index of the last lower bound that is not above the number."""
        return self.lattice.floor_one(number)

    def interval(self, index: int) -> Interval:
        """From one point of the grid to the next."""
        return Interval(self.lattice.point(index), self.lattice.point(index + 1))


_MAX_COMPARED_EDGES = 16
"""Up to this number of edges, each is compared with all numbers, which costs less than a search if there are many numbers."""


@dataclass(frozen=True)
class EdgeIntervals:
    """Interval 0 is below the first edge, the last is from the last edge on."""

    edges: tuple[Fraction, ...]

    @classmethod
    def from_decimals(cls, edges: Sequence[Decimal]) -> EdgeIntervals:
        """The intervals between these decimals."""
        return cls(tuple(Fraction(edge) for edge in edges))

    def hard(self, numbers: Doubles) -> npt.NDArray[np.bool_]:
        """None: edges of at most 15 digits compare like their doubles."""
        return np.zeros(len(numbers), np.bool_)

    def find(self, numbers: Doubles | Integers) -> GridIndices:
        """The number of edges that are not above. Integers are compared with the next integers from the edges on."""
        bounds = self._bounds[numbers.dtype.kind]
        if len(bounds) > _MAX_COMPARED_EDGES or len(numbers) <= FEW_ROWS:
            return np.searchsorted(bounds, numbers, side="right").astype(np.int64)
        edge_counts = np.zeros(len(numbers), np.uint8)
        for bound in bounds:
            edge_counts += numbers >= bound
        return edge_counts.astype(np.int64)

    @cached_property
    def _bounds(self) -> Mapping[str, npt.NDArray[Any]]:
        """What numbers are compared with, by the kind of their type in NumPy."""
        whole = [math.ceil(edge) for edge in self.edges]
        return {
            "f": np.array([float(edge) for edge in self.edges]),
            "i": np.array([max(edge, -(2**63)) for edge in whole], np.int64),
            "u": np.array([max(edge, 0) for edge in whole], np.uint64),
        }

    def find_one(self, number: Fraction) -> int:
        """The number of edges that are not above."""
        return bisect_right(self.edges, number)

    def interval(self, index: int) -> Interval:
        """From one edge to the next; no bound at either end."""
        bounds = (None, *self.edges, None)
        return Interval(bounds[index], bounds[index + 1])


def has_exact_double(number: Decimal) -> bool:
    """Whether a decimal has at most 14 digits, so that its double represents no other decimal of that length."""
    return len(number.normalize().as_tuple().digits) < len(str(MAX_EXACT)) - 1


BinForm = Literal["lower", "middle", "label"]


class ChosenBinWidth(ChosenLevel):
    """The lower bound of an interval of one of several widths, which a search chooses."""

    name: ClassVar[str] = "bin"
    takes: ClassVar[tuple[Family, ...]] = ("integer", "double", "decimal")
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = True
    source: ClassVar[str] = "ISO/IEC 20889:2018"
    about: ClassVar[str] = "half-open intervals, as wide as a bound on disclosure risk needs them"

    width: Auto
    steps: Annotated[tuple[Number, ...], UNORDERED] = Field(min_length=1)
    origin: Annotated[Number, UNORDERED] = Decimal(0)

    @model_validator(mode="after")
    def _nested_steps(self) -> Self:
        check_steps(self.steps)
        _ = self.finest
        return self

    def levels(self) -> Sequence[Technique]:
        """Intervals of each width."""
        return [Bin(width=step, origin=self.origin) for step in self.steps]


class Bin(Technique):
    """Half-open intervals `[a, b)`, of one width or between edges: their lower bound, their middle, or a label.

    Takes numbers; `lower` gives the same type (which must hold the bounds), `middle` a double, `label` text. With edges, values
    below the first edge, or not below the last one, are in an open bin: null as a number (not untreated), `< a` or `>= b` as a
    label. Null stays null; NaN, infinities and bounds outside the type's range cannot be treated. The residual is coarse:
    nothing finer than the bin. Source: ISO/IEC 20889:2018, generalization.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> context = Context("f", datetime.now(UTC))
    >>> Bin(width=10).apply(pa.array([87.0, -3.0]), context).values.to_pylist()
    [80.0, -10.0]
    >>> Bin(edges=[0, 18, 65], **{"as": "label"}).apply(pa.array([17, 70]), context).values.to_pylist()
    ['[0, 18)', '>= 65']
    """

    model_config = ConfigDict(populate_by_name=True)

    name: ClassVar[str] = "bin"
    takes: ClassVar[tuple[Family, ...]] = ("integer", "double", "decimal")
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = True
    source: ClassVar[str] = "ISO/IEC 20889:2018"
    about: ClassVar[str] = "half-open intervals: lower bound, middle or label"
    chosen_form: ClassVar[type[TechniqueStep] | None] = ChosenBinWidth
    proposed_for: ClassVar[Mapping[str, str]] = {
        "percentage": "{width: 10}",
        "bytes": "{edges: [1e9, 4e9, 16e9, 64e9, 256e9]}",
    }

    width: Annotated[Number | None, HIGHER_TIGHTENS] = Field(None, gt=0)
    origin: Annotated[Number, UNORDERED] = Decimal(0)
    edges: Annotated[tuple[Number, ...] | None, FEWER_TIGHTENS] = Field(None, min_length=1)
    as_: Annotated[BinForm, NEUTRAL] = Field("lower", alias="as")

    @model_validator(mode="after")
    def _width_or_edges(self) -> Self:
        if (self.width is None) == (self.edges is None):
            raise ValueError("bin requires either width or edges")
        if self.edges is not None and list(self.edges) != sorted(set(self.edges)):
            raise ValueError("bin: edges must rise strictly")
        if self.edges is not None and self.origin != 0:
            raise ValueError("bin: origin can be used with width only, not with edges")
        if not all(has_exact_double(number) for number in (self.width or Decimal(1), self.origin, *(self.edges or ()))):
            raise ValueError("bin: width, origin and edges must have at most 14 digits")
        if isinstance(self._intervals, EvenIntervals) and not self._intervals.lattice.is_exact:
            raise ValueError("bin: width and origin differ too much in size")
        return self

    @property
    def is_open(self) -> bool:
        """Whether some values fall into bins without a bound on one side."""
        return self.edges is not None

    def parameter_orders(self) -> dict[str, Order]:
        """Labels show on which side a value is outside the edges. Numbers are null there."""
        return super().parameter_orders() | ({"as_": ranked(("number", "label"))} if self.is_open else {})

    def parameters(self) -> dict[str, Any]:
        """Between edges, both kinds of numbers show the same."""
        return super().parameters() | ({"as_": "number"} if self.is_open and self.as_ != "label" else {})

    def phrase(self) -> str:
        """The width or the bounds."""
        if self.width is not None:
            return f"only the range that it is in, in steps of {number_text(self.width)}"
        return f"only the range that it is in, with limits at {' / '.join(map(number_text, self.edges or ()))}"

    def result_range(self, values: ValueRange) -> ValueRange:
        """The numbers of the outer intervals, open ones left out."""
        edges, intervals = self.edges or (), self._intervals
        if self.as_ == "label" or len(edges) == 1:
            return ValueRange()
        if edges:
            return ValueRange(*(self._interval_number(intervals.interval(place)) for place in (1, len(edges) - 1)))
        return values.convert(lambda end: self._interval_number(intervals.interval(intervals.find_one(Fraction(end)))))

    def _interval_number(self, interval: Interval) -> Decimal:
        """The number of an interval that is not open."""
        return exact_decimal(self._number(interval) or Fraction(0))

    def locates_finely(self, *, coordinate: bool) -> bool:
        """Whether an interval of coordinates is narrower than a tenth of a degree."""
        edges = self.edges or ()
        widths: Iterable[Decimal] = map(sub, edges[1:], edges) if self.width is None else (self.width,)
        return coordinate and any(width < COARSE_DEGREES for width in widths)

    def is_lossless(self, type_: str) -> bool:
        """Whether no interval has more than one whole number."""
        return type_ == "integer" and self.width is not None and self.width <= 1

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """The same type, double or text. Raises UnsupportedType also if `lower` has bounds that the type cannot hold."""
        output = super().output_type(type_)
        if self.as_ != "lower":
            return pa.float64() if self.as_ == "middle" else pa.string()
        bounds = self.edges[:-1] if self.edges is not None else (self.width or Decimal(0), self.origin)
        if not pa.types.is_floating(output) and not all(self._has_place(bound, output) for bound in bounds):
            raise UnsupportedType(tuple(word for word in self.takes if word != type_family(output)))
        return output

    def _has_place(self, bound: Decimal, type_: pa.DataType) -> bool:
        """Edges must fit into the type; width and origin must have no more decimals than the type."""
        scale = type_.scale if pa.types.is_decimal(type_) else 0
        return can_hold(bound, type_ if self.is_open else pa.decimal256(76, scale))

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The bins."""
        intervals = self._intervals
        if isinstance(intervals, EvenIntervals) and self.as_ != "label" and pa.types.is_float64(values.type):
            with np.errstate(all="ignore"):
                bounds, sure = intervals.lattice.below(number_buffer(values, np.float64), middle=self.as_ == "middle")
            return result_from_doubles(values, bounds, sure, self._exact_result)
        if isinstance(intervals, EvenIntervals) and self.as_ == "lower" and pa.types.is_integer(values.type):
            return self._integer_result(values, intervals)
        if isinstance(intervals, EdgeIntervals) and not pa.types.is_decimal(values.type):
            return self._edge_result(values, intervals)
        return self._exact_result(values)

    def _integer_result(self, values: pa.Array, intervals: EvenIntervals) -> TechniqueResult:
        """Lower bounds in integer arithmetic."""
        kind, numbers, null = numpy_type(self.output_type(values.type)), as_integers(values), null_mask(values)
        lower, lost = intervals.lattice.floor_integers(numbers)
        if kind != numbers.dtype:
            lost |= lower < np.iinfo(kind).min
        lost &= ~null
        gone = lost | null
        lower[gone] = 0
        changed = int(np.count_nonzero((lower != numbers) & ~gone))
        lower_bounds = pa.array(lower.astype(kind, copy=False), mask=gone if gone.any() else None)
        return TechniqueResult(lower_bounds, failure_mask(lost), changed)

    def _edge_result(self, values: pa.Array, edges: EdgeIntervals) -> TechniqueResult:
        """Bins by the number of edges that are not above, for few edges."""
        table, null = self._table(values.type), null_mask(values)
        if not pa.types.is_integer(table.results.type):
            places, finite = _edge_positions(values, edges)
            return TechniqueResult(table.results.take(pa.array(places, mask=null)), failure_mask(~finite & ~null))
        numbers = as_integers(values)
        edge_counts = edges.find(numbers)
        lower, gone = table.numbers[edge_counts], table.has_none[edge_counts]
        changed = int(np.count_nonzero((gone | (lower != numbers)) & ~null))
        return TechniqueResult(pa.array(lower, table.results.type, mask=gone | null), None, changed)

    def _table(self, takes: pa.DataType) -> _EdgeTable:
        """The results of the intervals between edges for this type."""
        if takes not in self._tables:
            output = self.output_type(takes)
            intervals = map(self._intervals.interval, range(len(self.edges or ()) + 1))
            self._tables[takes] = _EdgeTable.from_results([self._result(each, output) for each in intervals], output)
        return self._tables[takes]

    @cached_property
    def _tables(self) -> dict[pa.DataType, _EdgeTable]:
        return {}

    def _exact_result(self, values: pa.Array) -> TechniqueResult:
        """Bins by distinct intervals, each computed exactly."""
        output = self.output_type(values.type)
        bins, codes = _occurring_intervals(values, self._intervals)
        intervals = [None if index is None else self._intervals.interval(index) for index in bins]
        results = [None if interval is None else self._result(interval, output) for interval in intervals]
        failed = [
            result is None and not (interval is not None and _is_open(interval))
            for result, interval in zip(results, intervals, strict=True)
        ]
        return TechniqueResult(pa.array(results, output).take(codes), untreated_mask(failed, codes))

    def _result(self, interval: Interval, type_: pa.DataType) -> Any:
        if self.as_ == "label":
            return str(interval)
        number = self._number(interval)
        return None if number is None else as_number(number, type_)

    def _number(self, interval: Interval) -> Fraction | None:
        if interval.lower is None or interval.upper is None:
            return None
        return (interval.lower + interval.upper) / 2 if self.as_ == "middle" else interval.lower

    def ranks(self, values: pa.Array) -> pa.DoubleArray:
        """For quantiles: the released number (the lower bound for labels), -inf and +inf in the open bins, null for null."""
        return self.coded_ranks(values).dictionary_decode()

    def coded_ranks(self, values: pa.Array) -> pa.DictionaryArray:
        """The same, dictionary-encoded."""
        intervals = self._intervals
        if isinstance(intervals, EdgeIntervals) and not pa.types.is_decimal(values.type):
            places, finite = _edge_positions(values, intervals)
            known = finite & ~null_mask(values) if values.null_count else finite
            codes = pa.array(places, mask=None if known.all() else ~known)
            bins: Sequence[int | None] = range(len(intervals.edges) + 1)
        else:
            bins, codes = _occurring_intervals(values, intervals)
        ranks = [None if index is None else self._rank(intervals.interval(index)) for index in bins]
        return pa.DictionaryArray.from_arrays(codes, pa.array(ranks, pa.float64()))

    @property
    def every_rank(self) -> tuple[float, ...] | None:
        """The ranks of all bins between edges, ascending; None for bins of one width, because there is no last one."""
        if self.edges is None:
            return None
        ranks = (self._rank(self._intervals.interval(place)) for place in range(len(self.edges) + 1))
        return tuple(rank for rank in ranks if rank is not None)

    def _rank(self, interval: Interval) -> float | None:
        if interval.lower is None:
            return -math.inf
        number = self._number(interval)
        return math.inf if number is None else nearest_double(number)

    @cached_property
    def _intervals(self) -> EvenIntervals | EdgeIntervals:
        if self.edges is not None:
            return EdgeIntervals.from_decimals(self.edges)
        return EvenIntervals(DecimalGrid.from_decimals(self.width or Decimal(1), self.origin))


@dataclass(frozen=True, slots=True)
class _EdgeTable:
    """The result of each interval between edges, with null for numbers in none."""

    results: pa.Array
    numbers: npt.NDArray[Any]
    """The results as 64-bit numbers, if they are integers."""
    has_none: npt.NDArray[np.bool_]
    """The mask of intervals without a number."""

    @classmethod
    def from_results(cls, results: Sequence[Any], type_: pa.DataType) -> _EdgeTable:
        """The table of these results of a type."""
        entries = pa.array([*results, None], type_)
        return cls(entries, as_integers(entries) if pa.types.is_integer(type_) else np.empty(0), null_mask(entries))


def _edge_positions(values: pa.Array, edges: EdgeIntervals) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """The number of edges that are not above each number (number of edges + 1 for NaN), and which values are numbers."""
    if pa.types.is_integer(values.type):
        return edges.find(as_integers(values)).astype(np.int32), np.ones(len(values), np.bool_)
    numbers = as_doubles(values)
    finite = np.isfinite(numbers)
    places = edges.find(numbers).astype(np.int32)
    if not finite.all():
        places[~finite] = len(edges.edges) + 1
    return places, finite


def _is_open(interval: Interval) -> bool:
    return interval.lower is None or interval.upper is None


def _occurring_intervals(values: pa.Array, intervals: Intervals) -> tuple[list[int | None], pa.Array]:
    """The intervals that occur (None: not a number), and the index of each value among them, null for null."""
    if pa.types.is_decimal(values.type):
        decimals = distinct_values(values)
        return [
            None if word is None else intervals.find_one(Fraction(word)) for word in decimals.values.to_pylist()
        ], decimals.codes
    if isinstance(intervals, EvenIntervals) and not intervals.lattice.scale and pa.types.is_integer(values.type):
        grid = intervals.lattice
        lower, lost = grid.floor_integers(as_integers(values))
        if not lost.any():
            bounds = distinct_values(pa.array(lower, mask=null_mask(values)))
            return [(bound - grid.origin) // grid.step for bound in bounds.values.to_pylist()], bounds.codes
    null = null_mask(values)
    numbers = np.where(null, 0.0, _numbers_as_doubles(values))
    hard = intervals.hard(numbers)
    easy = pa.array(np.where(hard, 0, intervals.find(numbers)), mask=hard | ~np.isfinite(numbers)).dictionary_encode()
    far = distinct_values(values.filter(pa.array(hard)))
    places = np.asarray(easy.indices.fill_null(len(easy.dictionary)).to_numpy(zero_copy_only=False), np.int64)
    places[hard] = far.int_codes() + len(easy.dictionary) + 1
    exact = [intervals.find_one(_exact_number(number)) for number in far.values.to_pylist()]
    return [*easy.dictionary.to_pylist(), None, *exact], pa.array(places, mask=null)


def _numbers_as_doubles(values: pa.Array) -> Doubles:
    if pa.types.is_floating(values.type):
        return as_doubles(values)
    return as_integers(values).astype(np.float64)


def _exact_number(number: float | int) -> Fraction:
    return Fraction(number) if isinstance(number, int) else shortest_decimal(number)
