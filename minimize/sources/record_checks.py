"""Checks of records: forbidden fields, canonical ids, and paths that are present or missing.

A key that is forbidden at any depth is searched in names only: of fields in a schema, of keys in JSON and in maps. A null
value counts as absent, and only the policy's pointer is reported. Masks are computed over whole columns, from validity
only, never from values.

A key is forbidden at any depth if it is a listed name, in any case and with any separators, in singular or plural, or under
another known name of the same content. It is also forbidden if it ends in a forbidden word for a password, such as
`wifi_password`. A field that the policy declares is forbidden only under its exact name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, reduce
from itertools import chain
from operator import or_
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.arrow.pointers import STAR, Pointer, PointerPart
from minimize.arrow.types import storage_type
from minimize.identifiers import canonical_column, is_missing_id
from minimize.records import PositionUnit, Reject, RejectCode, UndeclaredCount
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.projection import (
    is_list_type,
    list_elements,
    narrow_array,
    nested_fields,
    plain_array_type,
    storage_array,
)
from minimize.text import normal_form

OTHER_NAMES: Final[tuple[tuple[frozenset[str], frozenset[str]], ...]] = tuple(
    (frozenset(listed.split()), frozenset(others.split()))
    for listed, others in (
        ("call_history call_log", "phone_calls phone_history call_list call_records"),
        (
            "web_history browsing_history",
            "browser_history internet_history search_history visited_sites visited_urls visited_pages",
        ),
        ("mail emails", "email_messages mail_messages mailbox inbox email_content mail_content"),
        ("text_messages sms", "mms messages sms_messages imessages chat_messages chat_history message_history sms_log"),
        ("contacts address_book", "contact_list phone_contacts phone_book"),
        ("calendar", "calendar_events calendar_entries appointments"),
        ("password passwords", "passwd pwd passphrase passcode"),
        ("photos pictures camera_roll", "photo_library photo_album"),
        ("files", "personal_files file_contents"),
    )
)
"""Words of a policy, and other names of the same content. A policy that lists one of the words forbids these names."""
AMBIGUOUS: Final = frozenset({"contact", "email", "file", "message"})
"""Singular forms that are often names of something else, such as a contact's address."""
_FLAGS: Final = frozenset({"is", "has", "no", "needs", "need", "require", "requires", "allow", "allows", "use", "uses"})
"""First words of keys that state a fact about a password and do not hold one."""
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS: Final = re.compile(r"[\W_]+")
REMEMBERED: Final = 10_000
"""Distinct keys whose result is kept."""


def words_of(name: str) -> tuple[str, ...]:
    """The words of a key.

    >>> words_of("wifiPassword"), words_of("CALL-LOGS")
    (('wifi', 'password'), ('call', 'logs'))
    """
    spaced = _HUMP.sub(" ", normal_form("NFKC", name))
    return tuple(word for word in _SEPARATORS.split(spaced.casefold()) if word)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "sms", "mms")) else word


def key_form(name: str) -> str:
    """The form in which two spellings of a key are equal.

    >>> key_form("Call-Logs") == key_form("callLog")
    True
    """
    words = words_of(name)
    form = "".join((*words[:-1], _singular(words[-1]))) if words else ""
    return "".join(words) if form in AMBIGUOUS else form


@dataclass(frozen=True)
class ForbiddenNames:
    """The names that a policy forbids at any depth."""

    names: tuple[str, ...]
    """The listed names, in the policy's order."""
    declared: frozenset[str]
    """Keys of declared fields, which are forbidden under their exact name only."""
    _innocent: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __bool__(self) -> bool:
        return bool(self.names)

    @cached_property
    def _by_form(self) -> dict[str, str]:
        """The listed name of each form; a name's own form counts before other names."""
        names_by_form = {key_form(name): name for name in reversed(self.names)}
        others = {
            key_form(other_name): name
            for name in reversed(self.names)
            for listed, names in OTHER_NAMES
            if key_form(name) in {key_form(each) for each in listed}
            for other_name in names
        }
        return others | names_by_form

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(self.names)

    def name_of(self, key: str) -> str | None:
        """The listed name that forbids a key; None if nothing does."""
        if key in self._innocent:
            return None
        listed_name = key if key in self._exact else None if key in self.declared else self._spelled(key)
        if listed_name is None and len(self._innocent) < REMEMBERED:
            self._innocent.add(key)
        return listed_name

    def names_of(self, keys: Iterable[str]) -> frozenset[str]:
        """The listed names that forbid some of these keys."""
        return frozenset(name for key in keys if (name := self.name_of(key)) is not None)

    def allow(self, keys: Collection[object]) -> bool:
        """Whether none of these keys is forbidden."""
        if self._innocent.issuperset(keys):
            return True
        return all(not isinstance(key, str) or self.name_of(key) is None for key in keys)

    def _spelled(self, key: str) -> str | None:
        listed_name = self._by_form.get(key_form(key))
        if listed_name is not None:
            return listed_name
        words = words_of(key)
        if len(words) < 2 or words[0] in _FLAGS or _singular(words[-1]) != "password":
            return None
        return self._by_form.get("password")


class MatchingKey(str):
    """A listed name as the last part of a path: in a map, it stands for every key that the name forbids."""

    __slots__ = ("names",)

    names: ForbiddenNames

    @classmethod
    def of(cls, name: str, names: ForbiddenNames) -> MatchingKey:
        """The part for a listed name."""
        part = cls(name)
        part.names = names
        return part


def forbidden_names(request: SourceRequest) -> ForbiddenNames:
    """The names that a request forbids at any depth."""
    return _forbidden_names(request.any_depth, tuple(each.pointer.parts for each in request.fields))


@lru_cache(maxsize=64)
def _forbidden_names(names: tuple[str, ...], paths: tuple[tuple[object, ...], ...]) -> ForbiddenNames:
    return ForbiddenNames(names, frozenset(part for part in chain.from_iterable(paths) if isinstance(part, str)))


@dataclass(frozen=True, slots=True)
class ForbiddenPlace:
    """A place of a schema that must be empty, and the policy's pointer that requires it."""

    pointer: Pointer
    rule: str


def forbidden_places(schema: pa.Schema, request: SourceRequest) -> list[ForbiddenPlace]:
    """The places of a schema that must be empty, in the policy's order."""
    root = pa.struct(list(schema))
    fixed = [ForbiddenPlace(each, str(each)) for each in request.never if has_place(root, each.parts)]
    names = forbidden_names(request)
    below: dict[str, list[ForbiddenPlace]] = {name: [] for name in request.any_depth}
    for parts, name in _forbidden_paths(root, names, ()) if names else ():
        below[name].append(ForbiddenPlace(Pointer(parts), any_depth_rule(name)))
    return [*fixed, *(each for places in below.values() for each in places)]


def any_depth_rule(name: str) -> str:
    """The rule for a key that is forbidden at any depth, as quarantine names it."""
    return str(Pointer.parse_forbidden(name))


def is_forbidden(pointer: Pointer, request: SourceRequest) -> bool:
    """Whether a path is forbidden or below a forbidden one."""
    return any(each.covers(pointer) for each in request.never) or not forbidden_names(request).allow(pointer.parts)


def has_place(type_: pa.DataType, parts: tuple[PointerPart, ...]) -> bool:
    """Whether a type can have a value at a path.

    A star matches the elements of lists, items of maps and fields of structs. A name also passes through lists. A union can be
    any of its children, and the name of a child is a key.
    """
    if not parts:
        return True
    if is_list_type(storage_type(type_)) and parts[0] is not STAR:
        return has_place(storage_type(type_).value_type, parts)
    if pa.types.is_union(storage_type(type_)):
        children = list(storage_type(type_))
        return any(has_place(child.type, parts) for child in children) or any(
            has_place(child.type, parts[1:]) for child in children if child.name == parts[0]
        )
    below = [field.type for part, field in nested_fields(type_) if parts[0] in (STAR, part)]
    if pa.types.is_map(storage_type(type_)) and parts[0] is not STAR:
        below = [storage_type(type_).item_type]
    return any(has_place(kind, parts[1:]) for kind in below)


def has_key_at_any_depth(value: Any, names: ForbiddenNames) -> bool:
    """Whether a JSON value has a forbidden key, null or not, at any depth."""
    if isinstance(value, dict):
        return not names.allow(value) or any(
            has_key_at_any_depth(item, names) for item in value.values() if isinstance(item, dict | list)
        )
    return any(has_key_at_any_depth(item, names) for item in value if isinstance(item, dict | list))


def first_forbidden_key(record: Mapping[str, Any], names: ForbiddenNames) -> str | None:
    """The first name, in the policy's order, that forbids a key with a non-null value at any depth of a JSON object."""
    names_in_record = frozenset(_names_with_values(record, names)) if names else frozenset()
    return next((name for name in names.names if name in names_in_record), None)


def _forbidden_paths(
    type_: pa.DataType, names: ForbiddenNames, above: tuple[PointerPart, ...]
) -> Iterator[tuple[tuple[PointerPart, ...], str]]:
    """The paths that end in a forbidden key, with its listed name. The keys of a map are not in its type: any may be one."""
    if pa.types.is_map(storage_type(type_)):
        yield from (((*above, MatchingKey.of(name, names)), name) for name in sorted(names.names))
    if pa.types.is_union(storage_type(type_)):
        for child in storage_type(type_):
            name = names.name_of(child.name)
            if name is not None:
                yield (*above, child.name), name
            yield from _forbidden_paths(child.type, names, above)
    for part, child in nested_fields(type_):
        name = names.name_of(part) if isinstance(part, str) else None
        if name is not None:
            yield (*above, part), name
        yield from _forbidden_paths(child.type, names, (*above, part))


def _names_with_values(value: Any, names: ForbiddenNames) -> Iterator[str]:
    if isinstance(value, dict) and not names.allow(value):
        yield from names.names_of(key for key, item in value.items() if item is not None)
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from _names_with_values(item, names)


def canonicalize_ids(records: pa.RecordBatch, ids: Collection[Pointer], *, fold: bool = False) -> pa.RecordBatch:
    """The records with these ids in their canonical form; null if one counts as missing."""
    for pointer in ids:
        index = records.schema.get_field_index(pointer.top)
        if index >= 0:
            column = records.column(index)
            canonical_ids = _canonicalize_below(column, pointer.parts[1:], fold=fold)
            if canonical_ids is not column:
                records = records.set_column(index, records.schema.field(index), canonical_ids)
    return records


def _canonicalize_below(values: pa.Array, parts: Sequence[PointerPart], *, fold: bool) -> pa.Array:
    """The values with the ids at a path below them in their canonical form; the same array if nothing changed."""
    if not parts:
        return canonical_column(values, fold=fold, visible=True)
    index = (
        values.type.get_field_index(str(parts[0])) if pa.types.is_struct(values.type) and parts[0] is not STAR else -1
    )
    if index < 0:
        return values
    children = [values.field(place) for place in range(values.type.num_fields)]
    child = _canonicalize_below(children[index], parts[1:], fold=fold)
    if child is children[index]:
        return values
    children[index] = child
    return pa.StructArray.from_arrays(children, fields=list(values.type), mask=values.is_null())


def has_blank_id(record: Mapping[str, Any], ids: Collection[Pointer]) -> bool:
    """Whether a parsed record has an id that counts as missing."""
    return any(is_missing_id(value_at_path(record, pointer)) for pointer in ids)


def value_at_path(record: Mapping[str, Any], pointer: Pointer) -> Any:
    """The value at a path without lists."""
    value: Any = record
    for part in pointer.parts:
        value = value.get(part) if isinstance(value, dict) else None
    return value


SUBJECT_SAMPLE = 10
"""Number of distinct subjects that shows that a name does not identify one of them."""


def carries_path(values: pa.Array, parts: Sequence[PointerPart]) -> Bools:
    """Per value, whether there is a non-null value at this path below it. A name also passes through lists."""
    if isinstance(values, pa.ExtensionArray):
        return carries_path(values.storage, parts)
    if pa.types.is_run_end_encoded(values.type):
        by_run: Bools = carries_path(values.values, parts)[_run_of_each_value(values)]
        return by_run
    if pa.types.is_union(values.type):
        return _union_carries_path(values, parts)
    present = _validity_mask(values)
    if not parts or not present.any():
        return present
    if pa.types.is_dictionary(values.type):
        indices = np.asarray(pc.fill_null(values.indices, 0))
        by_code: Bools = carries_path(values.dictionary, parts)[indices]
        return np.logical_and(present, by_code)
    if pa.types.is_struct(values.type):
        below = [carries_path(child, parts[1:]) for child in _struct_children(values, parts[0])]
        return present & reduce(or_, below, np.zeros(len(values), bool))
    if _has_elements(values.type, parts[0]):
        inner, owner = _elements_with_owners(values)
        return _owners_mask(carries_path(inner, parts[1:]), owner, len(values))
    if is_list_type(values.type):
        inner, owner = _elements_with_owners(values)
        return _owners_mask(carries_path(inner, parts), owner, len(values))
    if pa.types.is_map(values.type):
        return _map_carries_path(values, parts[0], parts[1:])
    return np.zeros(len(values), bool)


def lacks_path(values: pa.Array, parts: Sequence[PointerPart]) -> Bools:
    """Per value, whether it is null or has no value at this path below it.

    Below a star every element counts, and an empty list has no missing values.
    """
    values = storage_array(values)
    if not parts:
        return ~_validity_mask(values)
    if pa.types.is_struct(values.type):
        below = [lacks_path(child, parts[1:]) for child in _struct_children(values, parts[0])]
        return ~_validity_mask(values) | (below[0] if below else True)
    if _has_elements(values.type, parts[0]):
        inner, owner = _elements_with_owners(values)
        return ~_validity_mask(values) | _owners_mask(lacks_path(inner, parts[1:]), owner, len(values))
    return np.ones(len(values), bool)


def top_level_column(records: pa.RecordBatch, pointer: Pointer) -> pa.Array | None:
    """The top-level column of a pointer; None if there is none."""
    index = records.schema.get_field_index(pointer.top)
    return None if index < 0 else records.column(index)


def records_with_path(records: pa.RecordBatch, pointer: Pointer) -> Bools:
    """Per record, whether it has a value at this path."""
    top = top_level_column(records, pointer)
    return np.zeros(records.num_rows, bool) if top is None else carries_path(top, pointer.parts[1:])


def records_missing_field(records: pa.RecordBatch, field: DeclaredField) -> Bools:
    """Per record, whether a required field is absent or null."""
    top = top_level_column(records, field.pointer)
    return np.ones(records.num_rows, bool) if top is None else lacks_path(top, field.pointer.parts[1:])


@dataclass(frozen=True, slots=True)
class RecordFaults:
    """The records of a batch that cannot be processed: their indices, each with its first fault."""

    rows: npt.NDArray[np.int64]
    codes: list[RejectCode]
    fields: list[str | None]

    def rejects(self, positions: npt.NDArray[np.int64], unit: PositionUnit) -> list[Reject]:
        """One reject per record, at these positions of the batch's rows."""
        places = positions[self.rows].tolist()
        return [Reject(*reject) for reject in zip(places, [unit] * len(places), self.fields, self.codes, strict=True)]


def first_faults(
    records: pa.RecordBatch,
    required: Sequence[DeclaredField],
    never: Sequence[ForbiddenPlace],
    faults: Sequence[FaultMask] = (),
    canonical: pa.RecordBatch | None = None,
    ids: Collection[Pointer] = (),
) -> RecordFaults:
    """The first fault of each record: forbidden, then the given faults, then missing.

    Takes also the records with canonical ids: null ones are missing.
    """
    first: dict[int, tuple[RejectCode, str | None]] = {}
    for fault in _all_faults(records, required, never, faults, records if canonical is None else canonical, ids):
        for row in np.flatnonzero(fault.mask).tolist():
            first.setdefault(row, (fault.code, fault.field))
    rows = sorted(first)
    return RecordFaults(np.array(rows, np.int64), [first[row][0] for row in rows], [first[row][1] for row in rows])


@dataclass(frozen=True, slots=True)
class FaultMask:
    """One kind of fault, and a mask of the records that have it."""

    code: RejectCode
    field: str | None
    mask: Bools


def _all_faults(
    records: pa.RecordBatch,
    required: Sequence[DeclaredField],
    never: Sequence[ForbiddenPlace],
    faults: Sequence[FaultMask],
    canonical: pa.RecordBatch,
    ids: Collection[Pointer],
) -> Iterator[FaultMask]:
    yield from (fault for fault in faults if fault.code == "malformed")
    yield from (FaultMask("forbidden_field", place.rule, records_with_path(records, place.pointer)) for place in never)
    yield from (fault for fault in faults if fault.code != "malformed")
    for declared_field in required:
        read = canonical if declared_field.pointer in ids else records
        if not _has_no_nulls(read, declared_field.pointer):
            yield FaultMask("missing_field", str(declared_field.pointer), records_missing_field(read, declared_field))


def _has_no_nulls(records: pa.RecordBatch, pointer: Pointer) -> bool:
    """Whether a plain column exists and has no nulls, which is known without reading its values."""
    top = top_level_column(records, pointer) if pointer.is_flat else None
    return top is not None and top.null_count == 0 and top.type.num_fields == 0 and not _can_hide_nulls(top.type)


def _can_hide_nulls(type_: pa.DataType) -> bool:
    """Whether nulls can exist that the null count does not include."""
    return (
        pa.types.is_dictionary(type_)
        or pa.types.is_run_end_encoded(type_)
        or pa.types.is_null(type_)
        or isinstance(type_, pa.BaseExtensionType)
    )


def count_undeclared(records: pa.RecordBatch, pointer: Pointer, request: SourceRequest, good: Bools) -> UndeclaredCount:
    """Number of valid records with a path, and up to ten subjects of them."""
    mask = records_with_path(records, pointer) & good
    count = int(mask.sum())
    some = sample_subjects(records, request.subject, mask) if count else frozenset()
    return UndeclaredCount(count, some, request.rank(pointer))


def sample_subjects(records: pa.RecordBatch, subject: Pointer | None, mask: Bools | None = None) -> frozenset[str]:
    """Up to ten distinct subjects of these records, as text."""
    values = None if subject is None else flat_values(records, subject)
    if values is None:
        return frozenset()
    settled = narrow_array(values, plain_array_type(values.type))
    return _sample_ids(settled if mask is None else settled.filter(pa.array(mask)))


def _sample_ids(values: pa.Array, size: int = 256) -> frozenset[str]:
    """Up to ten distinct ids, searched in prefixes of increasing length: the first is usually enough.

    They are always compared without regard to case, so that one subject does not count as ten.
    """
    words = pc.drop_null(pc.unique(canonical_column(values.slice(0, size), fold=True))).slice(0, SUBJECT_SAMPLE)
    if len(words) == SUBJECT_SAMPLE or size >= len(values):
        return frozenset(map(_id_as_text, words.to_pylist()))
    return _sample_ids(values, size * 16)


def flat_values(records: pa.RecordBatch, pointer: Pointer) -> pa.Array | None:
    """The values of a field that is not in a list; null if a struct above it is null. None if there is no such field."""
    values = top_level_column(records, pointer)
    for part in pointer.parts[1:]:
        values = storage_array(values) if values is not None else None
        if (
            values is None
            or part is STAR
            or not pa.types.is_struct(values.type)
            or values.type.get_field_index(part) < 0
        ):
            return None
        values = pc.struct_field(values, values.type.get_field_index(part))
    return values


def _id_as_text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _validity_mask(values: pa.Array) -> Bools:
    if values.null_count == 0:
        return np.ones(len(values), bool)
    return np.asarray(values.is_valid())


def _struct_children(values: pa.StructArray, part: PointerPart) -> list[pa.Array]:
    if part is STAR:
        return [values.field(index) for index in range(values.type.num_fields)]
    index = values.type.get_field_index(part)
    return [] if index < 0 else [values.field(index)]


def _has_elements(type_: pa.DataType, part: PointerPart) -> bool:
    return part is STAR and (is_list_type(type_) or pa.types.is_map(type_))


def _elements_with_owners(values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The elements of a list, or a map's items, and for each the index of its container."""
    inner, lengths = list_elements(values)
    owner = np.repeat(np.arange(len(values)), np.asarray(lengths))
    return (inner.field(1) if pa.types.is_map(values.type) else inner), owner


def _run_of_each_value(values: pa.RunEndEncodedArray) -> npt.NDArray[np.int64]:
    """Per value, the index of its run."""
    rows = np.arange(values.offset, values.offset + len(values))
    return np.searchsorted(np.asarray(values.run_ends), rows, side="right")


def _union_carries_path(values: pa.UnionArray, parts: Sequence[PointerPart]) -> Bools:
    """A union's value is the value of one child. The name of a child counts as a key."""
    row_mask = np.zeros(len(values), bool)
    buffers, window = values.buffers(), slice(values.offset, values.offset + len(values))
    codes = np.frombuffer(buffers[1], np.int8)[window]  # `type_codes` and `offsets` ignore the offset of a sliced array
    places = np.frombuffer(buffers[2], np.int32)[window] if values.type.mode == "dense" else np.arange(len(values))
    for index, code in enumerate(values.type.type_codes):
        child = values.field(index)
        below = carries_path(child, parts)
        if parts and values.type.field(index).name == parts[0]:
            below = below | carries_path(child, parts[1:])
        rows = np.flatnonzero(codes == code)
        row_mask[rows] = below[places[rows]]
    return row_mask


def _map_carries_path(values: pa.MapArray, key: PointerPart, parts: Sequence[PointerPart]) -> Bools:
    inner, lengths = list_elements(values)
    owner = np.repeat(np.arange(len(values)), np.asarray(lengths))
    named = _keys_named(inner.field(0).cast(pa.string()), key)
    return _owners_mask(named & carries_path(inner.field(1), parts), owner, len(values))


def _keys_named(keys: pa.Array, key: PointerPart) -> Bools:
    """Whether each key of a map is the one of a path. Loops over the distinct keys if several spellings count."""
    if not isinstance(key, MatchingKey):
        return np.asarray(pc.fill_null(pc.equal(keys, str(key)), False))
    spelled = [each for each in pc.unique(keys).to_pylist() if each is not None and key.names.name_of(each) == key]
    return np.asarray(pc.fill_null(pc.is_in(keys, pa.array(spelled, pa.string())), False))


def _owners_mask(below: Bools, owner: npt.NDArray[np.int64], size: int) -> Bools:
    owners = np.zeros(size, bool)
    owners[owner[below]] = True
    return owners
