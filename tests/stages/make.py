"""Small policies, records and settings for the tests of stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.nested import leaf, row_indices
from minimize.plan import CaseBranch, Plan
from minimize.plan.bind import examine
from minimize.policy.load import policy_from_mapping
from minimize.policy.pipeline import DeduplicateModel, Pipeline, RecordsModel, SourceModel
from minimize.records import Batch
from minimize.settings import load_settings
from minimize.settings.evaluation import SETTINGS_SCHEMA, FeatureSwitch, Settings
from minimize.settings.timeline import NO_FIELDS, FieldIds
from minimize.stages.gate import Gate
from minimize.stages.generalize import GeneralizeFields, Release
from minimize.stages.raw_values import field_place
from minimize.techniques import Context, Family, Residual, Technique, TechniqueResult, TechniqueStep
from tests.project import AT, TIME

APPS = pa.list_(pa.struct([("name", pa.string()), ("managed", pa.bool_())]))
COLUMNS: dict[str, pa.DataType] = {"tenant_id": pa.string(), "device_id": pa.string(), "event_time": TIME}
BASE: dict[str, Any] = {
    "tenant_id": {"type": "string", "do": "keep"},
    "device_id": {"type": "string", "do": "drop"},
    "event_time": {"type": "timestamp", "do": "drop"},
}


def before(**ago: float) -> datetime:
    return AT - timedelta(**ago)


def records(columns: Mapping[str, pa.DataType], *rows: Mapping[str, Any]) -> pa.RecordBatch:
    """Rows of tenant t and device d an hour ago, unless they say otherwise."""
    schema = pa.schema({**COLUMNS, **columns}.items())
    usual = {"tenant_id": "t", "device_id": "d", "event_time": before(hours=1)}
    return pa.RecordBatch.from_pylist([{**usual, **row} for row in rows], schema)


def plan_of(
    fields: Mapping[str, Any],
    schema: pa.Schema | None = None,
    columns: Mapping[str, pa.DataType] | None = None,
    pipeline: RecordsModel | None = None,
    **policy: Any,
) -> Plan:
    """A plan over these fields beside those that every policy here has, as far as one can be made."""
    body = {
        "policy": "p",
        "version": 1,
        "purposes": ["operations"],
        "tenant": "tenant_id",
        "subject": "device_id",
        "time": "event_time",
        "fields": {**BASE, **fields},
        **policy,
    }
    read = policy_from_mapping({word: said for word, said in body.items() if said is not None})
    source = SourceModel(path="x", format="parquet")
    bound = None
    if pipeline is not None:
        bound = Pipeline(pipeline="p", policy=read, purpose="operations", source=source, output="out", records=pipeline)
    schema = pa.schema({**COLUMNS, **(columns or {})}.items()) if schema is None else schema
    return examine(read, schema, purpose="operations", pipeline=bound).plan


def deduplicating(*by: str, **policy: Any) -> Plan:
    return plan_of({}, pipeline=RecordsModel(deduplicate=DeduplicateModel(by=by)), **policy)


def with_steps(plan: Plan, key: str, *steps: TechniqueStep) -> Plan:
    """The plan with these steps in place of a field's."""
    field = plan.fields[key]
    type_ = field.takes
    for step in steps:
        type_ = step.output_type(type_)
    changed = replace(field, branches=(CaseBranch(None, steps),), gives=type_)
    return replace(plan, fields={**plan.fields, key: changed})


class Beside(Technique):
    """A technique for tests: the value and what stands beside it; without the latter it cannot treat the value."""

    name: ClassVar[str] = "beside"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    residual: ClassVar[Residual] = "coarse"
    source: ClassVar[str] = "—"
    about: ClassVar[str] = "for tests"

    other: str | None = None

    def reads(self) -> frozenset[str]:
        return frozenset() if self.other is None else frozenset({self.other})

    @property
    def needs_time(self) -> bool:
        return self.other is None

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        beside = context.time if self.other is None else context.columns[self.other]
        assert beside is not None
        joined = [
            None if value is None or other is None else f"{value}/{other}"
            for value, other in zip(values.to_pylist(), beside.to_pylist(), strict=True)
        ]
        given = pa.array(joined, pa.string())
        return TechniqueResult(given, pc.and_(values.is_valid(), given.is_null()))


class Unsettled(TechniqueStep):
    """A step for tests that must see everything first."""

    name: ClassVar[str] = "unsettled"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    residual: ClassVar[Residual] = "coarse"
    source: ClassVar[str] = "—"
    about: ClassVar[str] = "for tests"


@dataclass
class Said:
    """Settings that say the same at all times: what is on per tenant. It remembers what it was asked."""

    on: Mapping[str, Sequence[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    digest: str = ""
    fields: frozenset[str] = frozenset()

    def feature_on(
        self,
        switch: FeatureSwitch,
        tenants: pa.Array,
        subjects: pa.Array | None,
        times: pa.Array | None,
        others: Mapping[str, FieldIds] = NO_FIELDS,
    ) -> pa.BooleanArray:
        self.asked.append(switch.name)
        return pa.array([switch.name in self.on.get(tenant, ()) for tenant in tenants.to_pylist()], pa.bool_())

    def level_at_least(
        self,
        level: str,
        levels: Sequence[str],
        tenants: pa.Array,
        subjects: pa.Array | None,
        times: pa.Array | None,
        others: Mapping[str, FieldIds] = NO_FIELDS,
    ) -> pa.BooleanArray:
        return self.feature_on(FeatureSwitch(level), tenants, subjects, times)


def settings(*rows: Mapping[str, Any]) -> Settings:
    """Settings over time, as the run sees them: said by the tenant's admin ten days ago, unless they say otherwise."""
    usual = {"tenant_id": "t", "holder": "admin", "valid_from": before(days=10), "recorded_at": before(days=10)}
    return load_settings(pa.Table.from_pylist([{**usual, **row} for row in rows], SETTINGS_SCHEMA)).effective_at(AT)


def gated(plan: Plan, raw: pa.RecordBatch, said: Settings | None = None) -> Batch:
    return Gate(plan, said, AT)(Batch(raw))


def closed(plan: Plan, raw: pa.RecordBatch, key: str, said: Settings | None = None) -> list[bool]:
    """Where the field's values are closed, nowhere included."""
    batch = gated(plan, raw, said)
    values = leaf(batch.raw, field_place(plan.fields[key]))
    nowhere = [False] * row_indices(values, batch.raw.num_rows).size
    found: list[bool] = batch.closed[key].to_pylist() if key in batch.closed else nowhere
    return found


def left(plan: Plan, raw: pa.RecordBatch, said: Settings | None = None) -> list[dict[str, Any]]:
    """What leaves: the records through gate, generalize and release."""
    batch = GeneralizeFields(plan, None, AT)(gated(plan, raw, said))
    rows: list[dict[str, Any]] = Release(plan).columns(batch).to_pylist()
    return rows
