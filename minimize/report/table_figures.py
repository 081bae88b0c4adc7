"""Figures of a table of aggregates in a report, as published, with the standard deviation of their noise.

They are shown for tables that the caller names: everything else in a report is rounded, and these figures are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Any, Final

import numpy as np
import pyarrow as pa

from minimize.aggregates.definition import AggregateDefinition, BoundMeasure
from minimize.arrow.dictionaries import Doubles
from minimize.datasets.published_output import OutputFile
from minimize.datasets.writing_run import WritingRun
from minimize.errors import ConfigurationError, OutputError
from minimize.output.reader import load_receipts, read_output
from minimize.plan import request
from minimize.plan.aggregates import define_aggregate
from minimize.plan.bind import examine
from minimize.plan.category import category_named
from minimize.plan.model import Category
from minimize.receipts import Receipt
from minimize.records import RECORDS
from minimize.report.context import ReportContext
from minimize.report.facts import MeasureFacts, TableFacts
from minimize.sources import declared_schema
from minimize.stores import LocationLike, parse_output_location
from minimize.times import minute_text


def table_datasets(output: LocationLike, names: Sequence[str]) -> list[tuple[str, Category]]:
    """Tables of an output as datasets, each with its category, to check the permission to read them.

    Raises OutputError if there are no receipts, ConfigurationError if the output has no table of a name.
    """
    chain = load_receipts(parse_output_location(output)) if names else ()
    return [(f"{chain[-1].pipeline}/{name}", _table_category(chain, name)) for name in names]


def _table_category(chain: Sequence[Receipt], name: str) -> Category:
    last = {each: written for receipt in chain for each, written in receipt.outputs.items()}
    tables = sorted(last.keys() - {RECORDS})
    if name in tables:
        return category_named(last[name].category)
    close = get_close_matches(name, tables, 1)
    hint = f"Did you mean {close[0]}?" if close else f"Choose one of: {', '.join(tables) or 'none'}."
    raise ConfigurationError(f"the output has no table {name} of aggregates", hint=hint)


def table_facts(context: ReportContext, name: str) -> TableFacts:
    """The figures of a table on its newest date. Raises ConfigurationError, OutputError, KeyringError."""
    _table_category(context.chain, name)
    files = context.published.files(name)
    if not files:
        raise OutputError(f"{name} has no rows in force", hint="Run the pipeline for a date within the retention.")
    newest = max(files, key=lambda file: file.date or "")
    definition = _written_definition(newest, name)
    table = read_output(context.output, name, newest.date, kms=context.published.kms)
    keys = [key for key in definition.keys if key in table.column_names]
    differing = [key for key in keys if len(table[key].unique()) > 1] or keys
    measures = {label: each for label, each in definition.measures.items() if label in table.column_names}
    drawn = {label: each for label, each in measures.items() if _is_number(table.schema.field(label).type)}
    return TableFacts(
        name=name,
        date=newest.date,
        rows=tuple(
            ", ".join(map(_label_text, row)) for row in zip(*(table[key].to_pylist() for key in differing), strict=True)
        ),
        same=tuple(f"{key} {_label_text(table[key][0].as_py())}" for key in keys if key not in differing),
        measures=tuple(_measure_facts(definition, label, each, table) for label, each in drawn.items()),
        undrawn=tuple(label for label in measures if label not in drawn),
        is_exact=definition.noise is None,
    )


def _written_definition(file: OutputFile, name: str) -> AggregateDefinition:
    """The definition under which a table was written, exact if its receipt states no noise."""
    run: WritingRun = file.written_by
    job = run.loaded_pipeline
    source = declared_schema(request(job.policy, job.purpose, job))
    fields = examine(job.policy, source, purpose=job.purpose, pipeline=job).plan.fields
    noise = run.receipt.outputs[name].noise
    return define_aggregate(job, name, fields).with_noise(None if noise is None else noise.sd)


def _measure_facts(
    definition: AggregateDefinition, label: str, measured: BoundMeasure, table: pa.Table
) -> MeasureFacts:
    figures = _doubles(table[label])
    size = definition.stated_noise(measured)
    numbers = None if definition.subject_count not in table.column_names else _doubles(table[definition.subject_count])
    deviations, note = None, ""
    if size is not None and definition.noise is not None:
        least = np.full(len(figures), float(definition.below + definition.noise.margin))
        deviations = size.of_rows(least if numbers is None else numbers, np.nan_to_num(figures, nan=size.middle))
        if size.divided_by:
            note = _ASSUMES_LEAST if numbers is None else _ASSUMES_VALUES
    elif definition.noise is not None:
        noise = measured.measure.noise_text(float(definition.noise.total_sd), definition.limits, measured.bounds)
        note = f"The noise is not in the unit of the figures: its standard deviation is {noise}."
    return MeasureFacts(
        name=label,
        phrase=measured.measure.phrase,
        figures=tuple(None if np.isnan(each) else float(each) for each in figures),
        deviations=None if deviations is None else tuple(map(float, deviations)),
        note=note,
    )


_ASSUMES_LEAST: Final = (
    "The table has no number of subjects, so that the bars are those of the smallest rows that are shown: upper limits."
)
_ASSUMES_VALUES: Final = (
    "The bars are computed as if each subject of a row had one value: if fewer have one, they are longer; if subjects have"
    " several, they are shorter."
)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _doubles(column: pa.ChunkedArray) -> Doubles:
    """The figures as doubles, NaN for null."""
    return np.array([np.nan if value is None else float(value) for value in column.to_pylist()])


def _label_text(value: Any) -> str:
    if isinstance(value, datetime):
        text = value.isoformat(" ", "minutes") if value.tzinfo is None else minute_text(value)
        return text.split(" ", maxsplit=1)[0] if value.time() == time.min else text
    if isinstance(value, date):
        return value.isoformat()
    return "no value" if value is None else str(value)


def tables_of(context: ReportContext) -> Iterator[TableFacts]:
    """The tables that the report was asked for."""
    yield from (table_facts(context, name) for name in dict.fromkeys(context.request.tables))
