"""Whether aggregates show what their definition says, and no small group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import Finding
from minimize.pointer import Pointer
from minimize.verification.codes import found
from minimize.verification.evidence import QUARANTINE, Evidence, Run, Standing
from minimize.verification.files import readable
from minimize.verification.leaves import at, distinct
from minimize.verification.policy import FieldView, PolicyView, StepView
from minimize.verification.records import RECORDS
from minimize.verification.retention import end_of, nanoseconds, past_groups
from minimize.verification.rules import Obeys, Place, Unchecked, chain_rule, family_of, given_family
from minimize.verification.rules.times import starts_of

_BOUNDED: Final = ("mean", "min", "max", "quantile")


@dataclass(frozen=True, slots=True)
class Definition:
    """One aggregate as the pipeline's file defines it."""

    groups: Mapping[str, tuple[Pointer, str | None]]
    measures: Mapping[str, tuple[str, Pointer | None]]
    below: int
    counting: Pointer | None
    counts_to: int

    @property
    def columns(self) -> list[str]:
        """The groups, then the measures."""
        return [*self.groups, *self.measures]


def definition(raw: Mapping[str, Any], policy: PolicyView) -> Definition:
    """Reads an aggregate's mapping. Raises ValueError, TypeError, AttributeError or KeyError for what is none."""
    suppress = raw.get("suppress") or {}
    counting = suppress.get("counting")
    return Definition(
        groups={str(column): _group(each) for column, each in raw["group_by"].items()},
        measures={str(column): _measure(each) for column, each in raw["measures"].items()},
        below=int(suppress.get("below", 10)),
        counting=policy.subject if counting is None else Pointer.parse(str(counting)),
        counts_to=int((raw.get("round") or {}).get("counts_to", 1)),
    )


def check_aggregates(evidence: Evidence) -> Iterator[Finding]:
    """V040 to V046 for every aggregate in force, partition by partition."""
    files = [standing for standing in evidence.standing if standing.name not in (RECORDS, QUARANTINE)]
    for _, group in groupby(files, key=lambda each: (each.root, each.run.receipt.run_id)):
        partition = list(group)
        yield from _partition(evidence, partition, partition[0].name, partition[0].run)


def thresholds(evidence: Evidence) -> Iterator[int]:
    """The thresholds that the files in force were written under."""
    for each in evidence.standing:
        defined = None if each.run.policy is None else _defined(each.run, each.name, each.run.policy)
        if defined is not None:
            yield defined.below


def _partition(evidence: Evidence, partition: Sequence[Standing], name: str, run: Run) -> Iterator[Finding]:
    if run.policy is None:
        return
    defined = _defined(run, name, run.policy)
    if defined is None:
        yield found("V040", "the pipeline's file does not define it", file=partition[0].root)
        return
    if run.receipt.outputs[name].category != "aggregated":
        yield found("V025", "an aggregate is `aggregated`", file=run.place)
    yield from _shows_nobody(defined, run.policy, partition[0].root)
    tables = [file.read() for file in (readable(evidence, each) for each in partition) if file is not None]
    for table in tables:
        if table.column_names != defined.columns:
            yield found("V040", "its columns are not the groups, then the measures", file=partition[0].root)
            return
    if tables:
        yield from _values(pa.concat_tables(tables), defined, run, partition[0].root)
        yield from _retention(pa.concat_tables(tables), defined, run, partition[0])


def _retention(table: pa.Table, defined: Definition, run: Run, standing: Standing) -> Iterator[Finding]:
    policy, limits = run.policy, run.retention or run.policy
    span = None if limits is None else run.spans.get(standing.name, limits.retention)
    if policy is None or span is None or not table.num_rows:
        return
    written = nanoseconds(run.receipt.at)
    times = {column: unit for column, (pointer, unit) in defined.groups.items() if pointer == policy.time}
    found_in = [past_groups(table[column], unit, policy, written - span) for column, unit in times.items()]
    past = max([each for each in found_in if each is not None], default=0)
    if not times and standing.date is not None:
        past = table.num_rows if end_of(standing.date) <= written - span else 0
    if past:
        yield found("V046", f"{past} groups are past the retention of the aggregate", file=standing.root)


def _defined(run: Run, name: str, policy: PolicyView) -> Definition | None:
    aggregates = (run.pipeline or {}).get("aggregates") or {}
    try:
        return definition(aggregates[name], policy)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _shows_nobody(defined: Definition, policy: PolicyView, place: str) -> Iterator[Finding]:
    for column, (pointer, _) in defined.groups.items():
        view = policy.fields.get(pointer)
        if pointer in (policy.subject, defined.counting):
            yield found("V043", "it shows the subjects that are counted", file=place, field=column)
        elif view is None or not view.chains:
            yield found("V043", "it shows a field that the policy drops or does not declare", file=place, field=column)


def _values(table: pa.Table, defined: Definition, run: Run, place: str) -> Iterator[Finding]:
    batch = table.combine_chunks().to_batches()[0] if table.num_rows else None
    if batch is None or run.policy is None:
        return
    groups = table.group_by(list(defined.groups)).aggregate([]) if defined.groups else table.slice(0, 1)
    if groups.num_rows < table.num_rows:
        yield found("V044", f"{table.num_rows - groups.num_rows} groups stand twice", file=place)
    for column, (pointer, unit) in defined.groups.items():
        view = run.policy.fields.get(pointer)
        if view is not None and view.chains:
            yield from _keys(batch, column, view, unit, run, place)
    for column, (word, of) in defined.measures.items():
        yield from _counts(batch, column, word, of, defined, place)
        yield from _statistics(batch, column, word, None if of is None else run.policy.fields.get(of), place)


def _keys(
    batch: pa.RecordBatch, column: str, view: FieldView, unit: str | None, run: Run, place: str
) -> Iterator[Finding]:
    type_ = batch.schema.field(column).type
    wanted = {given_family(chain, view.type) for chain in view.chains}
    if family_of(type_) not in wanted:
        yield found("V023", f"{type_} where {' or '.join(sorted(wanted))} is due", file=place, field=column)
        return
    rules = [_rule(chain, unit, Place(type_, run.folder)) for chain in view.chains]
    wrong = sum(not any(rule(value) for rule in rules) for (value,) in distinct([batch.column(column)]))
    if wrong:
        yield found("V030", f"{wrong} groups are not as records release the field", file=place, field=column)


def _rule(chain: Sequence[StepView], unit: str | None, place: Place) -> Obeys:
    try:
        released = chain_rule(chain, place)
    except Unchecked:
        return lambda value: False
    if unit is None:
        return released
    zone = next((str(step.given["zone"]) for step in chain if "zone" in step.given), None)
    return starts_of(unit, UTC if zone is None else ZoneInfo(zone))


def _counts(
    batch: pa.RecordBatch, column: str, word: str, of: Pointer | None, defined: Definition, place: str
) -> Iterator[Finding]:
    if word not in ("count", "count_distinct", "histogram"):
        return
    counts = _integers(at(batch, Pointer((column,))).values)
    if counts is None:
        yield found("V023", f"`{word}` gives no such type", file=place, field=column)
        return
    found_counts = [count for count in pc.unique(counts).to_pylist() if count is not None]
    odd = sum(count % defined.counts_to != 0 for count in found_counts)
    if odd:
        yield found("V042", f"{odd} counts are no multiples of {defined.counts_to}", file=place, field=column)
    if word == "count_distinct" and of != defined.counting:
        return
    small = sum(2 * count + defined.counts_to * (defined.counts_to > 1) < 2 * defined.below for count in found_counts)
    if small:
        yield found("V041", f"{small} counts below {defined.below}", file=place, field=column)


def _integers(column: pa.Array) -> pa.Array | None:
    """A column of counts, or the counts in a column of histograms; None where it is neither."""
    if pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type):
        cells = pc.list_flatten(column)
        column = pc.struct_field(cells, "count") if cells.type.get_field_index("count") >= 0 else cells
    return column if pa.types.is_integer(column.type) else None


def _statistics(batch: pa.RecordBatch, column: str, word: str, view: FieldView | None, place: str) -> Iterator[Finding]:
    low, high = (0, 1) if word == "share" else _bounds(view) if word in _BOUNDED else (None, None)
    if (low, high) == (None, None) or not _is_number(batch.schema.field(column).type):
        return
    outside = sum(
        (low is not None and value < _number(low)) or (high is not None and value > _number(high))
        for (value,) in distinct([batch.column(column)])
    )
    if outside:
        yield found("V045", f"{outside} values of `{word}` outside its bounds", file=place, field=column)


def _bounds(view: FieldView | None) -> tuple[Any, Any]:
    """The bounds that `clip` gives to what the aggregate sees of a field."""
    if view is None:
        return None, None
    chain = view.measured or (view.chains[0] if len(view.branches) == 1 and view.chains else ())
    last = chain[-1] if chain else StepView("keep")
    return (last.given.get("min"), last.given.get("max")) if last.word == "clip" else (None, None)


def _is_number(type_: pa.DataType) -> bool:
    return family_of(type_) in ("integer", "double", "decimal")


def _number(bound: Any) -> Decimal:
    return Decimal(repr(bound))


def _group(raw: Any) -> tuple[Pointer, str | None]:
    if isinstance(raw, dict):
        ((key, unit),) = raw.items()
        return Pointer.parse(str(key)), str(unit)
    return Pointer.parse(str(raw)), None


def _measure(raw: Any) -> tuple[str, Pointer | None]:
    if isinstance(raw, str):
        return raw, None
    ((word, given),) = raw.items()
    of = given.get("of") if isinstance(given, dict) else given
    return str(word), None if of is None else Pointer.parse(str(of))
