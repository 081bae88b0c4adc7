"""Observation of the data of a batch date: fields per record, refused values, undeclared paths, unlisted values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.nested import leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.drafting.values import ObservedValues, observe_file
from minimize.errors import SchemaError
from minimize.policy.condition import FieldEquals, atoms
from minimize.policy.model import Field, Policy
from minimize.policy.treatments import Treatment
from minimize.records import Chunk, UndeclaredCount, merge_undeclared
from minimize.sources import SourceFormat
from minimize.sources.base import DeclaredField, Source, SourceRequest
from minimize.sources.file_discovery import NameMask, hive_partitions
from minimize.sources.files import file_parts
from minimize.sources.record_checks import records_with_path
from minimize.stores import Location
from minimize.techniques.map import Map


@dataclass(frozen=True, slots=True)
class UnlistedValues:
    """Number of records with an unlisted value, and these values (in memory only, to count them)."""

    records: int = 0
    values: frozenset[str] = field(default=frozenset(), repr=False)

    def __add__(self, addend: UnlistedValues) -> UnlistedValues:
        return UnlistedValues(self.records + addend.records, self.values | addend.values)


def listed_values(policy: Policy) -> dict[str, frozenset[str]]:
    """The listed values as text, for each field that lists values."""
    values_by_key: dict[str, set[str]] = {}
    for declared in policy.fields.values():
        for key, values in _listed_in_field(declared):
            values_by_key.setdefault(key, set()).update(values)
    return {key: frozenset(values) for key, values in values_by_key.items() if values and key in policy.fields}


def find_unlisted(records: pa.RecordBatch, pointer: Pointer, listed: frozenset[str]) -> UnlistedValues:
    """The values of a field that are not listed. Null does not count."""
    try:
        field_leaf = leaf(records, pointer)
    except KeyError:
        return UnlistedValues()
    coded = (
        field_leaf.values if pa.types.is_dictionary(field_leaf.values.type) else pc.dictionary_encode(field_leaf.values)
    )
    words = [None if value is None else policy_word(value) for value in coded.dictionary.to_pylist()]
    strange = np.array([word is not None and word not in listed for word in words] or [False])
    at = coded.indices.is_valid().to_numpy(zero_copy_only=False)
    hit = strange[coded.indices.fill_null(0).to_numpy(zero_copy_only=False)] & at
    used = np.unique(coded.indices.filter(pa.array(hit)).to_numpy(zero_copy_only=False))
    rows = np.unique(row_indices(field_leaf, records.num_rows)[hit])
    return UnlistedValues(len(rows), frozenset(str(words[index]) for index in used))


def policy_word(value: Any) -> str:
    """A value in the spelling of a policy."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _listed_in_field(declared: Field) -> Iterator[tuple[str, set[str]]]:
    for chain in (declared.do, declared.otherwise, *(case.do for case in declared.cases)):
        yield declared.key, set(_map_inputs(chain))
    for case in declared.cases:
        for atom in atoms(case.when):
            if isinstance(atom, FieldEquals):
                yield atom.field, {policy_word(value) for value in atom.values}


def _map_inputs(chain: Treatment) -> Iterator[str]:
    if chain != "drop" and chain and isinstance(chain[0], Map):
        yield from chain[0].values


MOST_FILES_SHAPED = 20
"""Number of files of a date whose first records are read to find types."""


SourceBinding = Callable[[SourceRequest], Source]
"""Binds one file to a request."""


@dataclass(slots=True)
class ArrivedData:
    """Observations of the files of a date."""

    has_types: bool = True
    """Whether values in the files have types of their own."""
    records: int = 0
    """Number of records read."""
    carried: Counter[str] = field(default_factory=Counter)
    """Number of records with each declared field."""
    refused: Counter[str] = field(default_factory=Counter)
    """Number of records that were refused because of the type or time of a declared field, by field."""
    retyped: Counter[str] = field(default_factory=Counter)
    """Declared fields that have another type in whole files, or are missing there."""
    absent: Counter[str] = field(default_factory=Counter)
    """Declared fields without a column in whole files, for formats with column names."""
    undeclared: dict[Pointer, UndeclaredCount] = field(default_factory=dict, repr=False)
    """Undeclared data, by the topmost undeclared path."""
    unlisted: dict[str, UnlistedValues] = field(default_factory=dict, repr=False)
    """For each declared field that lists values: number of records with another value, and these values."""
    shape: list[ObservedValues] = field(default_factory=list, repr=False)
    """Types by path in the first records."""

    def types_at(self, pointer: Pointer) -> list[str]:
        """The types found at a path, in order of appearance."""
        words = (word for shape in self.shape for node in shape.at_path(pointer.parts) for word in node.words)
        return list(dict.fromkeys(words))

    def add_chunk(self, chunk: Chunk, request: SourceRequest, lists: Mapping[str, frozenset[str]]) -> None:
        """Add some records."""
        keys = {str(each.pointer): each.key for each in request.fields}
        self.records += chunk.read
        for reject in chunk.rejects:
            if reject.code in ("wrong_type", "bad_time") and reject.field in keys:
                self.refused[keys[reject.field]] += 1
        self._carry(chunk.undeclared)
        for source_field in request.fields:
            self.carried[source_field.key] += int(records_with_path(chunk.records, source_field.pointer).sum())
            if source_field.key in lists:
                unlisted = find_unlisted(chunk.records, source_field.pointer, lists[source_field.key])
                self.unlisted[source_field.key] = self.unlisted.get(source_field.key, UnlistedValues()) + unlisted

    def add(self, addend: ArrivedData) -> None:
        """Add the observations of another file."""
        self.records += addend.records
        self.carried.update(addend.carried)
        self._carry(addend.undeclared)
        for key, unlisted in addend.unlisted.items():
            self.unlisted[key] = self.unlisted.get(key, UnlistedValues()) + unlisted

    def _carry(self, undeclared: Mapping[Pointer, UndeclaredCount]) -> None:
        self.undeclared = merge_undeclared([self.undeclared, undeclared])


def observe_files(
    files: Sequence[Location],
    root: Location,
    format_: SourceFormat,
    request: SourceRequest,
    lists: Mapping[str, frozenset[str]],
    shown: NameMask | None = None,
) -> ArrivedData:
    """Observe some files. Each is read separately, because their schemas may differ.

    Takes the request of a policy, and the listed values of each field that lists values. Raises SourceError.
    """
    arrived_data = ArrivedData(format_.has_types)
    lenient_request = _lenient_request(request)
    for number, part in enumerate(file_parts(files, root, shown)):
        if number < MOST_FILES_SHAPED or format_.has_columns:
            shape = observe_file(part, format_)
            arrived_data.shape.append(shape)
            if format_.has_columns:
                partitions = hive_partitions(part.path, root)
                arrived_data.absent.update(
                    source_field.key
                    for source_field in request.fields
                    if _lacks_column(shape, source_field, partitions)
                )
        _read_repeatedly(arrived_data, lenient_request, lists, partial(format_.bind, [part]))
    declared = [source_field.pointer for source_field in request.fields]
    arrived_data.undeclared = {
        path: carried for path, carried in arrived_data.undeclared.items() if not _is_declared(path, declared)
    }
    return arrived_data


def _lacks_column(shape: ObservedValues, declared: DeclaredField, partitions: Mapping[str, object]) -> bool:
    return declared.pointer.top not in partitions and not any(True for _ in shape.at_path(declared.pointer.parts))


def _lenient_request(request: SourceRequest) -> SourceRequest:
    """A request that reads every field and requires none."""
    fields = tuple(replace(each, needed=True, required=False, optional=True) for each in request.fields)
    return replace(request, fields=fields)


def _read_repeatedly(
    arrived_data: ArrivedData, request: SourceRequest, lists: Mapping[str, frozenset[str]], bind: SourceBinding
) -> None:
    """Read a file repeatedly: each field that does not fit is recorded and left out of the next read."""
    while True:
        source, request = _bind_fitting_fields(bind, request, arrived_data)
        attempt = ArrivedData()
        for part in source.parts:
            for chunk in part.read():
                attempt.add_chunk(chunk, request, lists)
        if not attempt.refused:
            arrived_data.add(attempt)
            return
        arrived_data.refused.update(attempt.refused)
        request = _without_fields(request, attempt.refused)


def _bind_fitting_fields(
    bind: SourceBinding, request: SourceRequest, arrived_data: ArrivedData
) -> tuple[Source, SourceRequest]:
    """Bind the file to the part of the request that fits, and return both. Other fields are recorded."""
    while True:
        source = None
        try:
            source, misfits = bind(request), frozenset[str]()
        except SchemaError as error:
            misfits = frozenset(finding.field for finding in error.findings if finding.field is not None)
            if not misfits & {each.key for each in request.fields}:
                raise
        if source is not None:
            return source, request
        arrived_data.retyped.update(misfits)
        request = _without_fields(request, misfits)


def _without_fields(request: SourceRequest, keys: Collection[str]) -> SourceRequest:
    return replace(request, fields=tuple(each for each in request.fields if each.key not in keys))


def _is_declared(path: Pointer, declared: Iterable[Pointer]) -> bool:
    """Whether a path equals a declared path, contains it, or is below it."""
    return any(path.within(each) or each.within(path) for each in declared)
