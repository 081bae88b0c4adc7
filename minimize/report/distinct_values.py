"""Distinct values per field: in the records in force, and in the source if it is unchanged. Only the counts are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.datasets.pipelines import origin_place
from minimize.datasets.published_output import OutputFile
from minimize.errors import KeyringError, OutputError, SourceError
from minimize.plan import request
from minimize.plan.request import can_leave
from minimize.policy.pipeline import Pipeline
from minimize.report.context import ReportContext
from minimize.report.facts import RoundedCount
from minimize.runs.batch_dates import BatchDate, compare_files, last_inputs
from minimize.runs.inputs import find_input_files, path_mask
from minimize.sources import FORMATS
from minimize.sources.base import Source
from minimize.sources.files import batch_parts

MOST_DISTINCT: Final = 1_000_000
"""Counting stops above this number of distinct values."""
ROWS_COMPARED: Final = 1 << 17
"""Values of small batches are collected up to this number of rows."""
NO_KEY: Final = "files are encrypted, and the key is not available"
_CONTAINERS_REASON: Final = "lists and maps are not compared"
DAMAGED: Final = "files are missing or damaged"


@dataclass
class DistinctCounter:
    """The distinct values of one field in the files read so far. `reason`: why they cannot be counted.

    Values of small batches are compared together, because each comparison of a batch has a fixed cost.
    """

    pointer: Pointer
    batches: list[pa.Array] = field(default_factory=list, repr=False)
    rows: int = 0
    values: list[pa.Array] = field(default_factory=list, repr=False)
    size: int = 0
    reason: str = ""
    full: bool = False

    def observe(self, batch: pa.RecordBatch) -> None:
        """Add the values of a batch. Null does not count."""
        if self.reason or self.full or self.pointer.top not in batch.schema.names:
            return
        values = _comparable_values(batch, self.pointer)
        if values is None:
            self.reason = _CONTAINERS_REASON
            return
        self.batches.append(decode_dictionary(values))
        self.rows += len(values)
        if self.rows >= ROWS_COMPARED:
            self._compare()

    def count(self) -> tuple[RoundedCount | None, str]:
        """The number and how it was counted, or None and the reason."""
        if self.reason:
            return None, self.reason
        self._compare()
        self._settle()
        return RoundedCount.rounded(
            self.size
        ), f"more than {MOST_DISTINCT:,}: counting stopped" if self.full else "counted"

    def _compare(self) -> None:
        values, self.batches, self.rows = _unique(self.batches), [], 0
        self.values += values
        self.size += sum(map(len, values))
        if self.size > MOST_DISTINCT:
            self._settle()
            self.full = self.size > MOST_DISTINCT

    def _settle(self) -> None:
        self.values = _unique(self.values)
        self.size = sum(map(len, self.values))


def _unique(arrays: list[pa.Array]) -> list[pa.Array]:
    """The distinct values of each type. A column has another type in files of another policy."""
    by_type: dict[pa.DataType, list[pa.Array]] = {}
    for each in arrays:
        by_type.setdefault(each.type, []).append(each)
    return [pa.chunked_array(same).unique().drop_null() for same in by_type.values()]


TalliesByColumn = dict[str, list[DistinctCounter]]
"""The tallies of each top-level column."""


def tally_records(files: Iterable[OutputFile], keys: Iterable[str]) -> dict[str, DistinctCounter]:
    """The tally of each field over all files, with the reason if its column cannot be read."""
    tallies = {key: DistinctCounter(Pointer.parse(key)) for key in keys}
    for file in files:
        columns = _tallies_by_column(tallies)
        for names in file.readable_columns(columns):
            _tally_file(file, {name: columns[name] for name in names})
    return tallies


def _tally_file(file: OutputFile, columns: TalliesByColumn) -> None:
    try:
        for batch in file.open_columns(columns).batches(columns=columns):
            for tally in chain.from_iterable(columns.values()):
                tally.observe(batch)
        file.read_footer()  # retention needs it
        return
    except KeyringError:
        why = NO_KEY
    except OutputError:
        why = DAMAGED
    for tally in chain.from_iterable(columns.values()):
        tally.reason = why


def _tallies_by_column(tallies: Mapping[str, DistinctCounter]) -> TalliesByColumn:
    found: TalliesByColumn = {}
    for tally in tallies.values():
        if not tally.reason and not tally.full:
            found.setdefault(tally.pointer.top, []).append(tally)
    return found


def _comparable_values(batch: pa.RecordBatch, pointer: Pointer) -> pa.Array | None:
    """The values in a comparable form. A struct of plain values becomes text."""
    try:
        values = leaf(batch, pointer).values
    except KeyError:
        return pa.nulls(0, pa.string())
    if pa.types.is_struct(values.type):
        return _struct_text(values)
    return None if pa.types.is_nested(values.type) else values


def _struct_text(values: pa.StructArray) -> pa.Array | None:
    parts = values.flatten()
    if any(pa.types.is_nested(part.type) for part in parts):
        return None
    return pc.binary_join_element_wise(*(part.cast(pa.string()) for part in parts), "\x1f")


def tally_source(context: ReportContext, keys: Collection[str]) -> dict[str, DistinctCounter]:
    """The tally of each field in the source, over all readable records including gated ones. No record is kept.

    Raises ConfigurationError if the pipeline is not known, SourceError if a file differs from its receipt.
    """
    job = context.pipeline
    if job is None:
        raise SourceError(
            "the source is not known, because the pipeline was not found", hint="Pass --pipeline PIPELINE."
        )
    known = [key for key in keys if _is_read_today(job, key)]
    tallies = {key: DistinctCounter(Pointer.parse(key)) for key in known}
    for source in list(_sources_by_date(context, job)):  # check all files before reading one
        for part in source.only(known).parts:
            for chunk in part.read():
                for tally in tallies.values():
                    tally.observe(chunk.records)
    return tallies


def _is_read_today(job: Pipeline, key: str) -> bool:
    """Whether the current policy reads a field from the source and releases it in some form."""
    field = job.policy.fields.get(key)
    return field is not None and not field.from_ and can_leave(field, job.purpose)


def _sources_by_date(context: ReportContext, job: Pipeline) -> Iterator[Source]:
    """The source of each batch date, as its last run read it."""
    for day, before in last_inputs(context.chain, path_mask(job, context.keys)).items():
        if before:
            yield _bind_source(context, job, day, before)


def _bind_source(context: ReportContext, job: Pipeline, day: BatchDate, before: Mapping[str, str]) -> Source:
    origin, shown = context.newest.origin, path_mask(job, context.keys)
    found = find_input_files(job, None if origin is None else origin_place(context.output, origin.input), day)
    parts = batch_parts(found, day, shown)
    if compare_files(parts, before).state != "same":
        raise SourceError("the source differs from the receipts")
    return FORMATS[job.source.format].bind(parts, request(job.policy, job.purpose, job))
