"""The account of a run: what the engine counted, as the parts of a receipt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from minimize.engines.base import Outcome
from minimize.engines.undeclared import shown
from minimize.installed import version
from minimize.io.base import Written
from minimize.io.stated import files_stated, indexes_stated, keys_stated, sketches_stated
from minimize.io.undeclared import added
from minimize.job.dates import Day
from minimize.job.given import Given
from minimize.job.late import Late
from minimize.plan import Plan
from minimize.plan.model import FieldPlan
from minimize.receipt import FieldReceipt, GatedBy, Input, Output, Quarantine, Rows
from minimize.stage import Counts, FieldCounts

VERSIONS = ("minimize", "pyarrow", "numpy")


def rows(plan: Plan, outcomes: Iterable[Outcome], late: Late) -> Rows:
    """What became of the rows read. They follow the records output; without one, the first aggregate.

    Where that one waits for late rows, a row is written when it counts in an event day, be that day published yet or not.
    """
    found = list(outcomes)
    counts = total(found)
    read = sum(outcome.read for outcome in found)
    quarantined = sum(outcome.rejects.total() for outcome in found)
    gated = sum(counts.gated.values())
    reached = read - quarantined - gated - counts.deduplicated
    if "records" in plan.outputs:
        written, suppressed = sum(outcome.written for outcome in found), 0
    else:
        suppressed = _suppressed_by_first(plan, found, late)
        written = reached - suppressed
    return Rows(read, written, gated, quarantined, suppressed, counts.deduplicated)


def total(outcomes: Iterable[Outcome]) -> Counts:
    """The counts of all stages over all batch dates."""
    return sum((outcome.counts for outcome in outcomes), Counts())


def gated_by(counts: Counts) -> GatedBy:
    """Why whole rows were gated."""
    return GatedBy.of(counts.gated)


def fields(plan: Plan, counts: Counts) -> dict[str, FieldReceipt]:
    """What was done to each field of the policy."""
    declared = {key: field for key, field in plan.fields.items() if key in plan.policy.fields}
    return {key: _field(field, counts.fields.get(key)) for key, field in declared.items()}


def inputs(given: Given, outcomes: Mapping[Day, Outcome]) -> tuple[Input, ...]:
    """The files that were read."""
    several = len(given.sources) > 1
    return tuple(
        Input(
            part.name, part.digest, outcomes[day].rows_by_part[part.name], day.isoformat() if day and several else None
        )
        for day, source in given.sources.items()
        for part in source.parts
    )


def undeclared(plan: Plan, outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Undeclared paths, counted, with names shown only where they cannot be values."""
    merged = added(outcome.undeclared for outcome in outcomes)
    return shown(merged, [field.pointer for field in plan.fields.values()])


def outputs(plan: Plan, outcomes: Sequence[Outcome], files: Mapping[str, Sequence[Written]]) -> dict[str, Output]:
    """What was written under each name."""
    return {name: _output(plan, name, outcomes, files.get(name, ())) for name in plan.outputs}


def quarantine(outcomes: Iterable[Outcome], files: Iterable[Written]) -> Quarantine:
    """What could not be processed, by code."""
    by_code: Counter[str] = Counter()
    for outcome in outcomes:
        by_code.update(outcome.rejects)
    return Quarantine(by_code.total(), dict(sorted(by_code.items())), files_stated(files))


def key_ids(given: Given, files: Mapping[str, Sequence[Written]]) -> tuple[str, ...]:
    """The keys that were used, as `name/version`: those of techniques, then those that files are encrypted under."""
    techniques = (f"{name}/{given.keys.version_of(name)}" for name in sorted(given.plan.keys))
    return (*techniques, *sorted(keys_stated(each for written in files.values() for each in written)))


def versions() -> dict[str, str]:
    """The versions of what decides about bytes."""
    return {name: version(name) for name in VERSIONS}


def _field(field: FieldPlan, counts: FieldCounts | None) -> FieldReceipt:
    did = field.technique[0] if len(field.technique) == 1 else field.technique
    if field.gives is None and field.measured is None:
        return FieldReceipt(did, None)
    found = counts or FieldCounts()
    return FieldReceipt(did, found.values, found.changed, found.gated, found.unparsable, found.dropped)


def _output(plan: Plan, name: str, outcomes: Sequence[Outcome], files: Sequence[Written]) -> Output:
    written = files_stated(files)
    count = sum(file.rows for file in written)
    if name == "records":
        return Output(plan.outputs[name].category, count, files=written, index=indexes_stated(files))
    results = [outcome.aggregates[name] for outcome in outcomes if name in outcome.aggregates]
    return Output(
        plan.outputs[name].category,
        count,
        groups_suppressed=sum(result.groups_suppressed for result in results),
        rows_suppressed=sum(result.rows_suppressed for result in results),
        groups_past=sum(result.groups_past for result in results) or None,
        rows_past=sum(result.rows_past for result in results) or None,
        deferred=sum(result.deferred for result in results),
        too_late=0,
        files=written,
        sketches=sketches_stated(files),
    )


def _suppressed_by_first(plan: Plan, outcomes: Sequence[Outcome], late: Late) -> int:
    first = next(iter(plan.aggregates), None)
    if first is not None and plan.aggregates[first].late is not None:
        return late.outside(first)
    return 0 if first is None else sum(outcome.aggregates[first].records_lost for outcome in outcomes)
