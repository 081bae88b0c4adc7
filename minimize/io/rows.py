"""Which records carry a path, and which lack one: masks over whole columns, by validity only, never by value."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import canonical
from minimize.io.base import Carried, Code, Declared, Reject, Request, Unit
from minimize.io.forbidden import ForbiddenPlace
from minimize.io.project import elements, narrow, undressed
from minimize.io.shape import listy, settle
from minimize.pointer import STAR, Part, Pointer

Mask = npt.NDArray[np.bool_]
SUBJECTS = 10
"""How many distinct subjects are enough to know that a name is not about one of them."""


def carries(values: pa.Array, parts: Sequence[Part]) -> Mask:
    """Per value: whether there is something that is not null at this path below it. A name goes through lists, too."""
    if isinstance(values, pa.ExtensionArray):
        return carries(values.storage, parts)
    if pa.types.is_run_end_encoded(values.type):
        by_run: Mask = carries(values.values, parts)[_runs(values)]
        return by_run
    if pa.types.is_union(values.type):
        return _carries_child(values, parts)
    there = _valid(values)
    if not parts or not there.any():
        return there
    if pa.types.is_dictionary(values.type):
        by_code: Mask = carries(values.dictionary, parts)[np.asarray(pc.fill_null(values.indices, 0))]
        return there & by_code
    if pa.types.is_struct(values.type):
        below = [carries(child, parts[1:]) for child in _children(values, parts[0])]
        return there & reduce(or_, below, np.zeros(len(values), bool))
    if _containers(values.type, parts[0]):
        inner, owner = _owned(values)
        return _spread(carries(inner, parts[1:]), owner, len(values))
    if listy(values.type):
        inner, owner = _owned(values)
        return _spread(carries(inner, parts), owner, len(values))
    if pa.types.is_map(values.type):
        return _carries_key(values, str(parts[0]), parts[1:])
    return np.zeros(len(values), bool)


def lacks(values: pa.Array, parts: Sequence[Part]) -> Mask:
    """Per value: whether it is null, or what should stand at this path below it is.

    Below a star every element counts, and an empty list lacks nothing.
    """
    values = undressed(values)
    if not parts:
        return ~_valid(values)
    if pa.types.is_struct(values.type):
        below = [lacks(child, parts[1:]) for child in _children(values, parts[0])]
        return ~_valid(values) | (below[0] if below else True)
    if _containers(values.type, parts[0]):
        inner, owner = _owned(values)
        return ~_valid(values) | _spread(lacks(inner, parts[1:]), owner, len(values))
    return np.ones(len(values), bool)


def column(records: pa.RecordBatch, pointer: Pointer) -> pa.Array | None:
    """The top-level column that a pointer stands in; None where there is none."""
    index = records.schema.get_field_index(pointer.top)
    return None if index < 0 else records.column(index)


def at(records: pa.RecordBatch, pointer: Pointer) -> Mask:
    """Per record: whether it carries this path."""
    top = column(records, pointer)
    return np.zeros(records.num_rows, bool) if top is None else carries(top, pointer.parts[1:])


def missing(records: pa.RecordBatch, field: Declared) -> Mask:
    """Per record: whether a required field is not there or null."""
    top = column(records, field.pointer)
    return np.ones(records.num_rows, bool) if top is None else lacks(top, field.pointer.parts[1:])


@dataclass(frozen=True, slots=True)
class Faults:
    """The records of a batch that cannot be processed: their indices, each with the first of its faults."""

    rows: npt.NDArray[np.int64]
    codes: list[Code]
    fields: list[str | None]

    def rejects(self, positions: npt.NDArray[np.int64], unit: Unit) -> list[Reject]:
        """One reject a record, at these positions of the batch's rows."""
        places = positions[self.rows].tolist()
        return [Reject(*one) for one in zip(places, [unit] * len(places), self.fields, self.codes, strict=True)]


def faults(
    records: pa.RecordBatch,
    required: Sequence[Declared],
    never: Sequence[ForbiddenPlace],
    known: Sequence[Fault] = (),
    canonical: pa.RecordBatch | None = None,
    ids: Collection[Pointer] = (),
) -> Faults:
    """The first fault of each record: what must not arrive, then what is known already, then what is missing.

    Takes the records with their ids in the canonical form, too: an id of which nothing is left is missing.
    """
    first: dict[int, tuple[Code, str | None]] = {}
    for fault in _all(records, required, never, known, records if canonical is None else canonical, ids):
        for row in np.flatnonzero(fault.mask).tolist():
            first.setdefault(row, (fault.code, fault.field))
    rows = sorted(first)
    return Faults(np.array(rows, np.int64), [first[row][0] for row in rows], [first[row][1] for row in rows])


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault, and the records that have it."""

    code: Code
    field: str | None
    mask: Mask


def _all(
    records: pa.RecordBatch,
    required: Sequence[Declared],
    never: Sequence[ForbiddenPlace],
    known: Sequence[Fault],
    canonical: pa.RecordBatch,
    ids: Collection[Pointer],
) -> Iterator[Fault]:
    yield from (fault for fault in known if fault.code == "malformed")
    yield from (Fault("forbidden_field", place.rule, at(records, place.pointer)) for place in never)
    yield from (fault for fault in known if fault.code != "malformed")
    for field in required:
        read = canonical if field.pointer in ids else records
        if not _is_whole(read, field.pointer):
            yield Fault("missing_field", str(field.pointer), missing(read, field))


def _is_whole(records: pa.RecordBatch, pointer: Pointer) -> bool:
    """Whether a plain column is there and holds no null, which is known without looking at its values."""
    top = column(records, pointer) if pointer.is_flat else None
    return top is not None and top.null_count == 0 and top.type.num_fields == 0 and not _dressed(top.type)


def _dressed(type_: pa.DataType) -> bool:
    """Whether nulls can be where its own count does not tell."""
    return (
        pa.types.is_dictionary(type_)
        or pa.types.is_run_end_encoded(type_)
        or pa.types.is_null(type_)
        or isinstance(type_, pa.BaseExtensionType)
    )


def carried(records: pa.RecordBatch, pointer: Pointer, request: Request, good: Mask) -> Carried:
    """How many of the good records carry a path, and up to ten subjects that do."""
    mask = at(records, pointer) & good
    count = int(mask.sum())
    some = subjects(records, request.subject, mask) if count else frozenset()
    return Carried(count, some, request.rank(pointer))


def subjects(records: pa.RecordBatch, subject: Pointer | None, mask: Mask | None = None) -> frozenset[str]:
    """Up to ten distinct subjects of these records, as text."""
    values = None if subject is None else flat(records, subject)
    if values is None:
        return frozenset()
    settled = narrow(values, settle(values.type))
    return _distinct(settled if mask is None else settled.filter(pa.array(mask)))


def _distinct(values: pa.Array, size: int = 256) -> frozenset[str]:
    """Up to ten distinct ids, looked for in ever longer beginnings: mostly the first will do.

    They are compared without regard to case, whatever the policy says: one subject must not look like ten.
    """
    words = pc.drop_null(pc.unique(canonical(values.slice(0, size), fold=True))).slice(0, SUBJECTS)
    if len(words) == SUBJECTS or size >= len(values):
        return frozenset(map(_text, words.to_pylist()))
    return _distinct(values, size * 16)


def flat(records: pa.RecordBatch, pointer: Pointer) -> pa.Array | None:
    """The values of a field that stands in no list: null where a struct above it is. None where there is no such field."""
    values = column(records, pointer)
    for part in pointer.parts[1:]:
        values = undressed(values) if values is not None else None
        if (
            values is None
            or part is STAR
            or not pa.types.is_struct(values.type)
            or values.type.get_field_index(part) < 0
        ):
            return None
        values = pc.struct_field(values, values.type.get_field_index(part))
    return values


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _valid(values: pa.Array) -> Mask:
    if values.null_count == 0:
        return np.ones(len(values), bool)
    return np.asarray(values.is_valid())


def _children(values: pa.StructArray, part: Part) -> list[pa.Array]:
    if part is STAR:
        return [values.field(index) for index in range(values.type.num_fields)]
    index = values.type.get_field_index(part)
    return [] if index < 0 else [values.field(index)]


def _containers(type_: pa.DataType, part: Part) -> bool:
    return part is STAR and (listy(type_) or pa.types.is_map(type_))


def _owned(values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The elements of a list, or a map's items, and for each the index of what holds it."""
    inner, lengths = elements(values)
    owner = np.repeat(np.arange(len(values)), np.asarray(lengths))
    return (inner.field(1) if pa.types.is_map(values.type) else inner), owner


def _runs(values: pa.RunEndEncodedArray) -> npt.NDArray[np.int64]:
    """Per value: the index of its run."""
    rows = np.arange(values.offset, values.offset + len(values))
    return np.searchsorted(np.asarray(values.run_ends), rows, side="right")


def _carries_child(values: pa.UnionArray, parts: Sequence[Part]) -> Mask:
    """A union's value is one of its children's. The name of a child counts as a key."""
    held = np.zeros(len(values), bool)
    buffers, here = values.buffers(), slice(values.offset, values.offset + len(values))
    codes = np.frombuffer(buffers[1], np.int8)[here]  # `type_codes` and `offsets` disregard that the array is a slice
    places = np.frombuffer(buffers[2], np.int32)[here] if values.type.mode == "dense" else np.arange(len(values))
    for index, code in enumerate(values.type.type_codes):
        child = values.field(index)
        below = carries(child, parts)
        if parts and values.type.field(index).name == parts[0]:
            below = below | carries(child, parts[1:])
        rows = np.flatnonzero(codes == code)
        held[rows] = below[places[rows]]
    return held


def _carries_key(values: pa.MapArray, key: str, parts: Sequence[Part]) -> Mask:
    inner, lengths = elements(values)
    owner = np.repeat(np.arange(len(values)), np.asarray(lengths))
    named = np.asarray(pc.fill_null(pc.equal(inner.field(0).cast(pa.string()), key), False))
    return _spread(named & carries(inner.field(1), parts), owner, len(values))


def _spread(below: Mask, owner: npt.NDArray[np.int64], size: int) -> Mask:
    held = np.zeros(size, bool)
    held[owner[below]] = True
    return held
