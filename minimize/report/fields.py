"""Fields of a report: treatments in plain words, and the facts of each field.

Distinct values per field: in the records in force, and in the source if it is unchanged. Only the counts are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from minimize.plan.model import least_revealing, most_revealing, step_residual
from minimize.plan.request import can_leave
from minimize.policy.describe import gate_texts
from minimize.policy.fields import treatments_of
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.plain_words import REPORT_WORDS
from minimize.policy.treatments import Treatment
from minimize.receipts import FieldReceipt, Receipt
from minimize.records import RECORDS
from minimize.report.context import ReportContext, current_runs, sum_counts
from minimize.report.facts import FieldFacts, RoundedCount
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
    for array in arrays:
        by_type.setdefault(array.type, []).append(array)
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
    tallies_by_column: TalliesByColumn = {}
    for tally in tallies.values():
        if not tally.reason and not tally.full:
            tallies_by_column.setdefault(tally.pointer.top, []).append(tally)
    return tallies_by_column


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
    source_files = find_input_files(job, None if origin is None else origin_place(context.output, origin.input), day)
    parts = batch_parts(source_files, day, shown)
    if compare_files(parts, before).state != "same":
        raise SourceError("the source differs from the receipts")
    return FORMATS[job.source.format].bind(parts, request(job.policy, job.purpose, job))


def is_one_to_one(do: Treatment) -> bool:
    """Whether this form keeps different values different, so that the number of distinct values does not change."""
    return not isinstance(do, str) and all(step.is_one_to_one for step in do)


DROPPED: Final = "dropped"
UNCHANGED: Final = "unchanged"


_LOSS_REASONS: Final = {"gated": "not collected", "dropped": "dropped by a case", "unparsable": "could not be treated"}
_NOT_COUNTED: Final = "not recorded in receipts"


def field_facts(context: ReportContext) -> tuple[FieldFacts, ...]:
    """The fields of the last run's policy. Raises PolicyError, OutputError if it cannot be read."""
    newest = context.newest
    policy = context.policy_of(newest)
    counts = [each.fields for each in current_runs(context.chain) if not each.rows.is_sealed]
    kept = [key for key in newest.fields if RECORDS in newest.outputs_of(key) and key in policy.fields]
    tallies = tally_records(context.published.files(RECORDS), kept)
    for why, keys in _unreadable_fields(tallies).items():
        context.hide(f"distinct values of {len(keys)} fields", why)
    return tuple(_facts_by_field(policy, newest, counts, tallies, _source_tallies(context, kept)))


def _source_tallies(context: ReportContext, keys: Sequence[str]) -> Mapping[str, DistinctCounter]:
    """Distinct values of the source, if requested and the source is unchanged."""
    if not context.request.source:
        return {}
    return context.attempt("distinct values in the source", lambda: tally_source(context, keys)) or {}


def _unreadable_fields(tallies: Mapping[str, DistinctCounter]) -> dict[str, list[str]]:
    """The fields that could not be read, by reason."""
    keys_by_reason: dict[str, list[str]] = {}
    for key, tally in tallies.items():
        if tally.reason in (NO_KEY, DAMAGED):
            keys_by_reason.setdefault(tally.reason, []).append(key)
    return keys_by_reason


def undeclared_counts(receipts: Sequence[Receipt]) -> dict[str, RoundedCount]:
    """Counts of undeclared fields, by name or masked name."""
    counts_by_run = [
        {name: RoundedCount.rounded(number) for name, number in receipt.undeclared.items()}
        for receipt in current_runs(receipts)
    ]
    return sum_counts(counts_by_run)


def _facts_by_field(
    policy: Policy,
    newest: Receipt,
    receipts: Sequence[Mapping[str, FieldReceipt]],
    tallies: Mapping[str, DistinctCounter],
    came: Mapping[str, DistinctCounter],
) -> Iterator[FieldFacts]:
    for key, policy_field in policy.fields.items():
        field_receipts = [each[key] for each in receipts if key in each]
        outputs = newest.outputs_of(key) if key in newest.fields else ()
        if key in tallies:
            facts = _kept_field(policy_field, field_receipts, tallies[key], came.get(key), outputs)
            yield replace(facts, residual="original" if facts.is_unchanged else _residual(policy, policy_field))
        elif outputs:
            yield _counted_field(policy_field, outputs)
        else:
            yield _dropped_field(policy_field, newest.purpose)


def _residual(policy: Policy, declared: Field) -> str:
    """The residual of a value in the most revealing form of its cases."""
    roles = [declared.role, *(policy.fields[key].role for key in declared.from_ if key in policy.fields)]
    branches = [
        least_revealing(step_residual(step, roles) for step in do)
        for do in treatments_of(declared)
        if not isinstance(do, str)
    ]
    return most_revealing(branches)


def _counted_field(field: Field, outputs: tuple[str, ...]) -> FieldFacts:
    """A field that is only in statistics. How many values a table counts is part of its figures, so it is not shown."""
    form = REPORT_WORDS.treatment(field.in_aggregates) if field.in_aggregates else REPORT_WORDS.form(field)
    return replace(
        _dropped_field(field, ""),
        form=f"only in statistics ({', '.join(outputs)}): {form}",
        leaves="statistics",
        outputs=outputs,
        conditions=tuple(gate_texts(field)),
        after_how="only in statistics",
    )


def _kept_field(
    field: Field,
    receipts: Sequence[FieldReceipt],
    distinct: DistinctCounter,
    came: DistinctCounter | None,
    outputs: tuple[str, ...],
) -> FieldFacts:
    counted = [each for each in receipts if each.values is not None]
    fates = sum_counts(
        {words: RoundedCount.rounded(getattr(receipt, name) or 0) for name, words in _LOSS_REASONS.items()}
        for receipt in counted
    )
    changed = RoundedCount.total(RoundedCount.rounded(each.changed or 0) for each in counted)
    same = RoundedCount.total(RoundedCount.rounded(_unchanged_values(each)) for each in counted)
    filled = [each for each in counted if each.values]
    has_changed_none = bool(filled) and all(each.is_unchanged for each in filled)
    form = REPORT_WORDS.form(field)
    after, after_how = distinct.count()
    before, before_how = _distinct_before(field, after) if came is None else came.count()
    return FieldFacts(
        key=field.key,
        type=field.type,
        role=field.role,
        form=f"{UNCHANGED}: {form}" if has_changed_none else form,
        is_unchanged=has_changed_none or _is_kept_unchanged(field),
        leaves="present",
        outputs=outputs,
        conditions=tuple(gate_texts(field)),
        values=RoundedCount.total([same, changed, *fates.values()]) if counted else None,
        changed=changed if counted else None,
        dropped={words: count for words, count in fates.items() if count},
        before=before,
        before_how=before_how,
        after=after,
        after_how=after_how,
    )


def _is_kept_unchanged(field: Field) -> bool:
    """Whether the policy releases the values of a kept field as they are."""
    return not (field.cases or isinstance(field.do, str)) and all(step.changes_nothing for step in field.do)


def _dropped_field(field: Field, purpose: str) -> FieldFacts:
    is_for_other_purposes = bool(field.purposes) and purpose not in field.purposes
    form = f"{DROPPED}, only for {', '.join(field.purposes)}" if is_for_other_purposes else DROPPED
    return FieldFacts(
        key=field.key,
        type=field.type,
        role=field.role,
        form=form,
        leaves="absent",
        conditions=(),
        values=None,
        changed=None,
        dropped={},
        before=None,
        before_how=_NOT_COUNTED,
        after=None,
        after_how="",
    )


def _unchanged_values(receipt: FieldReceipt) -> int:
    others = (receipt.changed, receipt.gated, receipt.unparsable, receipt.dropped)
    return max(0, (receipt.values or 0) - sum(count or 0 for count in others))


def _distinct_before(field: Field, after: RoundedCount | None) -> tuple[RoundedCount | None, str]:
    """Distinct values in the source: known if the form keeps different values different, else not counted."""
    if field.cases or after is None or not is_one_to_one(field.do):
        return None, _NOT_COUNTED
    return after, "as many as in the output: different values stay different"
