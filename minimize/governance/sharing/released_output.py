"""Policy for output that a run already released: conditions, released columns, subjects' settings, and aggregates.

Conditions are evaluated again as far as a row still contains the values that they read. Conditions have no `not`, so
removing a part makes a condition match less often. A case that drops a value must be decidable; otherwise the field is
withheld.

Settings of a subject are matched by the subject's pseudonym if the keyring can make it. Otherwise the opt-out of
one subject applies to the whole tenant. Groups of an aggregate belong to no subject: only settings of whole tenants
apply.

Groups of an aggregate are shared unchanged, tenant by tenant, after `minimize.verification` has checked them.
Groups that were released under a lower threshold than the current one are not shared.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates import MEASURES
from minimize.arrow.dictionaries import value_type
from minimize.arrow.nested import leaf_type
from minimize.arrow.pointers import Pointer
from minimize.datasets import reader
from minimize.errors import ConfigurationError, KeyringError, RefusalReason
from minimize.keys import Keyring, find_kms
from minimize.plan.request import is_released
from minimize.policy.aggregate_forms import AggregateModel
from minimize.policy.condition import (
    NEVER,
    Condition,
    RowFacts,
    fields_of_atom,
    fields_read_by_condition,
    setting_atoms,
)
from minimize.policy.model import Field, FieldCase, Policy, RecordsGate, Role
from minimize.policy.pipeline import Pipeline, RecordsModel
from minimize.policy.treatments import DROP, Treatment
from minimize.recipients.rules import rule_reason
from minimize.records import RUNS
from minimize.settings import SettingsRows
from minimize.settings.evaluation import LEVEL_SETTING, ROW_SCHEMA
from minimize.techniques import TechniqueStep, is_published_unchanged, published_techniques
from minimize.techniques.base import Context, type_family
from minimize.techniques.keep import Keep
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.text import did_you_mean
from minimize.verification import check_aggregate


def reduce_condition(condition: Condition, columns: Collection[str]) -> Condition:
    """The condition without the parts that read unavailable or changed fields. `NEVER` if it can never be shown to match.

    >>> from minimize.policy.condition import AnyOf, FieldEquals
    >>> reduce_condition(AnyOf((FieldEquals("owner", ("corporate",)), FieldEquals("managed", (True,)))), {"owner"})
    FieldEquals(field='owner', values=('corporate',))
    """
    return RowFacts(lambda atom: None if set(fields_of_atom(atom)) <= set(columns) else False).simplify(condition)


def reevaluate_field(field: Field, columns: Collection[str]) -> Field | None:
    """A field that a run has released, with its gate and cases for another evaluation. None if they are undecidable.

    A case that released a value keeps the released value; a case that dropped a value drops it.
    """
    gate = None if field.collect_if is None else reduce_condition(field.collect_if, columns)
    if gate == NEVER or not all(_is_decidable(case, columns) for case in field.cases):
        return None
    cases = tuple(_decidable_cases(field, columns))
    last = _keep_or_drop(field.otherwise if field.cases else field.do)
    if last == DROP and not cases:
        return None if field.cases else field.model_copy(update={"collect_if": gate, "do": DROP})
    if last != DROP and all(case.do != DROP for case in cases):
        return field.model_copy(update={"collect_if": gate, "cases": (), "do": last, "otherwise": DROP})
    return field.model_copy(update={"collect_if": gate, "cases": cases, "do": DROP, "otherwise": last})


def _is_decidable(case: FieldCase, columns: Collection[str]) -> bool:
    """Whether the condition of a dropping case can be evaluated completely."""
    return case.do != DROP or set(fields_read_by_condition(case.when)) <= set(columns)


def _decidable_cases(field: Field, columns: Collection[str]) -> Iterator[FieldCase]:
    """Yields the cases that can still be evaluated."""
    for case in field.cases:
        when = reduce_condition(case.when, columns)
        if when != NEVER:
            yield FieldCase(when=when, do=_keep_or_drop(case.do))


def _keep_or_drop(do: Treatment) -> Treatment:
    return DROP if do == DROP else (Keep(),)


POLICY_METADATA: Final = b"minimize:policy"


ColumnMetadata = Mapping[str, str]
"""Metadata of a column: technique, leaves, category, key."""


@dataclass(frozen=True, slots=True)
class InputPolicy:
    """A policy for data in its current form: raw, or released by a run."""

    policy: Policy
    linking_keys: Mapping[str, str]
    """The key of each column of pseudonyms or tokens."""
    undecidable: frozenset[str] = frozenset()
    """Fields for which it is no longer known whether they may be collected."""
    columns: Mapping[str, ColumnMetadata] | None = None
    """Metadata of each released column; None for raw data."""
    aggregated: bool = False
    """Whether the rows are groups."""

    def records_model(self, records: RecordsModel | None) -> RecordsModel:
        """The pipeline's rules on records. A run has removed duplicates already; the condition is evaluated again."""
        model = (records or RecordsModel()).model_copy(update={"must_be": None, "partition_by": ()})
        if self.columns is None:
            return model
        if self.aggregated:
            return RecordsModel()
        return model.model_copy(
            update={"deduplicate": None, "collect_if": _reduce_record_condition(model.collect_if, self.columns)}
        )


def input_policy_for(policy: Policy, schema: pa.Schema) -> InputPolicy:
    """Makes the policy for data of this schema.

    For output of a run, each column that the policy still releases is used unchanged. Features, levels and conditions are
    evaluated again. If a row lacks a value that a condition reads, the condition releases nothing. Raises ConfigurationError if
    no column contains the tenant.
    """
    if POLICY_METADATA not in (schema.metadata or {}):
        return InputPolicy(policy, {})
    metadata_by_key = {
        key: leaf_metadata
        for key in policy.fields
        if (leaf_metadata := _leaf_metadata(schema, Pointer.parse(key))) is not None
    }
    if policy.tenant not in metadata_by_key:
        hint = "Release the tenant's field unchanged."
        raise ConfigurationError("the output does not contain the tenant, so consent cannot be checked", hint=hint)
    columns = {key: leaf_metadata for key, (_, leaf_metadata) in metadata_by_key.items()}
    reevaluated = {key: reevaluate_field(policy.fields[key], _unchanged_fields(columns)) for key in metadata_by_key}
    fields = {
        key: _released_field(reevaluated[key] or _drop_field(policy.fields[key]), *leaf_metadata)
        for key, leaf_metadata in metadata_by_key.items()
    }
    role_fields = {
        word: value if (value := getattr(policy, word)) in metadata_by_key else None
        for word in ("subject", "time", "record")
    }
    whole = policy.records.model_copy(
        update={"collect_if": _reduce_record_condition(policy.records.collect_if, columns)}
    )
    linked = {
        key: last_key_name(leaf_metadata)
        for key, leaf_metadata in columns.items()
        if any(kind.is_pseudonym() for kind in _techniques(leaf_metadata))
    }
    changed = policy.model_copy(update={"fields": fields, "records": whole, "never": (), **role_fields})
    return InputPolicy(changed, linked, frozenset(key for key, each in reevaluated.items() if each is None), columns)


def _unchanged_fields(columns: Mapping[str, ColumnMetadata]) -> frozenset[str]:
    """The fields whose values are unchanged."""
    return frozenset(key for key, told in columns.items() if is_published_unchanged(told["technique"]))


def _reduce_record_condition(condition: Condition | None, columns: Mapping[str, ColumnMetadata]) -> Condition | None:
    """The condition on whole records. A condition that can never be shown to match excludes all records."""
    return None if condition is None else reduce_condition(condition, _unchanged_fields(columns))


def _drop_field(field: Field) -> Field:
    return field.model_copy(update={"do": DROP, "cases": (), "otherwise": DROP, "collect_if": None})


def _leaf_metadata(schema: pa.Schema, pointer: Pointer) -> tuple[pa.DataType, Mapping[str, str]] | None:
    """The type of a leaf, and its metadata. None if the column does not exist."""
    if pointer.top not in schema.names:
        return None
    kind: pa.DataType | None = None
    with suppress(KeyError, ValueError, TypeError, IndexError, AttributeError):
        kind = value_type(leaf_type(schema, pointer))
    metadata = column_metadata(schema, pointer.top, "" if pointer.is_flat else str(pointer))
    return None if kind is None or not metadata["technique"] else (kind, metadata)


def column_metadata(schema: pa.Schema, column: str, behind: str = "") -> ColumnMetadata:
    """The metadata of a column, or of the leaf `behind` its name."""
    metadata = {name.decode(): text.decode() for name, text in (schema.field(column).metadata or {}).items()}
    return {word: metadata.get(f"minimize:{word}{behind}", "") for word in ("technique", "leaves", "category", "key")}


def _released_field(field: Field, kind: pa.DataType, metadata: Mapping[str, str]) -> Field:
    changes = {
        "type": policy_type(kind),
        "role": _released_role(field.role, metadata["category"]),
        "from_": (),
        "in_aggregates": (),
        "optional": True,
    }
    return field.model_copy(update=changes)


def _released_role(role: Role, recorded_role: str) -> Role:
    """The role of a released field. A pseudonymized identifier is no longer an identifier; an identified field keeps its role."""
    return "quasi" if role == "identifier" and recorded_role == "pseudonymized" else role


def policy_type(kind: pa.DataType) -> str:
    """The name of a type in a policy."""
    return f"decimal({kind.precision},{kind.scale})" if pa.types.is_decimal(kind) else str(type_family(kind))


def _techniques(metadata: Mapping[str, str]) -> list[type[TechniqueStep]]:
    return published_techniques(metadata["technique"])


def last_key_name(metadata: Mapping[str, str]) -> str:
    """The name of the last key that was applied to a column."""
    return metadata["key"].split(",")[-1].partition("/")[0]


_SETTING_KEYS: Final = ("tenant_id", "subject", "field", "setting", "holder")
_TENANT_WIDE_HOLDER: Final = "subject"
"""The holder of an opt-out that was widened to the whole tenant. It never turns a feature on."""


def settings_for_output(
    rows: SettingsRows | None, policy: Policy, entry: InputPolicy, keys: Keyring, at: datetime
) -> SettingsRows | None:
    """The settings in a form that the rows of the data can be matched with, at a time. Unchanged for raw data."""
    if rows is None or entry.columns is None or not _subject_rows(rows.effective_table).num_rows:
        return rows
    if rows.fields:
        rows = _widen_named_rows(rows, policy, at)
    wide = rows.effective_table.filter(pc.is_null(rows.effective_table["subject"]))
    if entry.aggregated:
        return SettingsRows(wide)
    metadata = entry.columns.get(entry.policy.subject or "")
    if metadata is not None and is_published_unchanged(metadata["technique"]):
        return rows
    plain = type(rows) is SettingsRows
    named = (
        _subject_pseudonyms(rows.effective_table, policy, metadata, keys, at)
        if metadata is not None and plain
        else None
    )
    subject_rows = _subject_rows(rows.effective_table)
    if named is not None:
        place = subject_rows.schema.get_field_index("subject")
        return SettingsRows(
            pa.concat_tables([wide, subject_rows.set_column(place, ROW_SCHEMA.field("subject"), named)])
        )
    return SettingsRows(pa.concat_tables([wide, _widen_to_tenants(subject_rows, policy.levels, at)]))


def _widen_named_rows(rows: SettingsRows, policy: Policy, at: datetime) -> SettingsRows:
    """The settings without rows that name a subject by a field: opt-outs by a field of the policy count for the whole tenant."""
    is_policy_field = pc.is_in(
        rows.effective_table["field"], value_set=pa.array(sorted(policy.fields), pa.string()), skip_nulls=True
    )
    unnamed_rows = rows.effective_table.filter(pc.is_null(rows.effective_table["field"]))
    widened = _widen_to_tenants(rows.effective_table.filter(is_policy_field), policy.levels, at)
    return replace(rows, table=pa.concat_tables([unnamed_rows, widened]), lines=None, noncanonical=())


@dataclass(frozen=True, slots=True)
class _PinnedKeys:
    """A keyring that uses one fixed version of a key."""

    keys: Keyring
    version: int

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        """The key's bytes. Raises KeyringError."""
        return self.keys.bytes_of(name, self.version if version is None else version)

    def version_of(self, name: str) -> int:
        """The fixed version."""
        return self.version


def _subject_rows(table: pa.Table) -> pa.Table:
    return table.filter(pc.is_valid(table["subject"]))


def _subject_pseudonyms(
    table: pa.Table, policy: Policy, metadata: ColumnMetadata, keys: Keyring, at: datetime
) -> pa.Array | None:
    """The subjects of settings in the form of the data. None if they cannot be computed."""
    field = policy.fields[policy.subject or ""]
    step = field.do[0] if len(field.do) == 1 and not field.cases else None
    if not isinstance(step, Pseudonymize) or step.rotate is not None or step.per not in (None, policy.tenant):
        return None
    name, _, version = metadata["key"].partition("/")
    if metadata["technique"] != step.name or name != step.key or not version.isdigit():
        return None
    subject_rows = _subject_rows(table)
    columns = {} if step.per is None else {step.per: subject_rows["tenant_id"].combine_chunks()}
    context = Context(field.key, at, _PinnedKeys(keys, int(version)), columns)
    try:
        return step.apply(subject_rows["subject"].combine_chunks(), context).values
    except KeyringError:
        return None


def _widen_to_tenants(subject_rows: pa.Table, levels: Sequence[str], at: datetime) -> pa.Table:
    """Turns each restrictive setting of a subject that is in force into an opt-out of the whole tenant."""
    when = pa.scalar(at, ROW_SCHEMA.field("valid_from").type)
    effective_rows = subject_rows.filter(
        pc.and_(pc.less_equal(subject_rows["valid_from"], when), pc.less_equal(subject_rows["recorded_at"], when))
    )
    order = [("valid_from", "ascending"), ("recorded_at", "ascending")]
    last = effective_rows.sort_by(order).group_by(list(_SETTING_KEYS), use_threads=False)
    last_settings = last.aggregate([(name, "last") for name in ("value", "valid_from", "recorded_at")])
    is_level, value = pc.equal(last_settings["setting"], LEVEL_SETTING), last_settings["value_last"]
    open_ = pc.or_(
        pc.and_(is_level, pc.equal(value, levels[-1] if levels else "")),
        pc.and_(pc.invert(is_level), pc.equal(value, "on")),
    )
    shut = last_settings.filter(pc.invert(open_))
    columns = {
        "tenant_id": shut["tenant_id"],
        "subject": pa.nulls(shut.num_rows, pa.string()),
        "setting": shut["setting"],
        "value": pa.repeat("off", shut.num_rows),
        "holder": pa.repeat(_TENANT_WIDE_HOLDER, shut.num_rows),
        "valid_from": shut["valid_from_last"],
        "recorded_at": shut["recorded_at_last"],
        "field": pa.nulls(shut.num_rows, pa.string()),
    }
    return pa.table({name: columns[name] for name in ROW_SCHEMA.names}, schema=ROW_SCHEMA)


PERSONAL_ROLES = ("tenant", "time", "subject", "record")


def read_groups(data: Any, name: str, keys: Keyring) -> pa.Table:
    """Reads the groups in force. Raises ConfigurationError if `data` is not an output folder."""
    if not isinstance(data, str | os.PathLike) or not (Path(data) / RUNS).is_dir():
        hint = "Pass the output folder. Only its receipts show that small groups were suppressed."
        raise ConfigurationError(f"the aggregate {name} can only be shared from its output folder", hint=hint)
    return reader.read_output(Path(data), name, kms=find_kms(keys, data))


def aggregate_model(job: Pipeline | None, name: str) -> AggregateModel:
    """The current definition of the aggregate in the pipeline. Raises ConfigurationError if there is none."""
    known = {} if job is None else job.tables
    if name not in known:
        hint = "Pass the pipeline that defines it." if job is None else did_you_mean(name, known)
        raise ConfigurationError(f"unknown aggregate {name}", hint=hint)
    return known[name]


def aggregate_policy(policy: Policy, model: AggregateModel, schema: pa.Schema) -> InputPolicy:
    """The policy of an aggregate's columns: a group is treated like its field, a measure like the field that it measures.

    Rules on single records were applied by the run; rules on whole tenants are applied again. Raises ConfigurationError if
    the aggregate is not grouped by tenant.
    """
    shown = {label: policy.fields[key.field] for label, key in model.group_by.items()}
    over = {label: policy.fields.get(measure.of or "") for label, measure in model.measures.items()}
    columns = {label: field for label, field in {**shown, **over}.items() if _is_flat_column(schema, label)}
    tenant = next((label for label, field in shown.items() if field.key == policy.tenant and label in columns), None)
    if tenant is None:
        hint = "Add the tenant to its groups."
        raise ConfigurationError("the aggregate is not grouped by tenant, so consent cannot be checked", hint=hint)
    fields = {
        label: _aggregate_column(label, schema, field, is_group=label in shown) for label, field in columns.items()
    }
    metadata = {label: column_metadata(schema, label) for label in shown if label in columns}
    changes: dict[str, Any] = dict.fromkeys(PERSONAL_ROLES) | {"tenant": tenant, "retention": None, "never": ()}
    features = {name: each.model_copy(update={"retention": None}) for name, each in policy.features.items()}
    records = RecordsGate(feature=policy.records.feature, level=policy.records.level)
    whole = policy.model_copy(update={**changes, "fields": fields, "features": features, "records": records})
    linked = {
        label: last_key_name(each)
        for label, each in metadata.items()
        if any(kind.is_pseudonym() for kind in _techniques(each))
    }
    return InputPolicy(whole, linked, frozenset(_undecidable_columns(columns)), metadata, aggregated=True)


def reasons_against_aggregate(data: Any, name: str, model: AggregateModel, keys: Keyring) -> Iterator[RefusalReason]:
    """The reasons against sharing the groups in force: they differ from the definition, or their threshold was too low."""
    findings, below = check_aggregate(Path(data), name, keys)
    if any(each.severity == "error" for each in findings):
        yield rule_reason("differs", f"{name} differs from its definition", hint="Run `minimize verify`.")
    if below is not None and below < model.suppress.below:
        message = (
            f"groups were released with a minimum of {below} subjects; the current minimum is {model.suppress.below}"
        )
        yield rule_reason("threshold", message, hint="Run its dates again.")


def _is_flat_column(schema: pa.Schema, label: str) -> bool:
    """Whether a column is flat. Histograms are withheld, because a manifest cannot select cells of a nested column."""
    return label in schema.names and not pa.types.is_nested(schema.field(label).type)


def _aggregate_column(label: str, schema: pa.Schema, field: Field | None, *, is_group: bool) -> Field:
    kind = policy_type(schema.field(label).type)
    if field is None:
        return Field(key=label, type=kind, do=(Keep(),), optional=True)
    is_shared = is_released(field) or (not is_group and bool(field.in_aggregates)) or _is_distinct_count(schema, label)
    return Field(
        key=label,
        type=kind,
        role="quasi" if is_group and field.role == "identifier" else "plain",
        do=(Keep(),) if is_shared else DROP,
        feature=field.feature,
        level=field.level,
        purposes=field.purposes,
        optional=True,
    )


def _is_distinct_count(schema: pa.Schema, label: str) -> bool:
    """Whether a measure counts distinct values. Such a count shows none of the values."""
    kind = MEASURES.get((schema.field(label).metadata or {}).get(b"minimize:measure", b"").decode())
    return kind is not None and kind.counts_distinct


def _undecidable_columns(columns: Mapping[str, Field | None]) -> Iterator[str]:
    """Yields the columns that settings gated record by record. Groups cannot be evaluated again by such settings."""
    for label, field in columns.items():
        conditions = () if field is None else (field.collect_if, *(case.when for case in field.cases))
        if any(True for condition in conditions for _ in setting_atoms(condition)):
            yield label
