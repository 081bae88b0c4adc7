"""Columns of outputs: schemas with metadata about the treatment of each column, and their documentation `columns.md`.

Records have the kept leaves in the order of the policy, nested as in the source; aggregates have groups, then measures.
The documentation states the meaning, unit and form of each column, and what a null can mean.

The meaning, treatment and residual of each column of an output; declared fields as a tree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from minimize.aggregates import Measure
from minimize.aggregates.definition import BoundMeasure
from minimize.arrow.pointers import KEYS, STAR, Pointer, PointerPart
from minimize.plan.aggregates import has_open_ends
from minimize.plan.model import (
    AggregatePlan,
    FieldPlan,
    OutputPlan,
    Plan,
    describe_encryption,
    describe_noise,
    encrypted_columns,
)
from minimize.policy.aggregate_forms import AggregateModel
from minimize.policy.describe import condition_text, step_text, treatment_text
from minimize.policy.model import Field, Policy, Role
from minimize.text import brief_number, escape_markdown
from minimize.times import duration_text

ColumnMetadata = Mapping[str, str]


def records_schema(source: pa.Schema, fields: Sequence[FieldPlan], policy: Policy) -> pa.Schema:
    """The released fields as columns, with metadata about the treatment of each."""
    released = [field for field in fields if field.gives is not None and _has_place(field)]
    columns = []
    for top in dict.fromkeys(field.pointer.top for field in released):
        below = [field for field in released if field.pointer.top == top]
        columns.append(_nested_column(source, top, below, _policy_metadata(policy)))
    return pa.schema(columns, metadata=_policy_metadata(policy))


def aggregate_schema(
    plain: pa.Schema, model: AggregateModel, fields: Mapping[str, FieldPlan], policy: Policy
) -> pa.Schema:
    """The columns of an aggregate. Metadata of a group describes the treatment of its field, that of a measure its field."""
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
    """The metadata of a measure names the keys of its field if it shows values of the field."""
    described = {"minimize:measure": measure.name}
    if measure.of is None:
        return described
    shown = {} if measure.shown_values == "none" else _key_metadata(fields[measure.of])
    return {**described, "minimize:field": measure.of, **shown}


def _has_place(field: FieldPlan) -> bool:
    """A derived field is a column of its own, never a part of a source column (fault P106)."""
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
    """The type of a released leaf. The type of changed map keys is wrapped in a struct."""
    changed = field.pointer.is_keys and field.technique != ("keep",)
    return pa.struct([("key", field.gives)]) if changed else field.gives


def _map_type(keys: pa.DataType | None, value: pa.DataType) -> pa.DataType:
    """A map with unchanged keys, a list of {key, value} with changed keys, or a list of values if no keys are released."""
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
    """Metadata of a column: field, technique, residual (`leaves` has its earlier word), category, and the names of its keys."""
    return {
        "minimize:field": field.key,
        "minimize:technique": ",".join(field.technique),
        "minimize:residual": field.residual or "coarse",
        "minimize:leaves": field.leaves or "nothing",
        "minimize:category": field.category or "pseudonymized",
        **_key_metadata(field),
    }


def _key_metadata(field: FieldPlan) -> ColumnMetadata:
    keys = sorted({name for step in field.steps for name in step.key_names})
    return {"minimize:key": ",".join(keys)} if keys else {}


def _nested_metadata(below: Sequence[FieldPlan]) -> ColumnMetadata:
    """Metadata of a column of several leaves: each entry once per leaf, prefixed with the leaf's pointer."""
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


def columns_markdown(plan: Plan) -> str:
    """The page as Markdown, with one table per output."""
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
        lines += ["", _READING] if encrypted_columns(plan, name) else []
        span = plan.own_retentions.get(name)
        lines += [] if span is None else ["", f"Kept for {duration_text(span)} from the time of the event."]
        noise = "" if name == "records" else describe_noise(plan, name)
        lines += ["", f"{noise[0].upper()}{noise[1:]}."] if noise else []
        lines.append("")
    return "\n".join(lines)


_READING: Final = (
    "Read these columns with `minimize.read(…, keys=…)`. Other tools, such as pandas, DuckDB and Polars, read the other columns "
    "without keys if you select them by name."
)


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
            key, str(output.schema.field(key).type), f"group: {group.field}", form, "the group without a value"
        )
    for key, measure in aggregate.model.measures.items():
        bound = aggregate.definition.measures[key]
        form = _figure_form(aggregate, bound)
        counts = measure.of is None or aggregate.definition.counts_subjects(bound)
        null = "never null" if counts else "; ".join(_measure_nulls(plan, measure, below))
        yield _table_row(key, str(output.schema.field(key).type), measure.phrase, form, null)


def _figure_form(aggregate: AggregatePlan, bound: BoundMeasure) -> str:
    """The noise of a statistic, or that it is exact or rounded."""
    definition, measure = aggregate.definition, bound.measure
    if definition.rolls_up is not None:
        return f"sum over the rows of {definition.rolls_up} that are shown"
    if definition.noise is None:
        rounded = definition.counts_to if measure.revealed_counts == "rounded" else None
        return f"counts to the nearest {rounded}" if rounded else "exact"
    deviation = float(definition.noise.total_sd)
    if definition.counts_subjects(bound):
        size = brief_number(deviation)
    else:
        size = measure.noise_text(deviation, definition.limits, bound.bounds)
    return f"with noise; its standard deviation is {size}"


def _measure_nulls(plan: Plan, measure: Measure, below: int) -> Iterator[str]:
    yield f"based on fewer than {below} subjects"
    yield from (reason.format(below=below) for reason in measure.null_reasons)
    field = plan.fields.get(measure.of or "")
    if measure.by_rank and field is not None and _has_open_bins(field):
        yield "the value is in an open-ended bin"


def _field_meaning(field: FieldPlan) -> str:
    text = field.field.about or field.key
    return f"{text} ({field.field.unit})" if field.field.unit else text


def describe_form(field: FieldPlan) -> str:
    """The treatment of a field's values, case by case."""
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
    if field.residual != "original":
        yield "could not be treated"
    if _has_open_bins(field):
        yield "the value is in an open-ended bin"


def _has_open_bins(field: FieldPlan) -> bool:
    """Whether values in open-ended bins become null; with labels they do not."""
    return any(map(has_open_ends, field.steps)) and not pa.types.is_string(field.gives)


def _table_row(*cells: str) -> str:
    return f"| {' | '.join(map(escape_markdown, cells))} |"


@dataclass(frozen=True, slots=True)
class ColumnMeaning:
    """One column."""

    text: str
    """Its meaning as text."""
    form: str
    """Its treatment as text."""
    inputs: tuple[str, ...]
    """Keys of the fields from which it is made."""
    role: Role
    facts: dict[str, Any]
    """Meaning and treatment in machine-readable form."""


def column_meanings(plan: Plan, name: str) -> dict[tuple[str, ...], ColumnMeaning]:
    """The columns of an output by their path; a list's or map's element is `*`."""
    return dict(_record_columns(plan) if name == "records" else _aggregate_columns(plan, name))


def treatments_text(field: FieldPlan) -> str:
    """All treatments of a field as text, without the conditions that select one.

    >>> from minimize.policy.describe import treatment_text
    >>> treatment_text("drop")
    'drop'
    """
    forms = dict.fromkeys(
        "absent" if branch.steps is None else treatment_text(branch.steps) for branch in field.branches
    )
    return " or ".join(forms)


def _record_columns(plan: Plan) -> Iterator[tuple[tuple[str, ...], ColumnMeaning]]:
    for field in plan.fields.values():
        if field.gives is None:
            continue
        path = tuple(part if isinstance(part, str) else part.value for part in field.pointer.parts)
        about = field.field.about or field.key
        text = f"{about} ({field.field.unit})" if field.field.unit else about
        facts = {
            "role": field.field.role,
            "techniques": list(field.technique),
            "residual": field.residual,
            "leaves": field.leaves,
            "category": field.category,
        }
        inputs = tuple(pointer.top if pointer.is_flat else str(pointer) for pointer in field.inputs)
        yield path, ColumnMeaning(text, treatments_text(field), inputs, field.field.role, facts)


def _aggregate_columns(plan: Plan, name: str) -> Iterator[tuple[tuple[str, ...], ColumnMeaning]]:
    model = plan.aggregates[name].model
    for key, group in model.group_by.items():
        form = f"start of the {group.to}" if group.to else "as released"
        yield (key,), _group_meaning(plan, group.field, f"group: {group.field}", form)
    finer_table = plan.aggregates[name].definition.rolls_up
    for key, measure in model.measures.items():
        meaning = _measure_meaning(plan, measure)
        yield (
            (key,),
            meaning
            if finer_table is None
            else dataclasses.replace(meaning, form=f"sum over the rows of {finer_table} that are shown"),
        )


def _group_meaning(plan: Plan, key: str, text: str, form: str) -> ColumnMeaning:
    field = plan.fields.get(key)
    facts = {"group": key, "techniques": list(field.technique) if field else []}
    return ColumnMeaning(text, form, (key,), field.field.role if field else "plain", facts)


def _measure_meaning(plan: Plan, measure: Measure) -> ColumnMeaning:
    return ColumnMeaning(
        measure.phrase,
        measure.name,
        (measure.of,) if measure.of else (),
        "plain",
        {"measure": measure.name, **({"of": measure.of} if measure.of else {})},
    )


@dataclasses.dataclass(slots=True)
class FieldTree:
    """A node of a record: a field, a list (or map), or an object with named fields."""

    field: Field | None = None
    items: FieldTree | None = None
    named: dict[str, FieldTree] = dataclasses.field(default_factory=dict)

    @property
    def is_required(self) -> bool:
        """Whether every record has this node or a node below it."""
        return self.field.required if self.field else any(each.is_required for each in self.named.values())


def field_tree(fields: Mapping[Pointer, Field]) -> FieldTree:
    """The tree of these fields.

    >>> root = field_tree({Pointer.parse("/apps/*/name"): Field(key="/apps/*/name", type="string")})
    >>> list(root.named["apps"].items.named)
    ['name']
    """
    root = FieldTree()
    for pointer, declared in fields.items():
        node = root
        for part in () if pointer.is_keys else pointer.parts:
            if part is STAR:
                node.items = node.items or FieldTree()
                node = node.items
            else:
                node = node.named.setdefault(str(part), FieldTree())
        if not pointer.is_keys:
            node.field = declared
    return root
