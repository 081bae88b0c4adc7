"""Checks of aggregates: columns and values against their definition, no small group, noise, retention.

Checks of roll-ups: each equals the sums over the rows that its table shows. Needs no records.

Written from the definition of roll-ups, without the code that makes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from math import isfinite, isnan
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.verification.evidence import QUARANTINE, Evidence, EvidenceFile, EvidenceRun, new_finding
from minimize.verification.files import open_file
from minimize.verification.noise import (
    MeanGrid,
    NoiseView,
    NoisyTable,
    check_equal_rows,
    check_releases,
    check_terms,
    measure_text,
    read_noise,
    share_limits,
)
from minimize.verification.policy_reading import FieldView, PolicyView, with_rollups
from minimize.verification.records import RECORDS
from minimize.verification.rules import (
    ColumnContext,
    RuleUnavailable,
    StepView,
    ValueRule,
    chain_rule,
    output_family,
    techniques_without_rule,
    type_family,
)
from minimize.verification.rules.numeric import unit_starts
from minimize.verification.values import count_past_groups, distinct_rows, end_of_date, leaf_values, to_nanoseconds


@dataclass(frozen=True, slots=True)
class ExactTable:
    """One table of exact statistics in force: its partition, the table that it rolls up, its groups and its measures."""

    root: str
    name: str
    date: str | None
    rolls_up: str | None
    groups: Sequence[str]
    measures: Sequence[str]
    table: pa.Table

    def sums(self, groups: Sequence[str], measures: Sequence[str]) -> dict[tuple[Any, ...], list[Any]]:
        """The sums of statistics by some of the groups, in the types of their columns."""
        keys = zip(*(self.table[group].to_pylist() for group in groups), strict=True)
        rows: dict[tuple[Any, ...], list[int]] = {}
        for place, key in enumerate(keys if groups else [()] * self.table.num_rows):
            rows.setdefault(key, []).append(place)
        columns = [(self.table[each].to_pylist(), self.table.schema.field(each).type) for each in measures]
        return {
            key: [_sum([column[at] for at in positions], type_) for column, type_ in columns]
            for key, positions in rows.items()
        }


def check_rollups(tables: Sequence[ExactTable]) -> Iterator[Finding]:
    """V056: a roll-up that differs from the sums over the rows of its table in force."""
    known = {(each.name, each.date): each for each in tables}
    for rollup in tables:
        base = known.get((rollup.rolls_up or "", rollup.date))
        if base is None:
            continue
        expected, actual = (each.sums(rollup.groups, rollup.measures) for each in (base, rollup))
        wrong = sum(expected.get(key) != actual.get(key) for key in expected.keys() | actual.keys())
        if wrong:
            message = f"{wrong} rows are not the sums over the rows of {base.root}"
            yield new_finding("V056", message, file=rollup.root)


def _sum(figures: Sequence[Any], type_: pa.DataType) -> Any:
    """The exact sum of the statistics that are shown, rounded once; None if none is, or if it does not fit the type."""
    shown = [figure for figure in figures if figure is not None]
    if not shown:
        return None
    if pa.types.is_floating(type_):
        total = float(sum(map(Fraction, shown))) if all(map(isfinite, shown)) else sum(shown)
        return "NaN" if isnan(total) else total
    total = sum(map(Fraction, shown))
    if pa.types.is_decimal(type_):
        return None if abs(total) >= Fraction(Decimal(10) ** (type_.precision - type_.scale)) else total
    return total if -(2**63) <= total < 2**63 else None


Bounds = tuple[Any, Any]
"""The lowest and the highest value; None for no bound."""
_NO_BOUNDS: Final = (None, None)
ComparedTables = tuple[list[NoisyTable], list[ExactTable]]
"""The tables in force with noise, and those with exact statistics."""


@dataclass(frozen=True, slots=True)
class MeasureRule:
    """What the column of a measure must obey."""

    counts: Literal["rows", "values"] | None = None
    """What it counts, alone or in histograms: rows, or values of its field, which may be few; None if it counts nothing."""
    bounds: Callable[[FieldView | None], Bounds] = lambda view: _NO_BOUNDS
    """Takes its field as the policy treats it, and returns the bounds of its statistics."""


def _clip_bounds(view: FieldView | None) -> Bounds:
    """The bounds that `clip` sets for a field's form in aggregates."""
    chain = _aggregate_chain(view)
    last = chain[-1] if chain else StepView("keep")
    return (last.parameters.get("min"), last.parameters.get("max")) if last.technique == "clip" else _NO_BOUNDS


def _aggregate_chain(view: FieldView | None) -> Sequence[StepView]:
    """The only chain of a field in aggregates; empty if there are several."""
    if view is None:
        return ()
    return view.measured or (view.chains[0] if len(view.branches) == 1 and view.chains else ())


MEASURE_RULES: Final[dict[str, MeasureRule]] = {
    "count": MeasureRule("rows"),
    "count_distinct": MeasureRule("values"),
    "histogram": MeasureRule("rows"),
    "sum": MeasureRule(),
    "mean": MeasureRule(bounds=_clip_bounds),
    "min": MeasureRule(bounds=_clip_bounds),
    "max": MeasureRule(bounds=_clip_bounds),
    "quantile": MeasureRule(bounds=_clip_bounds),
    "share": MeasureRule(bounds=lambda view: (0, 1)),
}
"""The rules by measure. A measure without a rule is refused."""


@dataclass(frozen=True, slots=True)
class AggregateView:
    """One aggregate as the pipeline file defines it."""

    groups: Mapping[str, tuple[Pointer, str | None]]
    measures: Mapping[str, tuple[str, Pointer | None]]
    below: int
    counting: Pointer | None
    counts_to: int
    noise: NoiseView | None = None
    """The noise of its statistics; None if they are exact."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Each measure as text that is equal for equal measures, by column."""
    terms: tuple[object, ...] = ()
    """What must be equal in another table so that equal rows have equal statistics."""
    rolls_up: str | None = None
    """The table whose shown rows it sums; None for a table of records."""
    has_rollups: bool = False
    """Whether tables sum its shown rows."""

    @property
    def least(self) -> int:
        """The smallest count of subjects that is published."""
        return self.below + (0 if self.noise is None else self.noise.margin)

    @property
    def subjects(self) -> str | None:
        """The column with the number of subjects; None if there is none."""
        counted = ("count_distinct", self.counting)
        return next((column for column, measure in self.measures.items() if measure == counted), None)

    @property
    def columns(self) -> list[str]:
        """The groups, then the measures."""
        return [*self.groups, *self.measures]


def read_aggregate(raw: Mapping[str, Any], policy: PolicyView) -> AggregateView:
    """Reads an aggregate's mapping. Raises ValueError, TypeError, AttributeError or KeyError for any other content."""
    suppress = raw.get("suppress") or {}
    counting = suppress.get("counting")
    return AggregateView(
        groups={str(column): _read_group(each) for column, each in raw["group_by"].items()},
        measures={str(column): _read_measure(each) for column, each in raw["measures"].items()},
        below=int(suppress.get("below", 10)),
        counting=policy.subject if counting is None else Pointer.parse(str(counting)),
        counts_to=int((raw.get("round") or {}).get("counts_to", 1)),
        noise=read_noise(raw),
        texts={str(column): measure_text(each) for column, each in raw["measures"].items()},
        rolls_up=raw.get("rolls_up"),
        has_rollups=bool(raw.get("rollups")),
        terms=tuple(
            json.dumps(raw.get(part), sort_keys=True, default=str) for part in ("suppress", "per_subject", "noise")
        ),
    )


def check_aggregates(evidence: Evidence) -> Iterator[Finding]:
    """V040 to V049 for every aggregate in force, partition by partition; V053 to V056 for their releases and
    roll-ups."""
    files = [standing for standing in evidence.files if standing.name not in (RECORDS, QUARANTINE)]
    noisy: list[NoisyTable] = []
    exact: list[ExactTable] = []
    for _, group in groupby(files, key=lambda file: (file.root, file.run.receipt.run_id)):
        partition = list(group)
        yield from _partition_findings(evidence, partition, partition[0].name, partition[0].run, (noisy, exact))
    yield from check_releases(evidence, dict(_noise_of_runs(evidence)))
    yield from check_equal_rows(noisy)
    yield from check_rollups(exact)


def _noise_of_runs(evidence: Evidence) -> Iterator[tuple[tuple[str, str], NoiseView | None]]:
    """The noise of each run's aggregates, by run and name."""
    for run in evidence.runs:
        for name in run.receipt.outputs:
            defined = None if run.policy is None else _aggregate_of_run(run, name, run.policy)
            if defined is not None:
                yield (run.receipt.run_id, name), defined.noise


def thresholds(evidence: Evidence) -> Iterator[int]:
    """The thresholds under which the files in force were written."""
    for file in evidence.files:
        defined = None if file.run.policy is None else _aggregate_of_run(file.run, file.name, file.run.policy)
        if defined is not None:
            yield defined.below


def _partition_findings(
    evidence: Evidence, partition: Sequence[EvidenceFile], name: str, run: EvidenceRun, compared: ComparedTables
) -> Iterator[Finding]:
    """Adds the table to those that are compared."""
    if run.policy is None:
        return
    defined = _aggregate_of_run(run, name, run.policy)
    if defined is None:
        yield new_finding("V040", "the pipeline file does not define this aggregate", file=partition[0].root)
        return
    if run.receipt.outputs[name].category != "aggregated":
        yield new_finding("V025", "the category of an aggregate must be `aggregated`", file=run.place)
    yield from check_terms(defined.noise, run, partition[0])
    if run.receipt.outputs[name].noise is None:
        defined = replace(defined, noise=None)
    yield from _group_findings(defined, run.policy, partition[0].root)
    for column, (word, _) in defined.measures.items():
        if word not in MEASURE_RULES:
            yield new_finding("V047", f"there is no rule for `{word}`", file=partition[0].root, field=column)
    yield from _rule_findings(defined, run.policy, partition[0].root)
    tables = [file.read() for file in (open_file(evidence, each) for each in partition) if file is not None]
    for table in tables:
        if table.column_names != defined.columns:
            yield new_finding(
                "V040", "its columns are not the group keys followed by the measures", file=partition[0].root
            )
            return
    if tables:
        yield from _table_findings(pa.concat_tables(tables), defined, run, partition[0], compared)


def _table_findings(
    table: pa.Table, defined: AggregateView, run: EvidenceRun, file: EvidenceFile, compared: ComparedTables
) -> Iterator[Finding]:
    noisy, exact = compared
    yield from _value_findings(table, defined, run, file.root)
    yield from _retention_findings(table, defined, run, file)
    release = (run.receipt.outputs[file.name].releases or {}).get(file.date or "")
    if defined.noise is not None and release is not None:
        terms = (release.mark, run.receipt.policy.digest, defined.counting, *defined.terms)
        noisy.append(NoisyTable(file.root, defined.groups, defined.texts, terms, table))
    if defined.rolls_up is not None or defined.has_rollups:
        groups, measures = [*defined.groups], [*defined.measures]
        exact.append(ExactTable(file.root, file.name, file.date, defined.rolls_up, groups, measures, table))


def _retention_findings(
    table: pa.Table, defined: AggregateView, run: EvidenceRun, file: EvidenceFile
) -> Iterator[Finding]:
    policy, limits = run.policy, run.retention or run.policy
    span = None if limits is None else run.spans.get(file.name, limits.retention)
    if policy is None or span is None or not table.num_rows:
        return
    written = to_nanoseconds(run.receipt.at)
    times = {column: unit for column, (pointer, unit) in defined.groups.items() if pointer == policy.time}
    found_in = [count_past_groups(table[column], unit, policy, written - span) for column, unit in times.items()]
    past = max([each for each in found_in if each is not None], default=0)
    if not times and file.date is not None:
        past = table.num_rows if end_of_date(file.date) <= written - span else 0
    if past:
        yield new_finding("V046", f"{past} groups are older than the retention of the aggregate", file=file.root)


def _aggregate_of_run(run: EvidenceRun, name: str, policy: PolicyView) -> AggregateView | None:
    try:
        return read_aggregate(with_rollups((run.pipeline or {}).get("aggregates") or {})[name], policy)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _group_findings(defined: AggregateView, policy: PolicyView, place: str) -> Iterator[Finding]:
    for column, (pointer, _) in defined.groups.items():
        view = policy.fields.get(pointer)
        if pointer in (policy.subject, defined.counting):
            yield new_finding(
                "V043", "the column shows the subjects that the aggregate counts", file=place, field=column
            )
        elif view is None or not view.chains:
            yield new_finding(
                "V043", "the column shows a field that the policy drops or does not declare", file=place, field=column
            )


def _rule_findings(defined: AggregateView, policy: PolicyView, place: str) -> Iterator[Finding]:
    """Techniques of the fields that the aggregate reads that have no rule."""
    pointers = {
        *(pointer for pointer, _ in defined.groups.values()),
        *(measured_pointer for _, measured_pointer in defined.measures.values()),
    }
    for view in (view for pointer, view in policy.fields.items() if pointer in pointers):
        for name in techniques_without_rule([*view.chains, view.measured]):
            yield new_finding(
                "V034", f"`{name}` has no rule, so its values were not checked", file=place, field=view.key
            )


def _value_findings(table: pa.Table, defined: AggregateView, run: EvidenceRun, place: str) -> Iterator[Finding]:
    batch = table.combine_chunks().to_batches()[0] if table.num_rows else None
    if batch is None or run.policy is None:
        return
    groups = table.group_by(list(defined.groups)).aggregate([]) if defined.groups else table.slice(0, 1)
    if groups.num_rows < table.num_rows:
        yield new_finding("V044", f"{table.num_rows - groups.num_rows} groups appear twice", file=place)
    for column, (pointer, unit) in defined.groups.items():
        view = run.policy.fields.get(pointer)
        if view is not None and view.chains:
            yield from _group_key_findings(batch, column, view, unit, run, place)
    for column, (word, measured_pointer) in defined.measures.items():
        rule = MEASURE_RULES.get(word, MeasureRule())
        if rule.counts is not None:
            may_be_small = rule.counts == "values" and measured_pointer != defined.counting
            yield from _count_findings(batch, column, word, defined, place, may_be_small=may_be_small)
        else:
            bounds = rule.bounds(None if measured_pointer is None else run.policy.fields.get(measured_pointer))
            yield from _statistic_findings(batch, column, word, bounds, place)
    if defined.noise is not None:
        yield from _noise_findings(table, defined, defined.noise, run.policy, place)


def _group_key_findings(
    batch: pa.RecordBatch, column: str, view: FieldView, unit: str | None, run: EvidenceRun, place: str
) -> Iterator[Finding]:
    type_ = batch.schema.field(column).type
    expected_families = {output_family(chain, view.type) for chain in view.chains}
    if type_family(type_) not in expected_families:
        yield new_finding(
            "V023",
            f"the type is {type_}, but must be {' or '.join(sorted(expected_families))}",
            file=place,
            field=column,
        )
        return
    rules = [_group_rule(chain, unit, ColumnContext(type_, run.folder)) for chain in view.chains]
    wrong = sum(not any(rule(value) for rule in rules) for (value,) in distinct_rows([batch.column(column)]))
    if wrong:
        yield new_finding(
            "V030", f"{wrong} group keys do not have the released form of the field", file=place, field=column
        )


def _group_rule(chain: Sequence[StepView], unit: str | None, place: ColumnContext) -> ValueRule:
    try:
        released = chain_rule(chain, place)
    except RuleUnavailable:
        return lambda value: False
    if unit is None:
        return released
    zone = next((str(step.parameters["zone"]) for step in chain if "zone" in step.parameters), None)
    return unit_starts(unit, UTC if zone is None else ZoneInfo(zone))


def _count_findings(
    batch: pa.RecordBatch, column: str, word: str, defined: AggregateView, place: str, *, may_be_small: bool
) -> Iterator[Finding]:
    counts = _integer_counts(leaf_values(batch, Pointer((column,))).values)
    if counts is None:
        yield new_finding("V023", f"the type is not one that `{word}` returns", file=place, field=column)
        return
    hidden = 0 if defined.noise is None or word != "histogram" else counts.null_count
    if hidden:
        yield new_finding("V041", f"{hidden} cells have no count, but are not absent", file=place, field=column)
    found_counts = [count for count in pc.unique(counts).to_pylist() if count is not None]
    odd = sum(count % defined.counts_to != 0 for count in found_counts)
    if odd:
        yield new_finding("V042", f"{odd} counts are not multiples of {defined.counts_to}", file=place, field=column)
    if may_be_small:
        return
    small = sum(2 * count + defined.counts_to * (defined.counts_to > 1) < 2 * defined.least for count in found_counts)
    if small:
        yield new_finding("V041", f"{small} counts are below {defined.least}", file=place, field=column)


def _integer_counts(column: pa.Array) -> pa.Array | None:
    """A column of counts, or the counts in a column of histograms; None for any other column."""
    if pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type):
        cells = pc.list_flatten(column)
        column = pc.struct_field(cells, "count") if cells.type.get_field_index("count") >= 0 else cells
    return column if pa.types.is_integer(column.type) else None


def _statistic_findings(batch: pa.RecordBatch, column: str, word: str, bounds: Bounds, place: str) -> Iterator[Finding]:
    if bounds == _NO_BOUNDS or not _is_number(batch.schema.field(column).type):
        return
    lowest, highest = (None if bound is None else _as_decimal(bound) for bound in bounds)
    outside = sum(_is_outside(value, lowest, highest) for (value,) in distinct_rows([batch.column(column)]))
    if outside:
        yield new_finding("V045", f"{outside} values of `{word}` are outside its bounds", file=place, field=column)


def _noise_findings(
    table: pa.Table, defined: AggregateView, noise: NoiseView, policy: PolicyView, place: str
) -> Iterator[Finding]:
    """V041 for shares of few subjects; V049 for means and sums that are not on their grid, or contradict each other."""
    subjects = [None] * table.num_rows if defined.subjects is None else table[defined.subjects].to_pylist()
    for column, (word, measured_pointer) in defined.measures.items():
        view = None if measured_pointer is None else policy.fields.get(measured_pointer)
        rows = [(value, of_row) for value, of_row in zip(table[column].to_pylist(), subjects, strict=True)]
        rows = [(value, of_row) for value, of_row in rows if value is not None]
        if word == "share":
            limits = [(value, share_limits(noise, defined.below, of_row)) for value, of_row in rows]
            small = sum(not (least <= value <= most) or value in (0, 1) for value, (least, most) in limits)
            if small:
                yield new_finding("V041", f"{small} shares are of too few subjects", file=place, field=column)
        grid = _mean_grid(noise, view, defined.least)
        if grid is None or word not in ("mean", "sum"):
            continue
        off = sum(not (grid.is_mean(value, of_row) if word == "mean" else grid.is_sum(value)) for value, of_row in rows)
        if off:
            yield new_finding("V049", f"{off} values of `{word}` are not on their grid", file=place, field=column)
        total = next((name for name, each in defined.measures.items() if each == ("sum", measured_pointer)), None)
        if word == "mean" and total is not None:
            pairs = zip(table[column].to_pylist(), table[total].to_pylist(), subjects, strict=True)
            complete_rows = [
                (mean, sum_, of_row) for mean, sum_, of_row in pairs if mean is not None and sum_ is not None
            ]
            odd = sum(not grid.is_consistent(*each) for each in complete_rows)
            if odd:
                message = f"{odd} sums are not their mean times a number of values"
                yield new_finding("V049", message, file=place, field=total)


def _mean_grid(noise: NoiseView, view: FieldView | None, least: int) -> MeanGrid | None:
    """The grid of the means and sums of a field; None unless a single `clip` sets both of its bounds."""
    steps = [step for step in _aggregate_chain(view) if step.technique != "keep"]
    low, high = (None if bound is None else _as_decimal(bound) for bound in _clip_bounds(view))
    if len(steps) != 1 or low is None or high is None or low >= high:
        return None
    return MeanGrid(noise, Fraction(low), Fraction(high), least)


def _is_number(type_: pa.DataType) -> bool:
    return type_family(type_) in ("integer", "double", "decimal")


def _as_decimal(bound: Any) -> Decimal:
    """A bound of a policy, which may be written as text."""
    return Decimal(bound if isinstance(bound, str) else repr(bound))


def _is_outside(value: Any, low: Decimal | None, high: Decimal | None) -> bool:
    """Whether a statistic is not between its bounds. NaN never is."""
    return value != value or (low is not None and value < low) or (high is not None and value > high)


def _read_group(raw: Any) -> tuple[Pointer, str | None]:
    if isinstance(raw, dict):
        ((key, unit),) = raw.items()
        return Pointer.parse(str(key)), str(unit)
    return Pointer.parse(str(raw)), None


def _read_measure(raw: Any) -> tuple[str, Pointer | None]:
    if isinstance(raw, str):
        return raw, None
    ((word, argument),) = raw.items()
    measured_key = argument.get("of") if isinstance(argument, dict) else argument
    return str(word), None if measured_key is None else Pointer.parse(str(measured_key))
