"""Groups of an aggregate as a policy sees them: what stands in an output is shared as it is, tenant by tenant.

What aggregates promise is promised still. A group that stands has its threshold of subjects behind it, whichever of its columns
leave and whichever tenants agree; it is checked against its definition before, by rules that share no code with what made it,
and groups that were let through under a lower threshold than today's do not leave.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.errors import ConfigurationError, Reason
from minimize.governance.sharing.released import LINKING, Entry, key_in, told_of, type_word
from minimize.io import published
from minimize.io.history import RUNS
from minimize.keys import Keyring, find_kms
from minimize.plan.request import is_released
from minimize.policy.condition import Condition, Feature, Level, atoms
from minimize.policy.faults import did_you_mean
from minimize.policy.model import DROP, Field, Policy, Records
from minimize.policy.pipeline import AggregateModel, Pipeline
from minimize.recipients.refusals import reason
from minimize.techniques.keep import Keep
from minimize.verification import found_of_aggregate

PERSONAL = ("tenant", "time", "subject", "record")


def groups(data: Any, name: str, keys: Keyring) -> pa.Table:
    """The groups in force. Raises ConfigurationError where data is no output's folder."""
    if not isinstance(data, str | os.PathLike) or not (Path(data) / RUNS).is_dir():
        hint = "name its folder: nothing else can tell that small groups are not in it"
        raise ConfigurationError(f"{name} is an aggregate, and is shared from the output that holds it", hint=hint)
    return published.read(Path(data), name, kms=find_kms(keys, data))


def model_of(job: Pipeline | None, name: str) -> AggregateModel:
    """The aggregate as the pipeline defines it today. Raises ConfigurationError."""
    known = {} if job is None else job.aggregates
    if name not in known:
        hint = "give the pipeline that defines it" if job is None else did_you_mean(name, known)
        raise ConfigurationError(f"nobody defines the aggregate {name}", hint=hint)
    return known[name]


def grouped(policy: Policy, model: AggregateModel, schema: pa.Schema) -> Entry:
    """The policy of an aggregate's columns: a group like the field that it shows, a measure like the field that it is over.

    What decided about single records has decided; what is asked of whole tenants is asked again. Raises ConfigurationError where
    no group is the tenant.
    """
    shown = {label: policy.fields[key.field] for label, key in model.group_by.items()}
    over = {label: policy.fields.get(measure.of or "") for label, measure in model.measures.items()}
    columns = {label: field for label, field in {**shown, **over}.items() if _is_flat(schema, label)}
    tenant = next((label for label, field in shown.items() if field.key == policy.tenant and label in columns), None)
    if tenant is None:
        hint = "group it by the tenant, too"
        raise ConfigurationError("the aggregate does not tell tenants apart, so that nobody can be asked", hint=hint)
    fields = {label: _column(label, schema, field, is_group=label in shown) for label, field in columns.items()}
    told = {label: told_of(schema, label) for label in shown if label in columns}
    changes: dict[str, Any] = dict.fromkeys(PERSONAL) | {"tenant": tenant, "retention": None, "never": ()}
    features = {name: each.model_copy(update={"retention": None}) for name, each in policy.features.items()}
    records = Records(feature=policy.records.feature, level=policy.records.level)
    whole = policy.model_copy(update={**changes, "fields": fields, "features": features, "records": records})
    linked = {label: key_in(each) for label, each in told.items() if set(each["technique"].split(",")) & set(LINKING)}
    return Entry(whole, linked, frozenset(_lost(columns)), told, aggregated=True)


def not_as_defined(data: Any, name: str, model: AggregateModel, keys: Keyring) -> Iterator[Reason]:
    """Why the groups in force may not leave at all: they are not what was defined, or were let through too easily."""
    found, below = found_of_aggregate(Path(data), name, keys)
    if any(each.severity == "error" for each in found):
        yield reason("differs", f"{name} is not what its definition says", hint="minimize verify")
    if below is not None and below < model.suppress.below:
        message = f"groups stand there from {below} subjects on, and today it is {model.suppress.below}"
        yield reason("threshold", message, hint="run its dates again")


def _is_flat(schema: pa.Schema, label: str) -> bool:
    """A histogram stays: cells of a nested column cannot be told apart by a manifest."""
    return label in schema.names and not pa.types.is_nested(schema.field(label).type)


def _column(label: str, schema: pa.Schema, field: Field | None, *, is_group: bool) -> Field:
    kind = type_word(schema.field(label).type)
    if field is None:
        return Field(key=label, type=kind, do=(Keep(),), optional=True)
    there = is_released(field) or (not is_group and bool(field.in_aggregates)) or _is_counted(schema, label)
    return Field(
        key=label,
        type=kind,
        role="quasi" if is_group and field.role == "identifier" else "plain",
        do=(Keep(),) if there else DROP,
        feature=field.feature,
        level=field.level,
        purposes=field.purposes,
        optional=True,
    )


def _is_counted(schema: pa.Schema, label: str) -> bool:
    """How many differ shows none of them."""
    return (schema.field(label).metadata or {}).get(b"minimize:measure") == b"count_distinct"


def _lost(columns: Mapping[str, Field | None]) -> Iterator[str]:
    """The columns of which settings decided record by record: that cannot be asked of groups again."""
    for label, field in columns.items():
        conditions = () if field is None else (field.collect_if, *(case.when for case in field.cases))
        if any(_asks_settings(condition) for condition in conditions if condition is not None):
            yield label


def _asks_settings(condition: Condition) -> bool:
    return any(isinstance(atom, Feature | Level) for atom in atoms(condition))
