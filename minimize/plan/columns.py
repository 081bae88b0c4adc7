"""Columns of outputs: schemas with metadata that says what was done to each column, and their documentation `columns.md`.

Records are in the policy's order, nested as the source has them, kept leaves only; aggregates have groups, then measures.
The documentation says what each column means, its unit and form, and what a null in it can mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from minimize.aggregates import Measure
from minimize.arrow.pointers import KEYS, STAR, PointerPart
from minimize.plan.aggregates import has_open_ends
from minimize.plan.model import FieldPlan, OutputPlan, Plan, describe_encryption
from minimize.policy.describe import condition_text, duration_text, step_text
from minimize.policy.model import AggregateModel, Policy

ColumnMetadata = Mapping[str, str]


def records_schema(source: pa.Schema, fields: Sequence[FieldPlan], policy: Policy) -> pa.Schema:
    """The released fields as columns, with metadata that says what was done to each."""
    released = [field for field in fields if field.gives is not None and _has_place(field)]
    columns = []
    for top in dict.fromkeys(field.pointer.top for field in released):
        below = [field for field in released if field.pointer.top == top]
        columns.append(_nested_column(source, top, below, _policy_metadata(policy)))
    return pa.schema(columns, metadata=_policy_metadata(policy))


def aggregate_schema(
    plain: pa.Schema, model: AggregateModel, fields: Mapping[str, FieldPlan], policy: Policy
) -> pa.Schema:
    """An aggregate's columns: a group says what was done to its field, a measure what it is of."""
    aggregated = {"minimize:category": "aggregated"}
    groups = {name: field_metadata(fields[key.field]) for name, key in model.group_by.items()}
    measures = {name: _measure_metadata(measure, fields) for name, measure in model.measures.items()}
    columns = [
        column.with_metadata({**_policy_metadata(policy), **{**groups, **measures}[column.name], **aggregated})
        for column in plain
    ]
    return pa.schema(columns, metadata=_policy_metadata(policy))


def _policy_metadata(policy: Policy) -> ColumnMetadata:
    return {"minimize:policy": f"{policy.policy}/{policy.version}"}


def _measure_metadata(measure: Measure, fields: Mapping[str, FieldPlan]) -> ColumnMetadata:
    """Only a histogram shows values of its field, and so their key."""
    told = {"minimize:measure": measure.name}
    if measure.of is None:
        return told
    shown = _key_metadata(fields[measure.of]) if measure.name == "histogram" else {}
    return {**told, "minimize:field": measure.of, **shown}


def _has_place(field: FieldPlan) -> bool:
    """What is made from several fields stands beside the source's columns and never in one (else it is a fault, P106)."""
    return field.pointer.is_flat or not field.field.from_


def _nested_column(
    source: pa.Schema, top: str, below: Sequence[FieldPlan], metadata_of_column: ColumnMetadata
) -> pa.Field:
    leaves = {field.pointer.parts[1:]: _leaf_type(field) for field in below}
    metadata = field_metadata(below[0]) if leaves.get(()) is not None else _nested_metadata(below)
    type_ = leaves.get(()) or _rebuild_type(source.field(top).type, leaves)
    return pa.field(top, type_, metadata={**metadata_of_column, **metadata})


def _rebuild_type(type_: pa.DataType, leaves: Mapping[tuple[PointerPart, ...], pa.DataType]) -> pa.DataType:
    """The type with only these leaves (paths below it), each of its new type."""
    if () in leaves:
        return leaves[()]
    if pa.types.is_struct(type_):
        return pa.struct([_child_field(type_.field(name), leaves, name) for name in _child_names(type_, leaves)])
    inner = _leaves_below(leaves, STAR)
    if pa.types.is_map(type_):
        return _map_type(leaves.get((KEYS,)), _rebuild_type(type_.item_type, inner))
    if pa.types.is_large_list(type_):
        return pa.large_list(_rebuild_type(type_.value_type, inner))
    return pa.list_(_rebuild_type(type_.value_type, inner))


def _leaf_type(field: FieldPlan) -> pa.DataType | None:
    """The type of a released leaf; that of a map's keys, if they leave in another form, within a struct."""
    changed = field.pointer.is_keys and field.technique != ("keep",)
    return pa.struct([("key", field.gives)]) if changed else field.gives


def _map_type(keys: pa.DataType | None, value: pa.DataType) -> pa.DataType:
    """A map with the keys that it came with, a list of {key, value}, or a list of values if no keys leave."""
    if keys is None:
        return pa.list_(value)
    if pa.types.is_struct(keys):
        return pa.list_(pa.struct([keys.field("key"), pa.field("value", value)]))
    return pa.map_(keys, value)


def _child_names(type_: pa.DataType, leaves: Mapping[tuple[PointerPart, ...], pa.DataType]) -> list[str]:
    return [str(name) for name in dict.fromkeys(path[0] for path in leaves)]


def _child_field(child: pa.Field, leaves: Mapping[tuple[PointerPart, ...], pa.DataType], name: str) -> pa.Field:
    return pa.field(name, _rebuild_type(child.type, _leaves_below(leaves, name)))


def _leaves_below(
    leaves: Mapping[tuple[PointerPart, ...], pa.DataType], part: PointerPart
) -> dict[tuple[PointerPart, ...], pa.DataType]:
    return {path[1:]: type_ for path, type_ in leaves.items() if path[0] == part}


def field_metadata(field: FieldPlan) -> ColumnMetadata:
    """What stands beside a column: field, technique, what it leaves, category, and the names of its keys."""
    return {
        "minimize:field": field.key,
        "minimize:technique": ",".join(field.technique),
        "minimize:leaves": field.leaves or "nothing",
        "minimize:category": field.category or "pseudonymized",
        **_key_metadata(field),
    }


def _key_metadata(field: FieldPlan) -> ColumnMetadata:
    keys = sorted({name for step in field.steps for name in step.key_names})
    return {"minimize:key": ",".join(keys)} if keys else {}


def _nested_metadata(below: Sequence[FieldPlan]) -> ColumnMetadata:
    """The same for a column of several leaves: each key once per leaf, behind the leaf's pointer."""
    return {f"{key}{field.pointer}": value for field in below for key, value in field_metadata(field).items()}


def add_key_versions(schema: pa.Schema, versions: Mapping[str, int]) -> pa.Schema:
    """The schema with every key name in its metadata as `name/version`."""
    return pa.schema([_add_field_versions(field, versions) for field in schema], metadata=schema.metadata)


def _add_field_versions(field: pa.Field, versions: Mapping[str, int]) -> pa.Field:
    metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    for key, value in metadata.items():
        if key.startswith("minimize:key"):
            metadata[key] = ",".join(f"{name}/{versions[name]}" for name in value.split(","))
    return field.with_metadata(metadata or None)


COUNT_MEASURES = ("count", "count_distinct", "histogram")
"""The measures that are rounded where an aggregate rounds its counts."""


def columns_markdown(plan: Plan) -> str:
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
        lines += _record_rows(plan) if name == "records" else _aggregate_rows(plan, name, output)
        words = describe_encryption(plan, name)
        lines += ["", f"{words[0].upper()}{words[1:]}."] if words else []
        span = plan.own_retentions.get(name)
        lines += [] if span is None else ["", f"Kept for {duration_text(span)} from the time of the event."]
        lines.append("")
    return "\n".join(lines)


def _record_rows(plan: Plan) -> Iterator[str]:
    for field in plan.fields.values():
        if field.gives is not None:
            yield _table_row(
                field.key,
                str(field.gives),
                _field_meaning(field),
                describe_form(field),
                "; ".join(_field_nulls(plan, field)),
            )


def _aggregate_rows(plan: Plan, name: str, output: OutputPlan) -> Iterator[str]:
    aggregate = plan.aggregates[name]
    below = aggregate.model.suppress.below
    for key, group in aggregate.model.group_by.items():
        form = f"start of {group.to}" if group.to else "as released"
        yield _table_row(
            key, str(output.schema.field(key).type), f"group: {group.field}", form, "a group of its own: no value"
        )
    for key, measure in aggregate.model.measures.items():
        of = f" of {measure.of}" if measure.of else ""
        rounded = aggregate.model.round if measure.name in COUNT_MEASURES else None
        form = f"counts to the nearest {rounded.counts_to}" if rounded else "exact"
        counts = measure.of is None or aggregate.definition.counts_subjects(aggregate.definition.measures[key])
        null = "never null" if counts else "; ".join(_measure_nulls(plan, measure, below))
        yield _table_row(key, str(output.schema.field(key).type), f"{measure.name}{of}", form, null)


def _measure_nulls(plan: Plan, measure: Measure, below: int) -> Iterator[str]:
    yield f"fewer than {below} subjects behind it"
    field = plan.fields.get(measure.of or "")
    if measure.name == "quantile" and field is not None and _has_open_bins(field):
        yield "it lies in an open bin"
    elif measure.name == "share":
        yield f"fewer than {below} subjects on one of its sides"
    elif measure.name == "histogram":
        yield f"a null count: fewer than {below} subjects have the value"


def _field_meaning(field: FieldPlan) -> str:
    text = field.field.about or field.key
    return f"{text} ({field.field.unit})" if field.field.unit else text


def describe_form(field: FieldPlan) -> str:
    """What becomes of a field's values, case by case."""
    parts = []
    for branch in field.branches:
        form = "absent" if branch.steps is None else " → ".join(step_text(step) for step in branch.steps)
        parts.append(f"{condition_text(branch.when)}: {form}" if branch.when is not None else form)
    return "; otherwise ".join(["; ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _field_nulls(plan: Plan, field: FieldPlan) -> Iterator[str]:
    yield "no value arrived"
    if field.field.is_gated:
        yield "collection was not on"
    feature = plan.policy.features.get(field.field.feature or "")
    if feature is not None and feature.retention is not None:
        yield f"older than {duration_text(feature.retention)}"
    if any(branch.steps is None for branch in field.branches):
        yield "dropped in this case"
    if field.leaves != "everything":
        yield "could not be treated"
    if _has_open_bins(field):
        yield "it lies in an open bin"


def _has_open_bins(field: FieldPlan) -> bool:
    """Whether open bins are null in it; as labels they are not."""
    return any(map(has_open_ends, field.steps)) and not pa.types.is_string(field.gives)


def _table_row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
