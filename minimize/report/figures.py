"""Figures of a report: rows, collection, retention and runs as bars, each with a title, a unit and a sentence.

Positions and widths are percentages, so that a figure fits any width. Colours are roles that the style sheet defines.

Figures of a table of aggregates in a report, as published, with the standard deviation of their noise.

They are shown for tables that the caller names: everything else in a report is rounded, and these figures are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from math import ceil, floor, log10
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

from minimize.aggregates.definition import AggregateDefinition, BoundMeasure
from minimize.arrow.dictionaries import Doubles
from minimize.datasets.published_output import OutputFile
from minimize.datasets.reader import load_receipts, read_output
from minimize.datasets.writing_run import WritingRun
from minimize.errors import ConfigurationError, OutputError
from minimize.plan import request
from minimize.plan.aggregates import define_aggregate
from minimize.plan.bind import examine
from minimize.plan.model import Category, category_named
from minimize.receipts import Receipt
from minimize.records import RECORDS
from minimize.report.context import ReportContext
from minimize.report.facts import (
    CollectionFacts,
    MeasureFacts,
    ReportFacts,
    RetentionFacts,
    RiskFacts,
    RoundedCount,
    RowFlow,
    RunFacts,
    TableFacts,
)
from minimize.sources import declared_schema
from minimize.stores import LocationLike, parse_output_location
from minimize.text import brief_number, count_noun, did_you_mean, percent_text
from minimize.times import day_start, minute_text

BarRole = Literal["written", "gated", "quarantined", "suppressed", "deduplicated", "accent", "empty"]
OUTCOMES: Final[tuple[BarRole, ...]] = ("written", "gated", "quarantined", "suppressed", "deduplicated")
"""The outcomes of a row, each with its own colour."""
MOST_DATES: Final = 31
MOST_RUNS: Final = 31
MOST_TABLE_ROWS: Final = 40


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a row: its start and its width in percent, and its colour."""

    start: float
    width: float
    role: BarRole
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Mark:
    """The place of a figure, and the start and the width of its error bar, in percent. A bar without width is left out."""

    at: float
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class BarRow:
    """A row of a figure: label, bars or a mark, number, and a note below."""

    label: str
    figure: str
    bars: tuple[Bar, ...] = ()
    note: str = ""
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure."""

    title: str
    unit: str
    sentence: str
    rows: tuple[BarRow, ...]
    marker: float | None = None
    """The position of a vertical line in percent."""
    axis: tuple[str, ...] = ()
    """The labels below, from left to right."""
    legend: tuple[str, ...] = ()
    rest: str = ""
    """The line below that says which rows are left out."""


def draw_figures(facts: ReportFacts) -> dict[str, Figure | None]:
    """The figures by name; None if there is nothing to show."""
    return {
        "flow": flow_figure(facts.flow),
        "sizes": None if facts.risk is None else sizes_figure(facts.risk),
        "attributes": None if facts.risk is None else attributes_figure(facts.risk),
        "collection": None if facts.collection is None else collection_figure(facts.collection),
        "keeping": retention_figure(facts.retention, facts.at),
        "runs": runs_figure(facts.runs),
    }


def flow_figure(flow: RowFlow) -> Figure | None:
    """The outcomes of the rows read, each bar from the end of the one before it; None if no rows were read."""
    if not flow.read or flow.read.hidden:
        return None
    counts = {name: count for name, count in flow.parts.items() if count}
    numbers = {name: f"{count}{_share_text(count, flow)}" for name, count in counts.items()}
    said = ", ".join(f"{count} {name}{_share_text(count, flow)}" for name, count in counts.items())
    rows = (BarRow(bar.role, numbers[bar.role], (bar,), _reasons_text(flow, bar.role)) for bar in _stacked(counts))
    return Figure("Outcomes of the rows read", "rows", f"{flow.read} rows were read: {said}.", tuple(rows))


def sizes_figure(risk: RiskFacts) -> Figure | None:
    """The persons by how many share their rarest combination, in doublings; None without records."""
    most = max((each.persons.value for each in risk.sizes), default=0)
    if not most or risk.k is None:
        return None
    fields, share = risk.known_fields, percent_text(risk.unique_persons.share(risk.persons))
    if risk.unique_persons:
        unique = f"{risk.unique_persons} of {risk.persons} persons{f' ({share})' if share else ''} are unique"
        sentence = f"{unique}: no other person has their values of {fields}."
    else:
        sentence = f"No person is unique: each shares their values of {fields} with {risk.k - 1} others or more."
    return Figure(
        "How many persons share the same values",
        "persons",
        f"{sentence} Each bar counts persons by how many share their rarest values: the further down, the better protected.",
        tuple(
            BarRow(
                "unique" if each.shared_by == "1" else f"shared by {each.shared_by}",
                f"{each.persons} persons",
                (Bar(0, 100 * (each.persons.value or 1) / most, "quarantined" if each.shared_by == "1" else "accent"),)
                if each.persons
                else (),
            )
            for each in risk.sizes
        ),
    )


MOST_ATTRIBUTES: Final = 20
"""The fields of which a figure shows the contribution, at most."""


def attributes_figure(risk: RiskFacts) -> Figure | None:
    """The unique persons with all fields, and without each; None if no person is unique."""
    most = max((each.value for each in (risk.unique_persons, *risk.unique_without.values())), default=0)
    if not most or len(risk.unique_without) < 2:
        return None
    ordered = sorted(risk.unique_without.items(), key=lambda item: (item[1].value, item[0]))
    name, count = ordered[0]
    shown, further = ordered[:MOST_ATTRIBUTES], ordered[MOST_ATTRIBUTES:]
    rows = [("with all fields", risk.unique_persons), *((f"without {key}", rest) for key, rest in shown)]
    return Figure(
        "Which field makes persons unique",
        "unique persons",
        f"Each row leaves one field out. The shorter the bar, the more the field contributes: without {name}, {count} "
        "persons stay unique.",
        tuple(
            BarRow(
                label,
                f"{number} unique",
                (Bar(0, 100 * (number.value or 1) / most, "accent" if place else "quarantined"),) if number else (),
            )
            for place, (label, number) in enumerate(rows)
        ),
        rest=f"{count_noun(len(further), 'further field')} with a smaller contribution" if further else "",
    )


def collection_figure(collection: CollectionFacts) -> Figure:
    """The share of tenants that have turned each feature and level on, over time."""
    now = ", ".join(f"{name} {numbers[-1]}" for name, numbers in collection.on.items())
    cell = 100 / len(collection.moments)
    middle = collection.moments[len(collection.moments) // 2]
    return Figure(
        "Tenants that have turned a feature on, over time",
        "tenants",
        f"Turned on now, of {count_noun(collection.tenants, 'tenant')}: {now}. The stronger the colour, the more tenants.",
        tuple(
            BarRow(
                name,
                f"{numbers[-1]:,} of {collection.tenants:,}",
                (
                    Bar(0, 100, "empty", 0.4),
                    *(
                        Bar(cell * place, cell * 0.92, "accent", 0.2 + 0.8 * number / collection.tenants)
                        for place, number in enumerate(numbers)
                        if number
                    ),
                ),
            )
            for name, numbers in collection.on.items()
        ),
        axis=(f"{collection.moments[0]:%Y-%m-%d}", f"{middle:%Y-%m-%d}", "now"),
    )


def retention_figure(retention: RetentionFacts, at: datetime) -> Figure | None:
    """The dates that are removed first, from their start to their removal; None if no date has a limit."""
    ending = [(each, each.gone_by) for each in retention.partitions if each.gone_by is not None]
    if not ending:
        return None
    shown = ending[:MOST_DATES]
    first, last = day_start(shown[0][0].date), max(at, *(gone_by for _, gone_by in shown))
    roles: Mapping[str, BarRole] = {"kept": "written", "soon": "gated", "overdue": "quarantined"}
    states = ", ".join(f"{sum(each.state == state for each, _ in ending)} {state}" for state in roles)

    def position(when: datetime) -> float:
        return 100 * (when - first) / (last - first)

    return Figure(
        "Removal dates",
        "time from the batch date to its removal; the dashed line is now",
        f"Of {count_noun(len(ending), 'date')}: {states}. The first must be removed by {shown[0][1]:%Y-%m-%d}."
        + _left_out(len(ending) - MOST_DATES, "later dates are left out"),
        tuple(
            BarRow(
                partition.date,
                f"{gone_by:%Y-%m-%d}" + ("" if partition.state == "kept" else f" {partition.state}"),
                (
                    Bar(
                        position(day_start(partition.date)),
                        position(gone_by) - position(day_start(partition.date)),
                        roles.get(partition.state, "written"),
                    ),
                ),
            )
            for partition, gone_by in shown
        ),
        marker=position(at),
    )


def runs_figure(runs: Sequence[RunFacts]) -> Figure | None:
    """The rows of the last runs, by outcome; None if no run read rows."""
    shown = runs[-MOST_RUNS:]
    most = max((each.flow.read.value for each in shown), default=0)
    if not most:
        return None
    return Figure(
        "Rows of each run",
        "rows",
        f"{count_noun(len(shown), 'run')}; the first read {shown[0].flow.read} rows, the last {shown[-1].flow.read}."
        f" A later run replaced the pale ones.{_left_out(len(runs) - MOST_RUNS, 'earlier runs are left out')}",
        tuple(
            BarRow(
                run.dates[-1] if run.dates else f"{run.at:%Y-%m-%d}",
                str(run.flow.read),
                tuple(_stacked(run.flow.parts, most, 1.0 if run.in_force else 0.4)),
            )
            for run in shown
        ),
        legend=tuple(name for name in OUTCOMES if any(each.flow.parts[name].value for each in shown)),
    )


def table_figures(table: TableFacts) -> Iterator[Figure]:
    """One figure for each measure of a table: the largest figures first, each with ± 1 standard deviation of its noise."""
    for measure in table.measures:
        shown = [(figure, place) for place, figure in enumerate(measure.figures) if figure is not None]
        drawn = sorted(shown, key=lambda row: (-row[0], table.rows[row[1]]))[:MOST_TABLE_ROWS]
        if not drawn:
            continue
        sizes = measure.deviations or (0.0,) * len(table.rows)
        low, high = _scale([(figure - sizes[place], figure + sizes[place]) for figure, place in drawn])
        percent = 100 / (high - low)
        rows = (
            BarRow(
                table.rows[place],
                _figure_text(figure, measure, place),
                mark=Mark(
                    percent * (figure - low), percent * (figure - sizes[place] - low), percent * 2 * sizes[place]
                ),
            )
            for figure, place in drawn
        )
        absent = _left_out(len(table.rows) - len(shown), "rows have no figure, because too few subjects have a value")
        omission = (
            f"Only the {len(drawn)} largest of {len(shown)} figures are drawn. The JSON form of the report has all."
        )
        yield Figure(
            measure.name,
            measure.phrase,
            f"{_errors_sentence(table, measure)}{absent}",
            tuple(rows),
            axis=tuple(_number_text(each) for each in (low, (low + high) / 2, high)),
            rest=omission if len(drawn) < len(shown) else "",
        )


def _scale(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The ends of an axis, as round numbers. It starts at 0 unless all values are far from it."""
    low, high = min(start for start, _ in ranges), max(end for _, end in ranges)
    low, high = (0.0, high) if 0 <= low < high / 2 else (low, high)
    if low == high:
        return low - 1, high + 1
    step = 10 ** floor(log10((high - low) / 4))
    return floor(low / step) * step, ceil(high / step) * step


def _errors_sentence(table: TableFacts, measure: MeasureFacts) -> str:
    if table.is_exact:
        return "The figures are exact, so that they have no error bars."
    if measure.deviations is None:
        return f"There are no error bars. {measure.note}"
    level = "about two of three exact figures are within the bar, and 19 of 20 within a bar of twice the length"
    return f"The bar is the figure ± 1 standard deviation (sd) of its noise: {level}. {measure.note}".rstrip()


def _figure_text(figure: float, measure: MeasureFacts, place: int) -> str:
    if measure.deviations is None:
        return _number_text(figure)
    return f"{_number_text(figure)} ± {brief_number(measure.deviations[place])}"


def _number_text(number: float) -> str:
    """A number with at most six significant digits, and all digits of a whole one."""
    return f"{number:,.0f}" if number == round(number) else f"{number:,.6g}"


def _stacked(parts: Mapping[str, RoundedCount], whole: int = 0, opacity: float = 1.0) -> Iterator[Bar]:
    """Bars that follow each other, in percent of the whole, or of their sum."""
    sizes: dict[BarRole, float] = {name: parts[name].value or 1.0 for name in OUTCOMES if parts.get(name)}
    total = sum(sizes.values())
    scale, start = 100 / (whole or total), 0.0
    for name, size in sizes.items():
        yield Bar(start, scale * size, name, opacity)
        start += scale * size


def _left_out(number: int, words: str) -> str:
    return f" {number} {words}." if number > 0 else ""


def _share_text(count: RoundedCount, flow: RowFlow) -> str:
    share = percent_text(count.share(flow.read))
    return f" ({share})" if share else ""


def _reasons_text(flow: RowFlow, name: str) -> str:
    """The most frequent reasons of an outcome."""
    reasons = {"gated": flow.gated, "quarantined": flow.quarantined}.get(name, {})
    words = [reason.replace("_", " ") for reason in sorted(reasons, key=lambda reason: -reasons[reason].value)]
    if words:
        return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")
    return {"suppressed": "groups or combinations that are too small", "deduplicated": "duplicates"}.get(name, "")


def table_datasets(output: LocationLike, names: Sequence[str]) -> list[tuple[str, Category]]:
    """Tables of an output as datasets, each with its category, to check the permission to read them.

    Raises OutputError if there are no receipts, ConfigurationError if the output has no table of a name.
    """
    chain = load_receipts(parse_output_location(output)) if names else ()
    return [(f"{chain[-1].pipeline}/{name}", _table_category(chain, name)) for name in names]


def _table_category(chain: Sequence[Receipt], name: str) -> Category:
    last = {name: written for receipt in chain for name, written in receipt.outputs.items()}
    tables = sorted(last.keys() - {RECORDS})
    if name in tables:
        return category_named(last[name].category)
    raise ConfigurationError(f"the output has no table `{name}` of aggregates", hint=did_you_mean(name, tables))


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
