"""`columns.md`: what each column of each output means, its unit and form, and what a null in it can mean."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from minimize.aggregates import Measure
from minimize.plan.aggregates import has_open_ends
from minimize.plan.encrypted import encrypted_in_words
from minimize.plan.model import FieldPlan, OutputPlan, Plan
from minimize.policy.words import condition_text, duration, step_text

COUNTS = ("count", "count_distinct", "histogram")
"""The measures that are rounded where an aggregate rounds its counts."""


def columns_page(plan: Plan) -> str:
    """The page as Markdown, one table an output."""
    policy = plan.policy
    lines = [f"# {policy.policy}, version {policy.version}", "", f"Purpose: {plan.purpose or 'none given'}.", ""]
    for name, output in plan.outputs.items():
        lines += [
            f"## {name} ({output.category})",
            "",
            "| column | type | meaning | form | null means |",
            "|---|---|---|---|---|",
        ]
        lines += _records(plan) if name == "records" else _aggregate(plan, name, output)
        words = encrypted_in_words(plan, name)
        lines += ["", f"{words[0].upper()}{words[1:]}."] if words else []
        span = plan.own_retentions.get(name)
        lines += [] if span is None else ["", f"Kept for {duration(span)} from the time of the event."]
        lines.append("")
    return "\n".join(lines)


def _records(plan: Plan) -> Iterator[str]:
    for field in plan.fields.values():
        if field.gives is not None:
            yield _line(field.key, str(field.gives), _meaning(field), form_text(field), "; ".join(_nulls(plan, field)))


def _aggregate(plan: Plan, name: str, output: OutputPlan) -> Iterator[str]:
    aggregate = plan.aggregates[name]
    below = aggregate.model.suppress.below
    for key, group in aggregate.model.group_by.items():
        form = f"start of {group.to}" if group.to else "as released"
        yield _line(
            key, str(output.schema.field(key).type), f"group: {group.field}", form, "a group of its own: no value"
        )
    for key, measure in aggregate.model.measures.items():
        of = f" of {measure.of}" if measure.of else ""
        rounded = aggregate.model.round if measure.name in COUNTS else None
        form = f"counts to the nearest {rounded.counts_to}" if rounded else "exact"
        counts = measure.of is None or aggregate.definition.counts_subjects(aggregate.definition.measures[key])
        null = "never null" if counts else "; ".join(_null_measures(plan, measure, below))
        yield _line(key, str(output.schema.field(key).type), f"{measure.name}{of}", form, null)


def _null_measures(plan: Plan, measure: Measure, below: int) -> Iterator[str]:
    yield f"fewer than {below} subjects behind it"
    field = plan.fields.get(measure.of or "")
    if measure.name == "quantile" and field is not None and _is_open(field):
        yield "it lies in an open bin"
    elif measure.name == "share":
        yield f"fewer than {below} subjects on one of its sides"
    elif measure.name == "histogram":
        yield f"a null count: fewer than {below} subjects have the value"


def _meaning(field: FieldPlan) -> str:
    text = field.field.about or field.key
    return f"{text} ({field.field.unit})" if field.field.unit else text


def form_text(field: FieldPlan) -> str:
    """What becomes of a field's values, case by case."""
    parts = []
    for branch in field.branches:
        form = "absent" if branch.steps is None else " → ".join(step_text(step) for step in branch.steps)
        parts.append(f"{condition_text(branch.when)}: {form}" if branch.when is not None else form)
    return "; otherwise ".join(["; ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _nulls(plan: Plan, field: FieldPlan) -> Iterator[str]:
    yield "no value arrived"
    if field.field.is_gated:
        yield "collection was not on"
    feature = plan.policy.features.get(field.field.feature or "")
    if feature is not None and feature.retention is not None:
        yield f"older than {duration(feature.retention)}"
    if any(branch.steps is None for branch in field.branches):
        yield "dropped in this case"
    if field.leaves != "everything":
        yield "could not be treated"
    if _is_open(field):
        yield "it lies in an open bin"


def _is_open(field: FieldPlan) -> bool:
    """Whether open bins are null in it; as labels they are not."""
    return any(map(has_open_ends, field.steps)) and not pa.types.is_string(field.gives)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
