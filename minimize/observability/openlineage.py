"""A run as OpenLineage events (specification 2-0-2): column lineage; START, then COMPLETE, FAIL or ABORT.

Events contain only names, counts and digests. The fields from which a column is made are DIRECT inputs: IDENTITY if the
column is kept unchanged, else TRANSFORMATION, or AGGREGATION for a measure. Fields that decide about its collection are
INDIRECT inputs. `masking` is true unless the field is kept unchanged.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from minimize.checkpoints import checkpoint
from minimize.errors import MinimizeError
from minimize.plan import Plan
from minimize.plan.model import AggregatePlan, FieldPlan
from minimize.policy.condition import fields_read_by_condition
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt
from minimize.stores import Location, ObjectPath
from minimize.techniques.redact import has_hit
from minimize.text import installed_version
from minimize.times import day_start, time_text

InputUse = tuple[str, dict[str, Any]]
"""Key of an input field, and its transformation."""
KEPT_RESIDUAL: Final = "original"


def column_lineage(plan: Plan, name: str, source: Mapping[str, str]) -> dict[str, Any]:
    """The lineage of one output's columns, as `fields` and `dataset` of the facet.

    Takes the plan, the output's name, and the input as `namespace` and `name`.
    """
    columns = _record_columns(plan) if name == "records" else _aggregate_columns(plan, plan.aggregates[name])
    whole = [*_record_filters(plan), *([] if name == "records" else _group_inputs(plan.aggregates[name]))]
    fields = {column: {"inputFields": _input_fields(inputs, source)} for column, inputs in columns}
    return {"fields": fields, "dataset": _input_fields(whole, source)}


def _record_columns(plan: Plan) -> Iterator[tuple[str, list[InputUse]]]:
    for field in plan.fields.values():
        if field.gives is not None:
            yield field.key, [*_direct_inputs(field), *_condition_inputs(plan.policy, field)]


def _aggregate_columns(plan: Plan, aggregate: AggregatePlan) -> Iterator[tuple[str, list[InputUse]]]:
    for name, key in aggregate.model.group_by.items():
        yield name, _released_inputs(plan, key.field)
    for name, measure in aggregate.model.measures.items():
        how = _transformation("DIRECT", "AGGREGATION", measure.name)
        measured_key = measure.of
        yield (
            name,
            []
            if measured_key is None
            else [
                (measured_key, how),
                *(input_use for input_use in _released_inputs(plan, measured_key) if input_use[0] != measured_key),
            ],
        )


def _released_inputs(plan: Plan, key: str) -> list[InputUse]:
    field = plan.fields.get(key)
    return [] if field is None else [*_direct_inputs(field), *_condition_inputs(plan.policy, field)]


def _direct_inputs(field: FieldPlan) -> Iterator[InputUse]:
    kept = field.residual == KEPT_RESIDUAL
    words = " → ".join(field.technique)
    how = (
        _transformation("DIRECT", "IDENTITY", words, masking=False)
        if kept
        else _transformation("DIRECT", "TRANSFORMATION", words)
    )
    for pointer in field.inputs:
        yield _field_name(pointer), how
    for key in sorted({key for step in field.steps for key in step.reads()} - {field.key}):
        yield key, _transformation("DIRECT", "TRANSFORMATION", words)


def _condition_inputs(policy: Policy, field: FieldPlan) -> Iterator[InputUse]:
    declared = field.field
    read = {
        key
        for when in (declared.collect_if, *(case.when for case in declared.cases))
        for key in fields_read_by_condition(when)
    }
    if declared.feature or declared.level:
        read |= {key for key in (policy.tenant, policy.subject, policy.time) if key}
    for key in sorted(read):
        yield key, _transformation("INDIRECT", "CONDITIONAL", "collected or not")


def _record_filters(plan: Plan) -> Iterator[InputUse]:
    """The fields that decide about whole records."""
    policy, records = plan.policy, None if plan.pipeline is None else plan.pipeline.records
    read = {
        *fields_read_by_condition(policy.records.collect_if),
        *([] if records is None else fields_read_by_condition(records.collect_if)),
    }
    if policy.records.feature or policy.records.level:
        read |= {key for key in (policy.tenant, policy.subject, policy.time) if key}
    if policy.retention is not None and policy.time is not None:
        read.add(policy.time)
    yield from ((key, _transformation("INDIRECT", "FILTER", "kept or not")) for key in sorted(read))
    if records is not None and records.deduplicate is not None:
        yield from ((key, _transformation("INDIRECT", "FILTER", "deduplicate")) for key in records.deduplicate.by)


def _group_inputs(aggregate: AggregatePlan) -> Iterator[InputUse]:
    for key in aggregate.model.group_by.values():
        yield key.field, _transformation("INDIRECT", "GROUP_BY", "group")
    yield _field_name(aggregate.definition.counting), _transformation("INDIRECT", "FILTER", "suppress")


def _input_fields(inputs: Iterable[InputUse], source: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each input field once, with all its transformations."""
    transformations_by_key: dict[str, list[dict[str, Any]]] = {}
    for key, how in inputs:
        known = transformations_by_key.setdefault(key, [])
        if how not in known:
            known.append(how)
    return [{**source, "field": key, "transformations": how} for key, how in transformations_by_key.items()]


def _transformation(kind: str, subtype: str, what: str, *, masking: bool = True) -> dict[str, Any]:
    return {"type": kind, "subtype": subtype, "description": what, "masking": masking}


def _field_name(pointer: Any) -> str:
    return pointer.top if pointer.is_flat else str(pointer)


SPEC: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACET_BASE: Final = "https://openlineage.io/spec/facets/"
FACET_VERSIONS: Final[Mapping[str, str]] = {
    "ColumnLineageDatasetFacet": "1-2-0",
    "ErrorMessageRunFacet": "1-0-1",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "NominalTimeRunFacet": "1-0-1",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
    "ProcessingEngineRunFacet": "1-1-1",
    "SchemaDatasetFacet": "1-2-0",
}
_RUN_NAMESPACE: Final = uuid.UUID("6f0e5c1e-0f0b-5b8e-9f63-6d1d6f6c2a77")
"""Namespace of the UUIDs of runs in lineage."""


@dataclass(frozen=True, slots=True)
class RunDescription:
    """The run that events describe."""

    run_id: str
    kind: str
    engine: str
    job: Pipeline
    output: Location
    """The output folder."""
    namespace: str = "minimize"
    plan: Plan | None = None
    """The plan, known once the run is resolved."""
    dates: tuple[str, ...] = ()
    """The batch dates, known once the run is resolved."""
    source: Location | None = None
    """The folder of the input, known once the run is resolved."""
    producer: str = dataclass_field(init=False, default_factory=lambda: f"urn:minimize:{installed_version('minimize')}")
    """The producer of events. Cached, because the metadata of a package is a file that must be parsed."""


def run_uuid(run_id: str) -> str:
    """The UUID of a run in lineage, derived from its run id, so that events and receipts can be matched.

    >>> run_uuid("20261125T083000Z-0123456789ab") == run_uuid("20261125T083000Z-0123456789ab")
    True
    """
    return str(uuid.uuid5(_RUN_NAMESPACE, run_id))


def start_event(about: RunDescription, at: datetime) -> dict[str, Any]:
    """The event for the start of a run."""
    outputs = () if about.plan is None else about.plan.outputs
    return _run_event(
        "START", about, at, {}, _input_datasets(about), [_output_dataset(about, name, {}) for name in outputs]
    )


def complete_event(about: RunDescription, receipt: Receipt) -> dict[str, Any]:
    """The event for a published run."""
    read = {"rowCount": receipt.rows.read, "fileCount": len(receipt.inputs)}
    inputs = _input_datasets(about, {"inputStatistics": _facet(about, "InputStatisticsInputDatasetFacet", read)})
    outputs = [
        _output_dataset(about, name, {"outputStatistics": _facet(about, "OutputStatisticsOutputDatasetFacet", count)})
        for name, count in _output_counts(receipt)
        if about.plan is not None and name in about.plan.outputs
    ]
    facets = {
        "sequence": receipt.sequence,
        "receipt": receipt.digest,
        "rows": receipt.rows.by_result,
        "categories": {name: output.category for name, output in receipt.outputs.items()},
    }
    return _run_event("COMPLETE", about, receipt.finished, facets, inputs, outputs)


def failure_event(about: RunDescription, at: datetime, error: MinimizeError | None) -> dict[str, Any]:
    """The event for a run that failed, or was stopped from outside (`error` is None)."""
    event = _run_event("ABORT" if error is None else "FAIL", about, at, {}, _input_datasets(about), [])
    if error is not None:
        facet = {"message": f"{error.code}: {error.message}", "programmingLanguage": "PYTHON"}
        event["run"]["facets"]["errorMessage"] = _facet(about, "ErrorMessageRunFacet", facet)
    return event


def _run_event(
    kind: str, about: RunDescription, at: datetime, document: Mapping[str, Any], inputs: list[Any], outputs: list[Any]
) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": time_text(at),
        "producer": about.producer,
        "schemaURL": SPEC,
        "run": {"runId": run_uuid(about.run_id), "facets": _run_facets(about, document)},
        "job": {
            "namespace": about.namespace,
            "name": about.job.run_name,
            "facets": {"jobType": _facet(about, "JobTypeJobFacet", _JOB_TYPE)},
        },
        "inputs": inputs,
        "outputs": outputs,
    }


_JOB_TYPE: Final = {"processingType": "BATCH", "integration": "MINIMIZE", "jobType": "JOB"}


def _run_facets(about: RunDescription, document: Mapping[str, Any]) -> dict[str, Any]:
    policy = about.job.policy
    facet = {
        "_producer": about.producer,
        "_schemaURL": f"{about.producer}#run",
        "run_id": about.run_id,
        "kind": about.kind,
        "purpose": about.job.purpose,
        "dates": list(about.dates),
        "policy": {"name": policy.policy, "version": policy.version, "digest": policy.digest},
        **document,
    }
    engine = {"version": installed_version("minimize"), "name": f"minimize ({about.engine})"}
    facets = {"processing_engine": _facet(about, "ProcessingEngineRunFacet", engine), "minimize": facet}
    return facets | ({"nominalTime": _nominal_time(about)} if about.dates else {})


def _nominal_time(about: RunDescription) -> dict[str, Any]:
    """The period from the start of the first batch date to the end of the last."""
    first, last = (day_start(day) for day in (min(about.dates), max(about.dates)))
    span = {"nominalStartTime": time_text(first), "nominalEndTime": time_text(last + timedelta(days=1))}
    return _facet(about, "NominalTimeRunFacet", span)


def _source_dataset(about: RunDescription) -> dict[str, str]:
    return {"namespace": "file", "name": ""} if about.source is None else name_dataset(about.source)


def _input_datasets(about: RunDescription, facets: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The input dataset, if it is already known."""
    if about.source is None:
        return []
    declared = [{"name": key, "type": field.type} for key, field in about.job.policy.fields.items() if not field.from_]
    schema = _facet(about, "SchemaDatasetFacet", {"fields": declared})
    return [{**_source_dataset(about), "facets": {"schema": schema}, "inputFacets": dict(facets or {})}]


def _output_dataset(about: RunDescription, name: str, facets: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if about.plan is not None:
        columns = {"fields": [_schema_field(field) for field in about.plan.outputs[name].schema]}
        checkpoint("lineage.described")
        lineage = column_lineage(about.plan, name, _source_dataset(about))
        said["schema"] = _facet(about, "SchemaDatasetFacet", columns)
        said["columnLineage"] = _facet(about, "ColumnLineageDatasetFacet", lineage)
    return {
        **name_dataset(about.output / name),
        "facets": said,
        "outputFacets": dict(facets),
    }


def _schema_field(field: pa.Field) -> dict[str, Any]:
    body = {"name": field.name, "type": str(field.type)}
    if not pa.types.is_struct(field.type):
        return body
    return {
        **body,
        "type": "struct",
        "fields": [_schema_field(field.type.field(at)) for at in range(field.type.num_fields)],
    }


def _output_counts(receipt: Receipt) -> list[tuple[str, dict[str, int]]]:
    outputs = receipt.outputs.items()
    return [(name, {"rowCount": output.rows, "fileCount": len(output.files)}) for name, output in outputs]


def _facet(about: RunDescription, kind: str, document: Mapping[str, Any]) -> dict[str, Any]:
    url = f"{FACET_BASE}{FACET_VERSIONS[kind]}/{kind}.json#/$defs/{kind}"
    return {"_producer": about.producer, "_schemaURL": url, **document}


def name_dataset(place: Location) -> dict[str, str]:
    """A folder as a dataset of lineage. Its namespace is the file system or the bucket.

    >>> from minimize.stores import parse_location
    >>> name_dataset(parse_location("s3://data/in/tenant=north?region=eu-west-1"))
    {'namespace': 's3://data', 'name': 'in/#'}
    """
    if isinstance(place, ObjectPath):
        return {"namespace": str(place.bucket), "name": _mask_parts(place.parts)}
    return {"namespace": "file", "name": mask_path(place)}


def mask_path(path: Path) -> str:
    """A folder's path in lineage. Parts that could be values are replaced by a mark.

    >>> mask_path(Path("/data/tenant=north/in")), mask_path(Path("/data/ann@example.com"))
    ('/data/#/in', '/data/#')
    """
    return "/" + _mask_parts(path.absolute().parts[1:])


def _mask_parts(parts: Sequence[str]) -> str:
    return "/".join("#" if "=" in part or has_hit(part) else part for part in parts)
