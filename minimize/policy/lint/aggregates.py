"""What lint says about aggregates: values that show through, groups that are too small, tables that are released too often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from minimize.aggregates import Measure
from minimize.aggregates.quantile import Quantile
from minimize.errors import Finding
from minimize.policy.fields import is_raw_in_aggregates, ways_in_aggregates
from minimize.policy.keyed import keys_of
from minimize.policy.lint.fields import leaves
from minimize.policy.lint.subject import Subject
from minimize.policy.model import Field
from minimize.policy.pipeline import AggregateModel
from minimize.techniques import Step

LEAST = 10
LONGEST = timedelta(days=400)


def measures(subject: Subject) -> Iterator[Finding]:
    """L060, L062, L068: measures that one subject's value can move, or that are one subject's value."""
    for name, aggregate in _aggregates(subject):
        for column, measure in aggregate.measures.items():
            field = subject.policy.fields.get(measure.of or "")
            if field is not None:
                yield from _measure(subject, (name, column), measure, field)


def _measure(subject: Subject, place: tuple[str, str], measure: Measure, field: Field) -> Iterator[Finding]:
    at = ("aggregates", place[0], "measures")
    about = f"`{place[1]}`: the {measure.name} of `{field.key}`"
    if measure.name in ("sum", "mean") and not _is_bounded(field):
        hint = "say `in_aggregates: {clip: {min: …, max: …}}`"
        yield subject.in_pipeline("L060", f"{about}, whose values are not generalized", *at, hint=hint)
    if measure.name in ("min", "max") and is_raw_in_aggregates(field):
        yield subject.in_pipeline("L062", f"{about} is somebody's value", *at, hint="make the field coarser")
    if isinstance(measure, Quantile) and measure.q in (0, 1):
        end = "largest" if measure.q else "smallest"
        yield subject.in_pipeline("L068", f"{about} is the {end} value", *at, hint="choose a `q` between 0 and 1")


def suppression(subject: Subject) -> Iterator[Finding]:
    """L061: groups that are too small."""
    for name, aggregate in _aggregates(subject):
        below = aggregate.suppress.below if "suppress" in aggregate.model_fields_set else None
        if below is None or below < LEAST:
            message = "nothing is said of small groups" if below is None else f"groups show from {below} subjects on"
            hint = f"say `suppress: {{below: {LEAST}}}`"
            yield subject.in_pipeline("L061", message, "aggregates", name, "suppress", hint=hint)


def named(subject: Subject) -> Iterator[Finding]:
    """L073: groups that name somebody: he is not looked for in aggregates."""
    keys = frozenset(keys_of(subject.policy))
    for name, aggregate in _aggregates(subject):
        for column, key in aggregate.group_by.items():
            if key.field in keys:
                message = (
                    f"`{column}`: a group is somebody's, by {key.field}, and whoever asks to be deleted stays there"
                )
                at = ("aggregates", name, "group_by")
                yield subject.in_pipeline("L073", message, *at, hint="group by something that many share")


def counted(subject: Subject) -> Iterator[Finding]:
    """L067: thresholds held against something else than subjects."""
    for name, aggregate in _aggregates(subject):
        counting = aggregate.suppress.counting
        if counting is not None and counting != subject.policy.subject:
            message = f"groups are suppressed by counting {counting}, which is not the policy's subject"
            hint = (
                "count subjects, not rows: leave `counting` out, or name the field that stands for a person or device"
            )
            yield subject.in_pipeline("L067", message, "aggregates", name, "suppress", hint=hint)


def rounded(subject: Subject) -> Iterator[Finding]:
    """L066: exact figures that give rounded counts back."""
    for name, aggregate in _aggregates(subject):
        exact = [label for label, measure in aggregate.measures.items() if measure.name in ("mean", "sum", "share")]
        if aggregate.round is not None and exact:
            message = f"{', '.join(exact)} beside rounded counts: where values are coarse, an exact figure gives the count back"
            hint = "leave the exact figure out, or put it into an aggregate without counts"
            yield subject.in_pipeline("L066", message, "aggregates", name, "round", hint=hint)


def late(subject: Subject) -> Iterator[Finding]:
    """L065: late rows, for which a source without batch dates has nothing to wait for."""
    dated = subject.pipeline is None or "{date}" in subject.pipeline.source.path
    for name, aggregate in _aggregates(subject):
        if aggregate.late is not None and not dated:
            message = "`late` waits for batches by date, and the source has none: each run counts what it reads"
            hint = "write {date} where the path has the batch date, or leave `late` out"
            yield subject.in_pipeline("L065", message, "aggregates", name, "late", hint=hint)


def undated(subject: Subject) -> Iterator[Finding]:
    """L069: aggregates over a source without batch dates, all of whose rows are released anew by each run."""
    if subject.pipeline is None or "{date}" in subject.pipeline.source.path:
        return
    for name, _ in _aggregates(subject):
        message = "the source has no batch dates: each run releases every row anew, and most rows will be deferred"
        hint = "write {date} where the path has the batch date"
        yield subject.in_pipeline("L069", message, "aggregates", name, hint=hint)


def retention(subject: Subject) -> Iterator[Finding]:
    """L074, L075: aggregates that are kept for very long, or that a run replaces before their retention ends."""
    records = subject.policy.retention
    for name, aggregate in _aggregates(subject):
        span, at = aggregate.retention, ("aggregates", name, "retention")
        if span is not None and span > LONGEST:
            message = f"the aggregate is kept for {span.days} days"
            yield subject.in_pipeline("L074", message, *at, hint="400 days are enough to compare with the year before")
        undated = subject.pipeline is not None and "{date}" not in subject.pipeline.source.path
        if span is not None and records is not None and span > records and undated:
            message = "the aggregate is kept for longer than records, and each run counts it anew from records alone"
            hint = "write {date} where the path has the batch date, or leave `retention` out"
            yield subject.in_pipeline("L075", message, *at, hint=hint)


def _aggregates(subject: Subject) -> list[tuple[str, AggregateModel]]:
    return [] if subject.pipeline is None else list(subject.pipeline.aggregates.items())


def _is_bounded(field: Field) -> bool:
    """Whether what aggregates see is clipped or otherwise generalized."""
    return all(_is_generalized(way) for way in ways_in_aggregates(field))


def _is_generalized(way: tuple[Step, ...]) -> bool:
    return leaves(way) != "everything"
