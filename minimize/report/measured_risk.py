"""Disclosure risk of an output, or of a file that `minimize` did not write.

Of an output, the records in force are read, with the columns as released. An account sees the risk of the tenants in its scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from minimize.access.permissions import READ, TenantSet, highest_or_none, limited_result
from minimize.arrow.nested import leaf, leaf_type
from minimize.arrow.pointers import Pointer
from minimize.arrow.types import storage_type
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.reader import check_key_versions
from minimize.disclosure_risk.combinations import Combinations, CombinationTally
from minimize.disclosure_risk.risk import Risk, check_columns, check_population_columns, check_population_size
from minimize.errors import AccessDenied, ConfigurationError, OutputError, RefusalReason, SourceError, redact_errors
from minimize.keys import Keyring
from minimize.keys.parquet_encryption import column_category
from minimize.plan.model import Category, category_named
from minimize.policy.fields import keeps_original
from minimize.records import PIPELINE_FILE, RECORDS, RUNS
from minimize.results import Printable
from minimize.sources import FORMATS, format_by_name
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.files import FilePart, read_error
from minimize.stages.identifier_forms import rotation_units
from minimize.stores import LocationLike, PathText
from minimize.text import count_noun
from minimize.workspace import Workspace

QUASI: Final = "quasi"
_RUN_FIRST: Final = "Run `minimize run` first."
_MAX_NAMED: Final = 30
"""Columns that an error lists at most."""
Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class RiskRequest:
    """The columns of a measurement. Of an output, they are keys of its policy."""

    quasi: tuple[str, ...] = ()
    """The quasi-identifiers; if empty, those of an output's policy."""
    sensitive: tuple[str, ...] = ()
    """The columns that an attacker wants to learn."""
    person: str | None = None
    """The column that identifies data subjects; None is the subject of an output's policy, or each record."""
    population: str | int | None = None
    """A file of the population, or the number of its members."""
    date: str | None = None
    """The batch date of an output; None for all dates in force."""

    @property
    def size(self) -> int | None:
        """The number of members of the population, if no file is named. Raises ConfigurationError."""
        return check_population_size(self.population) if isinstance(self.population, int) else None


@dataclass(frozen=True, slots=True)
class MeasuredColumns:
    """The columns that were chosen, and what limits their figures."""

    quasi: tuple[str, ...]
    sensitive: tuple[str, ...]
    person: str | None
    notes: tuple[str, ...] = field(default=())

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [*self.quasi, *self.sensitive, *([] if self.person is None else [self.person])]

    def tally(self) -> CombinationTally:
        """An empty tally of their combinations."""
        return CombinationTally(self.quasi, self.sensitive, self.person)


@redact_errors
def measure_risk(
    place: LocationLike,
    request: RiskRequest | None = None,
    *,
    keys: Keyring | PathText | None = None,
    ledger: PathText | None = None,
    region: str | None = None,
) -> tuple[Risk, Printable]:
    """The disclosure risk of an output, of the output of a pipeline, or of a Parquet or CSV file.

    Returns the risk, and the result to print, which states whether it is limited to the tenants in the account's scope.

    Raises ConfigurationError for columns that are missing or cannot be measured, OutputError for an output without records,
    KeyringError if a key is not available, SourceError for a file that cannot be read, AccessDenied.
    """
    measured_request = request or RiskRequest()
    by_pipeline = _is_pipeline(place)
    if by_pipeline:
        place = Workspace(ledger, pipeline=str(place), keys=keys, region=region).target
    is_local = "://" not in str(place)
    if by_pipeline and is_local and not (Path(str(place)) / RUNS).exists():
        raise OutputError(f"{place}: nothing has been published to this output", hint=_RUN_FIRST)
    if is_local and not Path(str(place)).exists():
        raise ConfigurationError(
            f"{place}: the file or folder does not exist", hint="Pass a Parquet or CSV file, an output, or a pipeline."
        )
    if not _is_output(place):
        measured = _measure_file(Path(str(place)), measured_request)
        return measured, measured
    with Workspace(ledger, place, keys=keys, shown=(place,)) as workspace:
        measured, tenants = _measure_output(workspace, measured_request)
    return measured, limited_result(measured, tenants)


def _is_pipeline(place: LocationLike) -> bool:
    path = Path(str(place))
    return "://" not in str(place) and (path.suffix in (".yaml", ".yml") or (path / PIPELINE_FILE).is_file())


def _is_output(place: LocationLike) -> bool:
    path = Path(str(place))
    return "://" in str(place) or path.is_dir() or not (path.is_file() or format_by_name(path))


def _measure_output(workspace: Workspace, request: RiskRequest) -> tuple[Risk, TenantSet]:
    chain = workspace.load_receipts()
    if not chain:
        raise OutputError("nothing has been published to this output", hint=_RUN_FIRST)
    records = PublishedRecords(PublishedOutput(workspace.target, chain, workspace.keyring_or_none), request)
    tenants = workspace.readable_tenants("run/read", about=records.published.pipeline)
    if isinstance(request.population, str):
        # Next to a file of guesses, the figures tell which of them are in the data.
        dataset = records.published.pipeline
        tenants &= workspace.readable_tenants(READ, dataset=dataset, category=records.category)
    combinations = records.count(tenants)
    chosen = records.measured_columns
    population = _count_population(request, chosen)
    return Risk.of_combinations(combinations, chosen.person, population, chosen.notes), tenants


@dataclass(frozen=True)
class PublishedRecords:
    """The records in force of an output, and their columns by the keys of the policy."""

    published: PublishedOutput
    request: RiskRequest

    @cached_property
    def files(self) -> list[OutputFile]:
        """The files that can be read. Raises OutputError without any."""
        dated = [each for each in self.published.files(RECORDS) if self.request.date in (None, each.date)]
        readable = [each for each in dated if not each.is_shredded]
        if not readable:
            hint = "Name an output with records that are in force."
            raise OutputError("the output has no records in force that can be read", hint=hint)
        return readable

    @cached_property
    def pointers(self) -> Mapping[str, Pointer]:
        """The fields that some file has, by key."""
        return {key: pointer for file in self.files for key, pointer in file.pointers.items()}

    @cached_property
    def measured_columns(self) -> MeasuredColumns:
        """The chosen columns. Raises ConfigurationError."""
        notes: list[str] = []
        quasi = self.request.quasi or tuple(self._released_quasi(notes))
        if not quasi:
            message = "the output's policy has no released field with the role quasi"
            raise ConfigurationError(message, hint=f"Pass --quasi FIELD. {_column_hint(self.pointers)}")
        person = self._person(notes) if self.request.person is None else self.request.person
        schema = pa.schema([(key, self._type(key)) for key in self.pointers])
        check_columns(schema, quasi, self.request.sensitive, person)
        return MeasuredColumns(quasi, self.request.sensitive, person, tuple(notes))

    @property
    def category(self) -> Category:
        """The highest category of the chosen columns."""
        tops = {self.pointers[name].top for name in self.measured_columns.names}
        fields = (each for file in self.files for each in file.schema if each.name in tops)
        return highest_or_none(category_named(column_category(each)) for each in fields) or "identified"

    def count(self, tenants: TenantSet) -> Combinations:
        """The combinations of the records of these tenants.

        Raises OutputError if columns have other types or keys on different dates, AccessDenied if the records have no tenants.
        """
        tally = self.measured_columns.tally()
        for batch in self.batches(tenants):
            tally.observe(batch)
        return tally.settle()

    def batches(self, tenants: TenantSet) -> Batches:
        """The chosen columns of the records of these tenants, by key. Raises as `count`."""
        self._check_keys()
        for file in self.files:
            yield from self._batches(file, tenants)

    @property
    def single_keys(self) -> list[str]:
        """The released fields with one value in a record."""
        return [key for key, pointer in self.pointers.items() if not (pointer.stars or self._is_nested(key))]

    def _released_quasi(self, notes: list[str]) -> Iterator[str]:
        for key, pointer in self.pointers.items():
            if not any(key in each.policy.fields and each.policy.fields[key].role == QUASI for each in self.files):
                continue
            if pointer.stars or self._is_nested(key):
                notes.append(f"{key} has several values in a record and is not measured")
            else:
                yield key

    def _person(self, notes: list[str]) -> str | None:
        """The subject of the newest policy, if it is released."""
        policy = self.files[-1].policy
        subject = policy.subject
        if subject is None or subject not in self.pointers:
            notes.append("the output does not have its subject, so that each record counts as a person")
            return None
        units = sorted({unit for each in self.files for unit in rotation_units(each.policy, subject)})
        if units:
            notes.append(f"pseudonyms of {subject} change every {' or '.join(units)}: a person counts once for each")
        return subject

    def _is_nested(self, key: str) -> bool:
        return bool(pa.types.is_nested(self._type(key)))

    def _type(self, key: str) -> pa.DataType:
        """The type of a field in the first file that has it; a list for a field with several values in a record."""
        file = next(each for each in self.files if key in each.pointers)
        pointer = file.pointers[key]
        type_ = storage_type(leaf_type(file.schema, pointer))
        return pa.list_(type_) if pointer.stars else type_

    def _check_keys(self) -> None:
        tops = {self.pointers[name].top for name in self.measured_columns.names}
        schemas = [pa.schema([each for each in file.schema if each.name in tops]) for file in self.files]
        message = ""
        try:
            check_key_versions(schemas)
        except OutputError as error:
            message = error.message
        if message:
            raise OutputError(message, hint="Pass --date D, once for each date.")

    def _batches(self, file: OutputFile, tenants: TenantSet) -> Batches:
        pointers = {name: file.pointers.get(name) for name in self.measured_columns.names}
        tenant = _tenant_pointer(file, tenants)
        tops = {pointer.top for pointer in (*pointers.values(), tenant) if pointer is not None}
        for batch in file.batches(tops):
            columns = [
                pa.nulls(batch.num_rows, self._type(name)) if pointer is None else self._column(batch, name, pointer)
                for name, pointer in pointers.items()
            ]
            chosen = pa.RecordBatch.from_arrays(columns, names=list(pointers))
            yield chosen if tenant is None else chosen.filter(_tenant_mask(leaf(batch, tenant).values, tenants))

    def _column(self, batch: pa.RecordBatch, name: str, pointer: Pointer) -> pa.Array:
        values = leaf(batch, pointer).values
        if storage_type(values.type) != self._type(name):
            message = f"{name} has different types on different dates"
            raise OutputError(message, hint="Pass --date D, once for each date.")
        return values


def _tenant_pointer(file: OutputFile, tenants: TenantSet) -> Pointer | None:
    """The column of tenants that limits what is read; None if all tenants may be read. Raises AccessDenied."""
    if tenants.is_all:
        return None
    key = file.policy.tenant
    if key is None or key not in file.pointers or not keeps_original(file.policy.fields[key]):
        reason = RefusalReason(
            "not_by_tenant", "U114", "the output has no tenant column, but the scope is limited to tenants"
        )
        raise AccessDenied("you may not do this", reasons=(reason,), hint="Ask an account with all tenants.")
    return file.pointers[key]


def _tenant_mask(values: pa.Array, tenants: TenantSet) -> pa.Array:
    """The records of these tenants. A record without a tenant is never among them."""
    texts = values.cast(pa.string())
    is_named = np.array([name is not None and name in tenants for name in texts.unique().to_pylist()], np.bool_)
    codes = texts.dictionary_encode(null_encoding="encode").indices
    return pa.array(is_named).take(codes)


def _column_hint(names: Iterable[str]) -> str:
    listed = [*names]
    more = f" and {len(listed) - _MAX_NAMED} more" if len(listed) > _MAX_NAMED else ""
    return f"The columns are {', '.join(listed[:_MAX_NAMED])}{more}."


def _measure_file(path: Path, request: RiskRequest) -> Risk:
    schema = _file_schema(path)
    if not request.quasi:
        message = f"{path.name} has no policy that tells which columns are quasi-identifiers"
        raise ConfigurationError(message, hint=f"Pass --quasi COLUMN. {_column_hint(schema.names)}")
    if request.date is not None:
        raise ConfigurationError("--date is for outputs, and this is a file", hint="Pass it without --date.")
    chosen = MeasuredColumns(request.quasi, request.sensitive, request.person)
    check_columns(schema, chosen.quasi, chosen.sensitive, chosen.person)
    combinations, notes = _count_file(path, chosen)
    return Risk.of_combinations(combinations, chosen.person, _count_population(request, chosen), notes)


def _count_population(request: RiskRequest, chosen: MeasuredColumns) -> Combinations | int | None:
    """The combinations of a population, or its size. Its members are counted by the column of persons, if it has this column."""
    if not isinstance(request.population, str):
        return request.size
    path = Path(request.population)
    schema = _file_schema(path)
    check_population_columns(schema.names, chosen.quasi)
    person = chosen.person if chosen.person in schema.names else None
    check_columns(schema, chosen.quasi, (), person)
    return _count_file(path, MeasuredColumns(chosen.quasi, (), person))[0]


def _file_schema(path: Path) -> pa.Schema:
    """The columns of a Parquet or CSV file. Raises SourceError, ConfigurationError."""
    read_schema = FORMATS[format_by_name(path)].read_schema if format_by_name(path) else None
    if read_schema is None:
        hint = "Pass a Parquet or CSV file, an output folder, or a pipeline."
        raise ConfigurationError(f"{path.name} is not a file that can be measured", hint=hint)
    if not path.is_file():
        raise SourceError(f"{path.name}: the file does not exist", hint="Check the path.")
    return read_schema(FilePart(path, path.parent))


def _count_file(path: Path, chosen: MeasuredColumns) -> tuple[Combinations, tuple[str, ...]]:
    """The combinations of a file, and what limits them."""
    tally = chosen.tally()
    if format_by_name(path) == "parquet":
        for batch in _parquet_batches(path, chosen.names):
            tally.observe(batch)
        return tally.settle(), ()
    fields = tuple(DeclaredField(name, Pointer((name,)), "string") for name in chosen.names)
    rejected = 0
    for part in FORMATS[format_by_name(path)].bind([FilePart(path, path.parent)], SourceRequest(fields)).parts:
        for chunk in part.read():
            tally.observe(chunk.records.select(chosen.names))
            rejected += len(chunk.rejects)
    return tally.settle(), tuple(_csv_notes(chosen, rejected))


def _csv_notes(chosen: MeasuredColumns, rejected: int) -> Iterator[str]:
    if rejected:
        verb = "is" if rejected == 1 else "are"
        yield f"{count_noun(rejected, 'record')} of the file cannot be read and {verb} not measured"
    if chosen.sensitive:
        yield "a CSV file has texts: ordered_t takes them in alphabetical order, also numbers"


def _parquet_batches(path: Path, names: Sequence[str]) -> Batches:
    failure: BaseException | None = None
    try:
        with pq.ParquetFile(path, read_dictionary=_text_columns(path, names)) as file:
            for group in range(file.num_row_groups):
                yield from file.iter_batches(1 << 18, row_groups=[group], columns=list(names))
    except (pa.ArrowException, OSError) as error:
        failure = error
    if failure is not None:
        raise read_error(path.name, failure)


def _text_columns(path: Path, names: Sequence[str]) -> list[str]:
    schema = pq.read_schema(path)
    return [name for name in names if pa.types.is_string(schema.field(name).type)]
