"""Technique: a frozen set of parameters, its input and output types, and a function of whole columns.

The tenant and the subject reach every technique in their canonical form (`minimize.identifiers`), as values and as companion
columns. A technique that merges ids which differ in case declares it by `folds`; then both are folded before.

A new technique is one file in this folder with one class, one row in `TECHNIQUES` (`__init__.py`), one test file, and one rule
in `minimize/verification/rules/`, written without looking at the class. The class states, as class variables, its name, the
type families it takes, the residual of a value, and its source. `output_type` returns the output type or raises
`UnsupportedType`. `apply` converts a plain (never dictionary-encoded) array into an equally long array and a mask of the values
that cannot be treated. Callers use `treat`: it does the work per distinct value if the column is dictionary-encoded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from operator import ne
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from minimize.arrow.dictionaries import decode_dictionary, distinct_values, take_values, to_python, value_type
from minimize.techniques.cache import ResultCache, TechniqueCache
from minimize.techniques.parameters import Names, Order, orders_of
from minimize.techniques.periods import CalendarUnit

Residual = Literal["original", "reversible", "guessable", "linkable", "coarse"]
"""What a reader of the result can learn about the value in the worst case: the value (`original`), the value with the key
(`reversible`), the value by trying candidates (`guessable`), equal values (`linkable`), or a coarser form (`coarse`)."""
RESIDUAL_ORDER: tuple[Residual, ...] = ("coarse", "linkable", "guessable", "reversible", "original")
"""From the least revealing."""
_LEAVES: Mapping[Residual, str] = {"original": "everything", "coarse": "nothing"}


def leaves_word(residual: Residual | None) -> str | None:
    """The earlier word for a residual, which JSON and column metadata keep under the name `leaves`.

    >>> leaves_word("coarse"), leaves_word("guessable")
    ('nothing', 'guessable')
    """
    return None if residual is None else _LEAVES.get(residual, residual)


Family = Literal[
    "string", "integer", "double", "decimal", "boolean", "timestamp", "date", "binary", "list", "struct", "map"
]
FEW_ROWS = 1024
"""Up to this number, values are treated one by one; above it, distinct values are found first."""
ALL_FAMILIES: tuple[Family, ...] = get_args(Family)
"""All families. A technique that takes these takes any type."""


class UnsupportedType(Exception):
    """A technique does not take this type. `takes` names the families that it takes."""

    def __init__(self, takes: tuple[Family, ...]) -> None:
        self.takes = takes
        super().__init__(f"takes {', '.join(takes)}")


class KeySource(Protocol):
    """Source of key bytes (a keyring)."""

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        """The key's bytes, ≥ 32 (default: of the newest version). Raises KeyringError."""
        ...

    def version_of(self, name: str) -> int:
        """The newest version of a key."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """Inputs of a technique in addition to the values."""

    field: str
    """The key of the field in the policy: the domain of keyed techniques."""
    at: datetime
    """The time of the run, aware UTC."""
    keys: KeySource | None = None
    """The keyring; only techniques that name a key use it."""
    columns: Mapping[str, pa.Array] = dataclasses.field(default_factory=dict, repr=False)
    """The fields of `reads` by their keys, as in the source, with one value for each value of the array."""
    time: pa.Array | None = dataclasses.field(default=None, repr=False)
    """The event time (timestamp) of each value, if the technique needs it."""
    cache: TechniqueCache | None = None
    """Results of techniques from earlier batches, if the caller keeps them."""

    def results_of(self, technique: object) -> ResultCache:
        """The results of a technique for this field; none yet if the caller keeps no cache."""
        return ResultCache() if self.cache is None else self.cache.results_of(technique)


@dataclass(frozen=True, slots=True)
class TechniqueResult:
    """The result of a technique."""

    values: pa.Array = dataclasses.field(repr=False)
    """The values; null where a value could not be treated."""
    untreated: pa.BooleanArray | None = dataclasses.field(default=None, repr=False)
    """The mask of values that could not be treated; None if there are none."""
    changed: int | None = None
    """The number of treated values that have changed; None if unknown. A technique can often count them at lower cost than its
    caller."""
    entries: pa.Array | None = dataclasses.field(default=None, repr=False)
    """The result for each entry of the dictionary of a dictionary-encoded column."""


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """A file that a technique reads: its name in the policy, its path, and the digest of its content."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How a result of type time relates to the time that it is made from."""

    unit: CalendarUnit | None = None
    """The unit whose start the result is; None if it is not truncated."""
    zone: str = "UTC"
    """The time zone of the unit."""
    shift: timedelta = timedelta()
    """The longest shift."""


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The range of numbers, both ends included; None if there is no bound on this side.

    >>> ValueRange(Decimal(0), Decimal(9)).join(ValueRange(Decimal(5)))
    ValueRange(low=Decimal('0'), high=None)
    """

    low: Decimal | None = None
    high: Decimal | None = None

    def join(self, numbers: ValueRange) -> ValueRange:
        """The range of the numbers in both."""
        low = None if self.low is None or numbers.low is None else min(self.low, numbers.low)
        high = None if self.high is None or numbers.high is None else max(self.high, numbers.high)
        return ValueRange(low, high)

    def convert(self, function: Callable[[Decimal], Decimal]) -> ValueRange:
        """The range of the results of a function that keeps the order of numbers."""
        return ValueRange(*(None if end is None else function(end) for end in (self.low, self.high)))


class TechniqueStep(BaseModel):
    """Common part of techniques and `top`: everything that is known without data.

    A fact that a class does not state has the value that assumes the most about what a result reveals.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    name: ClassVar[str]
    takes: ClassVar[tuple[Family, ...]]
    result_type: ClassVar[pa.DataType | None] = None
    """The output type; None if it is the input type."""
    residual: ClassVar[Residual] = "original"
    """What a reader can still learn about a value from its result."""
    singles_out: ClassVar[bool] = True
    """Whether a number or text that identifies by itself can be guessed from the result, because near values stay near."""
    source: ClassVar[str]
    about: ClassVar[str]
    """One line for the table in the README and for `plan`."""
    changes_nothing: ClassVar[bool] = False
    """Whether each result is the value."""
    coarsens_itself: ClassVar[bool] = False
    """Whether its coarser result can be made from its finer result."""
    summarizes: ClassVar[bool] = False
    """Whether it takes a list or a map as a whole and shows none of its elements."""
    shows_presence_only: ClassVar[bool] = False
    """Whether a result shows nothing but that there is a value."""
    needs_all_rows: ClassVar[bool] = False
    """Whether it counts the subjects of each value, so that it is applied after all rows were seen."""
    locates: ClassVar[bool] = False
    """Whether the result is a position."""
    safeguard: ClassVar[str] = ""
    """The security measure that it is (GDPR Art. 32); empty for generalization."""
    chosen_form: ClassVar[type[TechniqueStep] | None] = None
    """The class that reads its parameters if one of them is `auto`; None if its level cannot be chosen."""
    proposed_for: ClassVar[Mapping[str, str]] = {}
    """The kinds of fields that drafts propose it for, each with its parameters in the notation of policies."""

    @classmethod
    def is_pseudonym(cls) -> bool:
        """Whether a result stands for one value: it can be linked, or reversed with a key."""
        return cls.residual in ("linkable", "reversible")

    @classmethod
    def keeps_distinct(cls) -> bool:
        """Whether different values stay different."""
        return cls.residual in ("original", "linkable", "reversible")

    @classmethod
    def is_keyed(cls) -> bool:
        """Whether a parameter names a key."""
        return bool(_parameters_naming(cls, Names.KEY))

    def residual_for(self, *, identifier: bool) -> Residual:
        """The residual of a value. That of an identifier is at least `guessable` if a result can single out, or if a pseudonym
        has no key: all candidates can be tried."""
        is_guessable = (
            self.singles_out if self.residual == "coarse" else self.residual == "linkable" and not self.key_names
        )
        return "guessable" if identifier and is_guessable else self.residual

    def locates_finely(self, *, coordinate: bool) -> bool:
        """Whether a result shows a position more finely than 10 km. `coordinate` tells whether the value is a latitude or a
        longitude; unless a class states more, such a value is shown wherever an identifier could be guessed."""
        return coordinate and self.residual_for(identifier=True) not in ("coarse", "linkable")

    @property
    def generalizes(self) -> bool:
        """Whether no result is an exact value of one record, so that a minimum or maximum of results is no person's value."""
        return self.residual == "coarse"

    def is_lossless(self, type_: str) -> bool:
        """Whether the parameters alone show that each value of a policy's type can be read from its result, as a step of 1 does
        for whole numbers."""
        return self.changes_nothing

    @property
    def is_one_to_one(self) -> bool:
        """Whether the number of distinct values stays the same."""
        return self.keeps_distinct()

    @property
    def time_form(self) -> TimeForm | None:
        """How a released time relates to the time of the event; None if it does not bound it."""
        return None

    @property
    def reference_file(self) -> ReferenceFile | None:
        """The file that it reads."""
        return None

    @property
    def possible_values(self) -> frozenset[str | None] | None:
        """All results that it can have; None if they depend on the data."""
        return None

    def result_range(self, values: ValueRange) -> ValueRange:
        """The range of its results that are numbers, for numbers of a range. A result that is null is not counted."""
        return values if self.changes_nothing else ValueRange()

    def phrase(self) -> str:
        """What is left of a value with these parameters, in plain words. Other fields that it reads are named in backticks."""
        return self.about

    @property
    def coarser_forms(self) -> tuple[Technique, ...]:
        """If a search chooses its level (`auto`), the techniques that make ever coarser forms: the first of its result, each
        further one of the form before. Empty for a technique with a fixed level."""
        return ()

    def parameter_orders(self) -> dict[str, Order]:
        """The order of each parameter."""
        return orders_of(type(self))

    def parameters(self) -> dict[str, Any]:
        """The parameters, for comparison. A file is represented by its digest."""
        return self.model_dump()

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """The output type for an input type. Raises UnsupportedType."""
        if type_family(type_) not in self.takes:
            raise UnsupportedType(self.takes)
        return value_type(type_) if self.result_type is None else self.result_type

    def reads(self) -> frozenset[str]:
        """The keys of other fields that it reads (`per`, `at`)."""
        return self._named_by(Names.FIELD)

    @property
    def reads_only(self) -> tuple[Family, ...] | None:
        """The permitted type families of the fields in `reads`; None for any."""
        return None

    @property
    def needs_time(self) -> bool:
        """Whether it reads the event time."""
        return False

    @property
    def folds(self) -> bool:
        """Whether ids that differ only in case become equal. Then all other comparisons must fold them too."""
        return False

    @property
    def key_names(self) -> frozenset[str]:
        """The names of the keys it needs."""
        return self._named_by(Names.KEY)

    def _named_by(self, what: Names) -> frozenset[str]:
        names = (getattr(self, name) for name in _parameters_naming(type(self), what))
        return frozenset(value for value in names if value is not None)


def _parameters_naming(kind: type[TechniqueStep], what: Names) -> list[str]:
    return [name for name, info in kind.model_fields.items() if what in info.metadata]


class Technique(TechniqueStep):
    """A step that treats each column at once, without seeing all rows first."""

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The results: equally many values of the type of `output_type`. Null stays null."""
        raise TypeError(f"{type(self).__name__} does not implement apply")

    def apply_column(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The same for a whole plain column; a technique with few distinct results may return them dictionary-encoded."""
        return self.apply(values, context)

    def apply_encoded(self, values: pa.DictionaryArray, context: Context) -> TechniqueResult:
        """The same for a dictionary-encoded array: per entry, unless the result depends on other columns."""
        if self.reads() or self.needs_time:
            return self.apply(decode_dictionary(values), context)
        return expand_entries(self.apply(values.dictionary, context), values.indices)


def treat(technique: Technique, values: pa.Array, context: Context) -> TechniqueResult:
    """Applies a technique; per distinct value if the array is dictionary-encoded and the result depends on the value only.

    The result of a dictionary-encoded array is dictionary-encoded. Equal results share one entry.
    """
    if pa.types.is_dictionary(values.type):
        return technique.apply_encoded(values, context)
    return technique.apply_column(values, context)


def apply_per_distinct(
    values: pa.Array, compute: Callable[[Any], Any], output_type: pa.DataType, recall: ResultCache | None = None
) -> TechniqueResult:
    """Applies a function to each distinct value (a Python loop, hence never over many rows). None means: cannot be treated.

    With a `recall` cache, known values are not computed again.
    """
    if len(values) <= FEW_ROWS:
        return _apply_to_few(values, compute, output_type, ResultCache() if recall is None else recall)
    distinct = distinct_values(values)
    known = None
    if recall is not None and len(distinct.values) > FEW_ROWS and distinct.values.type == output_type == pa.string():
        known = recall.column(distinct.values, lambda words: _computed_values(words, compute, output_type))
    results = (
        _computed_values(distinct.values, compute, output_type) if known is None else decode_dictionary(known.values)
    )
    failed = pc.and_(results.is_null(), distinct.values.is_valid())
    untreated = pc.fill_null(failed.take(distinct.codes), False) if failed.true_count else None
    return TechniqueResult(take_values(results, distinct.codes), untreated)


def _apply_to_few(
    values: pa.Array, compute: Callable[[Any], Any], output_type: pa.DataType, recall: ResultCache
) -> TechniqueResult:
    """The same for few rows: looking up each value is cheaper than finding the distinct ones."""
    plain_values = to_python(values)
    plain_results = recall.map_values(plain_values, compute)
    results = pa.array(plain_results, output_type)
    changed = sum(map(ne, plain_results, plain_values)) - (results.null_count - values.null_count)
    return TechniqueResult(results, new_nulls(values, results), changed)


def new_nulls(values: pa.Array, results: pa.Array) -> pa.BooleanArray | None:
    """The mask of values whose result is null; None if there are none. A null has no value."""
    return pc.and_(results.is_null(), values.is_valid()) if results.null_count > values.null_count else None


def _computed_values(words: pa.Array, compute: Callable[[Any], Any], output_type: pa.DataType) -> pa.Array:
    return pa.array([None if word is None else compute(word) for word in to_python(words)], output_type)


def untreated_mask(failed: Sequence[bool], codes: pa.Array) -> pa.BooleanArray | None:
    """The mask of rows whose distinct value failed; None if none did."""
    if not any(failed):
        return None
    return pc.fill_null(pa.array(failed, pa.bool_()).take(codes), False)


def failure_mask(failed: npt.NDArray[np.bool_]) -> pa.BooleanArray | None:
    """The mask of values that could not be treated; None if there are none."""
    return pa.array(failed) if failed.any() else None


def expand_entries(treated: TechniqueResult, indices: pa.Array) -> TechniqueResult:
    """Results per dictionary entry, expanded to rows: equal results merged, and dictionary-encoded if the type permits it."""
    untreated = None if treated.untreated is None else pc.fill_null(treated.untreated.take(indices), False)
    entries = treated.values
    if type_family(entries.type) not in ("string", "binary") or entries.type.id in _VIEW_TYPES:
        return TechniqueResult(take_values(entries, indices), untreated, entries=entries)
    merged = entries.dictionary_encode()
    values = pa.DictionaryArray.from_arrays(merged.indices.take(indices), merged.dictionary)
    return TechniqueResult(values, untreated, entries=entries)


_VIEW_TYPES = (pa.string_view().id, pa.binary_view().id)


def type_family(type_: pa.DataType) -> Family | None:
    """The type family of an Arrow type in a policy; None for types that a policy cannot name (time, duration, interval, null)."""
    kind = value_type(type_)
    for test, word in _FAMILIES:
        if test(kind):
            return word
    return None


_FAMILIES: tuple[tuple[Callable[[pa.DataType], bool], Family], ...] = (
    (lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t), "string"),
    (pa.types.is_integer, "integer"),
    (pa.types.is_floating, "double"),
    (pa.types.is_decimal, "decimal"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_timestamp, "timestamp"),
    (pa.types.is_date, "date"),
    (
        lambda t: (
            pa.types.is_binary(t)
            or pa.types.is_large_binary(t)
            or pa.types.is_fixed_size_binary(t)
            or pa.types.is_binary_view(t)
        ),
        "binary",
    ),
    (
        lambda t: (
            pa.types.is_list(t)
            or pa.types.is_large_list(t)
            or pa.types.is_fixed_size_list(t)
            or pa.types.is_list_view(t)
        ),
        "list",
    ),
    (pa.types.is_struct, "struct"),
    (pa.types.is_map, "map"),
)
