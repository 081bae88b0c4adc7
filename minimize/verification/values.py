"""Values of an output: nested and distinct values; checks of canonical ids, conditions, retention, rare values.

The canonical form of ids is defined here a second time, on purpose: Unicode NFC, without blanks and format
characters (Cf) at both ends. Case matters: a field with `fold` does not release ids.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from unicodedata import category, normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.pointers import KEYS, STAR, Pointer, PointerPart
from minimize.verification.policy_reading import FieldView, PolicyView
from minimize.verification.rules import StepView
from minimize.verification.rules.base import numpy_float

NANOSECONDS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
DAY: Final = 86_400 * 10**9
_TECHNIQUE_METADATA: Final = b"minimize:technique"


@dataclass(frozen=True, slots=True)
class LeafValues:
    """The values at a pointer, and the row of each."""

    values: pa.Array
    rows: pa.Array


def schema_leaves(schema: pa.Schema, whole: Collection[Pointer]) -> Iterator[tuple[Pointer, pa.DataType]]:
    """Every leaf of a schema. A path in `whole` is always a leaf."""
    for field in schema:
        yield from _leaves_below((field.name,), field.type, whole, _key_value_lists(field))


def _key_value_lists(field: pa.Field) -> frozenset[Pointer]:
    """The maps of a column that were written as lists of {key, value}, found by the metadata of their keys."""
    techniques = {
        name.decode(): how for name, how in (field.metadata or {}).items() if name.startswith(_TECHNIQUE_METADATA)
    }
    pointers = {
        Pointer.parse(name.removeprefix(_TECHNIQUE_METADATA.decode())): how
        for name, how in techniques.items()
        if name != _TECHNIQUE_METADATA.decode()
    }
    return frozenset(Pointer(each.parts[:-1]) for each, how in pointers.items() if each.is_keys and how != b"keep")


def _leaves_below(
    parts: tuple[PointerPart, ...], type_: pa.DataType, whole: Collection[Pointer], keyed: Collection[Pointer]
) -> Iterator[tuple[Pointer, pa.DataType]]:
    pointer = Pointer(parts)
    if pointer in whole or not pa.types.is_nested(type_):
        yield pointer, type_
    elif pa.types.is_struct(type_):
        for child in type_:
            yield from _leaves_below((*parts, child.name), child.type, whole, keyed)
    elif pa.types.is_map(type_):
        yield pointer.keys, type_.key_type
        yield from _leaves_below((*parts, STAR), type_.item_type, whole, keyed)
    elif pointer in keyed:
        yield pointer.keys, type_.value_type.field("key").type
        yield from _leaves_below((*parts, STAR), type_.value_type.field("value").type, whole, keyed)
    else:
        yield from _leaves_below((*parts, STAR), type_.value_type, whole, keyed)


def leaf_values(batch: pa.RecordBatch, pointer: Pointer) -> LeafValues:
    """The values of a leaf of this batch."""
    values, keyed = batch.column(pointer.top), _key_value_lists(batch.schema.field(pointer.top))
    rows = pa.array(np.arange(batch.num_rows, dtype=np.int64))
    for depth, part in enumerate(pointer.parts[1:], 1):
        if isinstance(part, str):
            values = pc.struct_field(values, part)
            continue
        is_map = pa.types.is_map(values.type)
        lists = (
            pa.ListArray.from_arrays(values.offsets, values.keys if part is KEYS else values.items)
            if is_map
            else values
        )
        values, rows = pc.list_flatten(lists), rows.take(pc.list_parent_indices(lists))
        if not is_map and Pointer(pointer.parts[:depth]) in keyed:
            values = pc.struct_field(values, "key" if part is KEYS else "value")
    return LeafValues(_without_dictionary(values), rows)


def distinct_rows(columns: Sequence[pa.Array]) -> Iterator[tuple[Any, ...]]:
    """Distinct rows of columns with equal length whose first value is not null, in the form of `comparable_values`."""
    parts = [_group_columns(column) for column in columns]
    flat = [array for part in parts for array in part]
    table = pa.table(flat, names=[str(index) for index in range(len(flat))]).filter(columns[0].is_valid())
    unique = table.group_by(table.column_names, use_threads=False).aggregate([])
    judges = iter(comparable_values(unique[name].combine_chunks()) for name in table.column_names)
    joined = [
        _join_columns([next(judges) for _ in part], column.type) for part, column in zip(parts, columns, strict=True)
    ]
    return zip(*joined, strict=True)


def comparable_values(values: pa.Array) -> list[Any]:
    """Values in the form that rules check: times as nanoseconds since 1970, doubles as their shortest exact decimal."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        return _scale_integers(values.cast(pa.int64()), NANOSECONDS[kind.unit])
    if pa.types.is_date32(kind):
        return _scale_integers(values.cast(pa.int32()), DAY)
    if pa.types.is_date64(kind):
        return _scale_integers(values.cast(pa.int64()), NANOSECONDS["ms"])
    if pa.types.is_floating(kind):
        narrow = numpy_float(kind)
        return [None if each is None else Decimal(str(narrow(each))) for each in values.to_pylist()]
    return list(values.to_pylist())


def _scale_integers(values: pa.Array, unit: int) -> list[int | None]:
    return [None if each is None else each * unit for each in values.to_pylist()]


def _group_columns(column: pa.Array) -> list[pa.Array]:
    """The children of a struct, which can be grouped; other columns unchanged."""
    return list(column.flatten()) if pa.types.is_struct(column.type) else [column]


def _join_columns(columns: list[list[Any]], type_: pa.DataType) -> list[Any]:
    return list(zip(*columns, strict=True)) if pa.types.is_struct(type_) else columns[0]


def _without_dictionary(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def canonical_id(text: str) -> str:
    """The canonical form of an id.

    >>> canonical_id("\\ufeffB-1\\u00a0")
    'B-1'
    """
    letters = list(normalize("NFC", text))
    while letters and _is_padding(letters[-1]):
        letters.pop()
    letters.reverse()
    while letters and _is_padding(letters[-1]):
        letters.pop()
    letters.reverse()
    return "".join(letters)


def canonical_ids(values: pa.Array) -> pa.Array:
    """The canonical forms of a column of texts; other columns, and texts that are not UTF-8, unchanged."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)) or not _is_valid_text(values):
        return values
    encoded = values.dictionary_encode()
    forms = [None if text is None else canonical_id(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(forms, values.type).take(encoded.indices)


def ids_shown_as_is(policy: PolicyView) -> Iterator[Pointer]:
    """The tenant and the subject, each only if all its values are released unchanged."""
    for pointer in dict.fromkeys((policy.tenant, policy.subject)):
        view = None if pointer is None else policy.fields.get(pointer)
        if view is not None and view.is_kept_as_is:
            yield view.pointer


def count_noncanonical(values: pa.Array) -> int:
    """Number of distinct ids that are not in canonical form."""
    distinct = pc.unique(values).drop_null()
    return int(pc.sum(pc.not_equal(distinct, canonical_ids(distinct))).as_py() or 0)


def _is_valid_text(values: pa.Array) -> bool:
    with suppress(pa.ArrowException):
        values.validate(full=True)
        return True
    return False


_IGNORABLE: Final = frozenset(
    map(
        chr,
        (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2065, 0x2800, 0x3164, *range(0xFE00, 0xFE10)),
    )
) | frozenset(map(chr, (0xFFA0, *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000))))
"""The characters that Unicode says to ignore by default and that are no format characters, and the blank Braille pattern."""


def _is_padding(letter: str) -> bool:
    return letter.isspace() or category(letter) in ("Cc", "Cf") or letter in _IGNORABLE


_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def condition_holds(condition: Mapping[str, Any], shown: Mapping[Pointer, Any]) -> bool | None:
    """Evaluate a condition with these unchanged values of a record; None if they do not decide. Null never matches.

    >>> condition_holds({"kind": ["a", "b"], "feature": "usage"}, {Pointer(("kind",)): "c"})
    False
    >>> condition_holds({"kind": ["a", "b"], "feature": "usage"}, {Pointer(("kind",)): "a"}) is None
    True
    """
    return _all_of(_entry_holds(str(word), below, shown) for word, below in condition.items())


def condition_fields(condition: Mapping[str, Any]) -> Iterator[Pointer]:
    """The fields that a condition uses."""
    for word, below in condition.items():
        if word in ("any", "all"):
            for part in below:
                yield from condition_fields(part)
        elif word not in ("feature", "level"):
            yield Pointer.parse(str(word))
            if isinstance(below, Mapping) and "of" in below:
                yield Pointer.parse(str(below["of"]))


def _entry_holds(word: str, below: Any, shown: Mapping[Pointer, Any]) -> bool | None:
    if word == "any":
        return _any_of(condition_holds(part, shown) for part in below)
    if word == "all":
        return _all_of(condition_holds(part, shown) for part in below)
    pointer = Pointer.parse(word)
    if word in ("feature", "level") or pointer not in shown:
        return None
    value = shown[pointer]
    if isinstance(below, Mapping):
        return _time_within(value, below, shown)
    return any(_is_equal(value, expected) for expected in (below if isinstance(below, list) else [below]))


def _time_within(value: Any, document: Mapping[str, Any], shown: Mapping[Pointer, Any]) -> bool | None:
    """Whether a time is within a period before another. Both are nanoseconds, compared with microsecond precision."""
    base_pointer = Pointer.parse(str(document["of"])) if "of" in document else None
    if base_pointer is None or base_pointer not in shown:
        return None
    times = (value, shown[base_pointer])
    if any(not isinstance(each, int) for each in times):
        return False
    count, unit = int(str(document["within"])[:-1]), str(document["within"])[-1]
    return bool(times[1] // 1_000 - times[0] // 1_000 < count * _SECONDS[unit] * 1_000_000)


def _all_of(parts: Iterable[bool | None]) -> bool | None:
    truths = set(parts)
    return False if False in truths else None if None in truths else True


def _any_of(parts: Iterable[bool | None]) -> bool | None:
    truths = set(parts)
    return True if True in truths else None if None in truths else False


def _is_equal(value: Any, expected: Any) -> bool:
    if value is None or isinstance(value, bool) != isinstance(expected, bool):
        return False
    if isinstance(value, Decimal) and isinstance(expected, int | float):
        return value == Decimal(repr(expected))
    return bool(value == expected)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_UNIT: Final[Mapping[str, int]] = {
    "minute": 60 * 10**9,
    "hour": 3600 * 10**9,
    "day": DAY + 3600 * 10**9,
    "week": 8 * DAY,
    "month": 32 * DAY,
    "quarter": 93 * DAY,
    "year": 367 * DAY,
}
"""The longest time from the start of a unit to an event in it, including daylight saving time."""


class RetentionCounter:
    """Counts times and values of features that are so old that none of their events should have been kept."""

    def __init__(self, policy: PolicyView, limits: PolicyView, written: datetime) -> None:
        """Takes the policy of the records, the policy whose retention applies, and the time of writing."""
        self._policy, self._limits = policy, limits
        self._slack = _time_resolution(policy)
        self._written = to_nanoseconds(written)

    def count_past(self, batch: pa.RecordBatch, leaves: Mapping[Pointer, pa.DataType]) -> int:
        """Number of distinct times of this batch past their retention; 0 if the output does not show the time."""
        time = self._time(leaves)
        if time is None or self._limits.retention is None:
            return 0
        return sum(
            self._is_past(value, self._limits.retention)
            for (value,) in distinct_rows([leaf_values(batch, time).values])
        )

    def count_future(self, batch: pa.RecordBatch, leaves: Mapping[Pointer, pa.DataType]) -> int:
        """Number of distinct times of this batch later than the time of writing plus `future`."""
        time, latest = self._time(leaves), self._written + self._policy.future
        if time is None:
            return 0
        return sum(
            value is not None and value > latest for (value,) in distinct_rows([leaf_values(batch, time).values])
        )

    def count_outlived(self, batch: pa.RecordBatch, leaves: Mapping[Pointer, pa.DataType]) -> dict[Pointer, int]:
        """Number of values of features past their retention, by field; only fields that have some."""
        time = self._time(leaves)
        counts_by_field = (
            {}
            if time is None
            else {pointer: self._values(batch, time, pointer, long) for pointer, long in self._long(leaves)}
        )
        return {pointer: count for pointer, count in counts_by_field.items() if count}

    def _values(self, batch: pa.RecordBatch, time: Pointer, pointer: Pointer, long: int) -> int:
        leaf = leaf_values(batch, pointer)
        rows = leaf.rows.filter(leaf.values.is_valid())
        times = leaf_values(batch, time).values.take(rows)
        return sum(self._is_past(value, long) for (value,) in distinct_rows([times]))

    def _long(self, leaves: Mapping[Pointer, pa.DataType]) -> Iterator[tuple[Pointer, int]]:
        """The released fields whose feature has a shorter retention, with that retention."""
        for pointer in leaves:
            view = self._limits.fields.get(pointer) or self._policy.fields[pointer]
            limits = [self._limits.features[name] for name in view.features if name in self._limits.features]
            if limits:
                yield pointer, min(limits)

    def _is_past(self, value: int | None, retention: int) -> bool:
        return value is not None and value + (self._slack or 0) <= self._written - retention

    def _time(self, leaves: Mapping[Pointer, pa.DataType]) -> Pointer | None:
        time = self._policy.time
        is_shown = self._slack is not None and time is not None and pa.types.is_temporal(leaves.get(time, pa.null()))
        return time if is_shown else None


def to_nanoseconds(moment: datetime) -> int:
    """A time in nanoseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def end_of_date(on: str) -> int:
    """The end of a date, in nanoseconds since 1970."""
    return to_nanoseconds(datetime.fromisoformat(f"{on}T00:00:00+00:00")) + DAY


def count_past_groups(times: pa.ChunkedArray, unit: str | None, policy: PolicyView, limit: int) -> int | None:
    """Number of groups without an event after a limit in nanoseconds; None if their times do not show it."""
    slack = _time_resolution(policy)
    if slack is None or not pa.types.is_temporal(times.type):
        return None
    width = slack if unit is None else max(slack, _LONGEST_UNIT.get(unit, 0))
    distinct_times, counts = pc.value_counts(times.combine_chunks()).flatten()
    starts = zip(comparable_values(distinct_times), counts.to_pylist(), strict=True)
    return sum(int(count) for start, count in starts if start is not None and start + width <= limit)


def _time_resolution(policy: PolicyView) -> int | None:
    """The length of the unit to which the event time is truncated; None if it has another form or is not released."""
    view: FieldView | None = None if policy.time is None else policy.fields.get(policy.time)
    if view is None or len(view.branches) != 1 or len(view.chains) != 1:
        return None
    (step, *more) = view.chains[0]
    if more or step.technique not in ("keep", "truncate_time"):
        return None
    return _LONGEST_UNIT.get(str(step.parameters.get("to")), 0) if step.technique == "truncate_time" else 0


def top_fields(policy: PolicyView) -> Iterator[tuple[FieldView, StepView]]:
    """The fields that end in `top`, if the output has one pseudonym for each subject."""
    subject = None if policy.subject is None else policy.fields.get(policy.subject)
    if subject is None or subject.pointer.stars or len(subject.branches) != 1:
        return
    if any(chain[-1].technique not in ("pseudonymize", "keep") for chain in subject.chains) or not subject.chains:
        return
    for view in policy.fields.values():
        if len(view.branches) == 1 and view.chains and view.chains[0][-1].technique == "top":
            yield view, view.chains[0][-1]


class RareValues:
    """The subjects of each value of one column in one partition. A row without a pseudonym may belong to any subject.

    If subjects are released unchanged, they are counted by their canonical form.
    """

    def __init__(self, step: StepView, *, is_kept: bool = False) -> None:
        self._kept = is_kept
        self._other = str(step.parameters.get("other", "other"))
        self._at_least = int(step.parameters.get("at_least", 10))
        self._pairs: pa.Table | None = None
        self._unknown: dict[str, int] = {}

    def add_batch(self, batch: pa.RecordBatch, pointer: Pointer, subject: Pointer | None) -> None:
        """Add one batch."""
        if subject is None:
            self._at_least = 0
            return
        leaf = leaf_values(batch, pointer)
        subjects = leaf_values(batch, subject).values
        subjects = canonical_ids(subjects) if self._kept else subjects
        pairs = pa.table({"value": leaf.values, "subject": subjects.take(leaf.rows)})
        pairs = pairs.filter(pc.field("value").is_valid())
        nobody = pairs.filter(pc.field("subject").is_null()).group_by("value").aggregate([([], "count_all")])
        for value, count in zip(nobody["value"].to_pylist(), nobody["count_all"].to_pylist(), strict=True):
            self._unknown[value] = self._unknown.get(value, 0) + count
        known = pairs.filter(pc.field("subject").is_valid())
        self._pairs = _unique_pairs(known if self._pairs is None else pa.concat_tables([self._pairs, known]))

    def count(self) -> int:
        """Number of values with too few subjects. The value for all others counts, unless it is the only one."""
        if self._pairs is None:
            return 0
        groups = self._pairs.group_by("value").aggregate([("subject", "count")])
        subjects = dict(zip(groups["value"].to_pylist(), groups["subject_count"].to_pylist(), strict=True))
        values = subjects.keys() | self._unknown.keys()
        few = {each for each in values if subjects.get(each, 0) + self._unknown.get(each, 0) < self._at_least}
        return 0 if values == {self._other} else len(few)


def _unique_pairs(pairs: pa.Table) -> pa.Table:
    return pairs.group_by(["value", "subject"]).aggregate([])
