"""Declared forms: whether values have their declared form, for data that is not in an output yet.

The rule of the last step checks a column: all of it at once if arithmetic can decide, else each distinct value. A rule for
whole columns accepts a column only if the rule for single values would. Checked values are cached, within bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.hashing import known_entries
from minimize.arrow.interner import TextInterner
from minimize.arrow.pointers import Pointer
from minimize.stores import Location
from minimize.verification.rules import ColumnContext, RuleUnavailable, StepView, ValueRule, chain_rule
from minimize.verification.rules.base import exact_fraction
from minimize.verification.values import comparable_values, distinct_rows, leaf_values

ColumnRule = Callable[[pa.Array], bool]
"""Whether a whole column certainly obeys the rule. False only means that single values must be checked."""
_UNIT_SECONDS: Final[Mapping[str, int]] = MappingProxyType({"minute": 60, "hour": 3_600, "day": 86_400})
_TICKS: Final[Mapping[str, int]] = MappingProxyType({"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9})
_BASE32_RANGES: Final = (np.uint8(ord("a")), np.uint8(26), np.uint8(ord("2")), np.uint8(6))
PSEUDONYM_CHARACTERS: Final = 26
"""Characters of a pseudonym."""
_MAX_EXACT: Final = 2**53


def column_rule(chain: Sequence[StepView], type_: pa.DataType) -> ColumnRule | None:
    """The rule for whole columns of a chain's values; None if single values are checked."""
    last = chain[-1]
    if last.technique == "pseudonymize" and pa.types.is_string(type_):
        return _are_pseudonyms
    if last.technique == "truncate_time" and last.parameters.get("zone", "UTC") == "UTC":
        return _start_rule(str(last.parameters["to"]), type_)
    if last.technique == "round":
        return _step_rule(exact_fraction(last.parameters["to"]), Fraction(0), type_)
    if last.technique == "bin" and "edges" not in last.parameters and last.parameters.get("as", "lower") == "lower":
        return _step_rule(
            exact_fraction(last.parameters["width"]), exact_fraction(last.parameters.get("origin", 0)), type_
        )
    return None


def _are_pseudonyms(column: pa.Array) -> bool:
    """Texts of lower-case base32 with equal length. Nulls must not hide bytes."""
    if column.null_count or not len(column):
        return not len(column)
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    lengths = np.diff(offsets)
    if lengths[0] < PSEUDONYM_CHARACTERS or (lengths != lengths[0]).any():
        return False
    data = np.frombuffer(column.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    first, count, digit, digits = _BASE32_RANGES
    letters = data - first
    return bool(((letters < count) | (data - digit < digits)).all())


def _start_rule(unit: str, type_: pa.DataType) -> ColumnRule | None:
    seconds = _UNIT_SECONDS.get(unit)
    if seconds is None or not pa.types.is_timestamp(type_):
        return None
    ticks = seconds * _TICKS[type_.unit]
    return lambda column: not (_present_values(column.cast(pa.int64())) % ticks).any()


def _step_rule(step: Fraction, origin: Fraction, type_: pa.DataType) -> ColumnRule | None:
    """Multiples of a step that is a whole number or its reciprocal, which doubles can check exactly."""
    if origin != 0 or step <= 0 or 1 not in (step.numerator, step.denominator):
        return None
    if pa.types.is_integer(type_) and step.denominator == 1:
        return lambda column: not (_present_values(column) % step.numerator).any()
    if type_ != pa.float64():
        return None
    up, down = float(step.numerator), float(step.denominator)
    return lambda column: _are_multiples(_present_values(column), up, down)


def _are_multiples(values: npt.NDArray[Any], up: float, down: float) -> bool:
    """Whether each value is the double nearest to a multiple of a whole number or of its reciprocal."""
    number = np.rint(values * down / up)
    if not (np.abs(number) * up < _MAX_EXACT).all() or (np.signbit(values) & (values == 0)).any():
        return False
    return bool((number * up / down == values).all())


def _present_values(column: pa.Array) -> npt.NDArray[Any]:
    """The non-null values as numbers."""
    values: npt.NDArray[Any] = (column.drop_null() if column.null_count else column).to_numpy(zero_copy_only=False)
    return values


MAX_REMEMBERED: Final = 1 << 16
"""Maximum number of checked values of a column in the cache."""


@dataclass(frozen=True, slots=True)
class DeclaredColumn:
    """The declared form of a column: possible chains of its values, and the folder of their files."""

    chains: tuple[tuple[StepView, ...], ...]
    folder: Location


@dataclass(slots=True)
class DeclaredForms:
    """Checks batches of one schema, column by column."""

    judges: dict[str, _ColumnJudge]
    unchecked: tuple[str, ...] = ()
    """The columns whose rule lacks something (the file of a hierarchy)."""

    @classmethod
    def for_schema(cls, schema: pa.Schema, declared: Mapping[str, DeclaredColumn]) -> DeclaredForms:
        """The checks of the declared fields, by key. A field that is kept unchanged needs none."""
        judges: dict[str, _ColumnJudge] = {}
        lacking: list[str] = []
        for key, declared_column in declared.items():
            pointer = Pointer.parse(key)
            if any(_has_no_form(chain) for chain in declared_column.chains):
                continue
            type_ = _leaf_type(schema, pointer)
            try:
                rules = [
                    chain_rule(chain, ColumnContext(type_, declared_column.folder)) for chain in declared_column.chains
                ]
            except RuleUnavailable:
                lacking.append(key)
                continue
            fast = column_rule(declared_column.chains[0], type_) if len(declared_column.chains) == 1 else None
            judges[key] = _ColumnJudge(pointer, rules, fast)
        return cls(judges, tuple(lacking))

    def misshapen(self, batch: pa.RecordBatch, encoded: Mapping[str, pa.Array]) -> list[str]:
        """The fields with a value in this batch that does not have the declared form.

        Also takes the dictionary-encoded columns of the batch before they were decoded.
        """
        return [key for key, judge in self.judges.items() if not judge.obeys(batch, encoded.get(key))]


@dataclass(slots=True)
class _ColumnJudge:
    pointer: Pointer
    rules: Sequence[ValueRule]
    whole: ColumnRule | None
    judged: set[Any] = field(default_factory=set, repr=False)
    texts: TextInterner | None = field(default=None, repr=False)
    good: pa.Array | None = field(default=None, repr=False)
    """The last dictionary with only valid entries. If it has only grown, only new entries are checked."""

    def obeys(self, batch: pa.RecordBatch, encoded: pa.Array | None) -> bool:
        """Whether every non-null value obeys one of the rules."""
        if encoded is None or not self.pointer.is_flat or not pa.types.is_dictionary(encoded.type):
            return self._all_obey(leaf_values(batch, self.pointer).values)
        if self._all_obey(encoded.dictionary.slice(known_entries(self.good, encoded.dictionary))):
            self.good = encoded.dictionary
            return True
        used = _used_entries(encoded)  # an entry without a row is not released
        return (self.whole is not None and self.whole(used)) or self._all_obey(self._new(used))

    def _all_obey(self, values: pa.Array) -> bool:
        if self.whole is not None and self.whole(values):
            return True
        return all(map(self._obeys_rule, _distinct_values(values)))

    def _new(self, values: pa.Array) -> pa.Array:
        """The texts that are not in the cache yet. For other types, or with a full cache, all values."""
        if values.type != pa.string() or not len(values):
            return values
        if self.texts is None or len(self.texts) > MAX_REMEMBERED:
            self.texts = TextInterner(pa.string())
        before = len(self.texts)
        codes = self.texts.codes(values)
        return values if before == 0 else values.filter(pa.array(codes >= before))

    def _obeys_rule(self, value: Any) -> bool:
        if value in self.judged:
            return True
        good = any(rule(value) for rule in self.rules)
        if good and len(self.judged) < MAX_REMEMBERED:
            self.judged.add(value)
        return good


def _has_no_form(chain: Sequence[StepView]) -> bool:
    return not chain or all(step.technique in ("keep", "shift_dates") for step in chain)


def _used_entries(encoded: pa.DictionaryArray) -> pa.Array:
    """The entries of a dictionary that a row uses. Other entries are not released."""
    codes = np.asarray(encoded.indices.drop_null() if encoded.null_count else encoded.indices)
    used_codes = np.flatnonzero(np.bincount(codes, minlength=len(encoded.dictionary)))
    return (
        encoded.dictionary
        if len(used_codes) == len(encoded.dictionary)
        else encoded.dictionary.take(pa.array(used_codes))
    )


def _distinct_values(values: pa.Array) -> list[Any]:
    """The distinct values in the form in which rules check them."""
    if pa.types.is_struct(values.type):
        return [value for (value,) in distinct_rows([values])]
    return comparable_values(values.unique().drop_null())


def _leaf_type(schema: pa.Schema, pointer: Pointer) -> pa.DataType:
    values = leaf_values(pa.RecordBatch.from_pylist([], schema), pointer).values
    return values.type
