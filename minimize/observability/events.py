"""A run as OpenLineage events (specification 2-0-2): START, then COMPLETE, FAIL or ABORT. Names, counts and digests only."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from minimize.errors import MinimizeError
from minimize.installed import version
from minimize.observability.columns import column_lineage
from minimize.plan import Plan
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt, time_text
from minimize.stores import Place, Remote
from minimize.techniques.redact import hits

SPEC: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS: Final = "https://openlineage.io/spec/facets/"
VERSIONS: Final[Mapping[str, str]] = {
    "ColumnLineageDatasetFacet": "1-2-0",
    "ErrorMessageRunFacet": "1-0-1",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "NominalTimeRunFacet": "1-0-1",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
    "ProcessingEngineRunFacet": "1-1-1",
    "SchemaDatasetFacet": "1-2-0",
}
_RUNS: Final = uuid.UUID("6f0e5c1e-0f0b-5b8e-9f63-6d1d6f6c2a77")
"""The namespace of the ids that runs have in lineage."""


@dataclass(frozen=True, slots=True)
class About:
    """The run that events are about.

    output  the output folder
    plan, dates, source  what is known once the run is resolved: its plan, its batch dates, the folder that the input lies in
    """

    run_id: str
    kind: str
    engine: str
    job: Pipeline
    output: Place
    namespace: str = "minimize"
    plan: Plan | None = None
    dates: tuple[str, ...] = ()
    source: Place | None = None
    producer: str = field(init=False, default_factory=lambda: f"urn:minimize:{version('minimize')}")
    """Who tells: looked up once, for a package's metadata is a file to be parsed."""


def run_uuid(run_id: str) -> str:
    """The id of a run in lineage: made from its own, so that both can be found from the other.

    >>> run_uuid("20261125T083000Z-0123456789ab") == run_uuid("20261125T083000Z-0123456789ab")
    True
    """
    return str(uuid.uuid5(_RUNS, run_id))


def started(about: About, at: datetime) -> dict[str, Any]:
    """The event of a run that begins."""
    outputs = () if about.plan is None else about.plan.outputs
    return _event("START", about, at, {}, _inputs(about), [_output(about, name, {}) for name in outputs])


def completed(about: About, receipt: Receipt) -> dict[str, Any]:
    """The event of a run that was published."""
    read = {"rowCount": receipt.rows.read, "fileCount": len(receipt.inputs)}
    inputs = _inputs(about, {"inputStatistics": _facet(about, "InputStatisticsInputDatasetFacet", read)})
    outputs = [
        _output(about, name, {"outputStatistics": _facet(about, "OutputStatisticsOutputDatasetFacet", count)})
        for name, count in _counts(receipt)
        if about.plan is not None and name in about.plan.outputs
    ]
    said = {
        "sequence": receipt.sequence,
        "receipt": receipt.digest,
        "rows": {name: getattr(receipt.rows, name) for name in FATES},
        "categories": {name: output.category for name, output in receipt.outputs.items()},
    }
    return _event("COMPLETE", about, receipt.finished, said, inputs, outputs)


def failed(about: About, at: datetime, error: MinimizeError | None) -> dict[str, Any]:
    """The event of a run that failed, or (without an error of ours) was stopped from outside."""
    event = _event("ABORT" if error is None else "FAIL", about, at, {}, _inputs(about), [])
    if error is not None:
        said = {"message": f"{error.code}: {error.message}", "programmingLanguage": "PYTHON"}
        event["run"]["facets"]["errorMessage"] = _facet(about, "ErrorMessageRunFacet", said)
    return event


FATES: Final = ("read", "written", "gated", "quarantined", "suppressed", "deduplicated")


def _event(
    kind: str, about: About, at: datetime, said: Mapping[str, Any], inputs: list[Any], outputs: list[Any]
) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": time_text(at),
        "producer": about.producer,
        "schemaURL": SPEC,
        "run": {"runId": run_uuid(about.run_id), "facets": _run_facets(about, said)},
        "job": {
            "namespace": about.namespace,
            "name": about.job.pipeline,
            "facets": {"jobType": _facet(about, "JobTypeJobFacet", _JOB_TYPE)},
        },
        "inputs": inputs,
        "outputs": outputs,
    }


_JOB_TYPE: Final = {"processingType": "BATCH", "integration": "MINIMIZE", "jobType": "JOB"}


def _run_facets(about: About, said: Mapping[str, Any]) -> dict[str, Any]:
    policy = about.job.policy
    own = {
        "_producer": about.producer,
        "_schemaURL": f"{about.producer}#run",
        "run_id": about.run_id,
        "kind": about.kind,
        "purpose": about.job.purpose,
        "dates": list(about.dates),
        "policy": {"name": policy.policy, "version": policy.version, "digest": policy.digest},
        **said,
    }
    engine = {"version": version("minimize"), "name": f"minimize ({about.engine})"}
    facets = {"processing_engine": _facet(about, "ProcessingEngineRunFacet", engine), "minimize": own}
    return facets | ({"nominalTime": _nominal(about)} if about.dates else {})


def _nominal(about: About) -> dict[str, Any]:
    """From the beginning of the first batch date to the end of the last."""
    first, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (min(about.dates), max(about.dates)))
    span = {"nominalStartTime": time_text(first), "nominalEndTime": time_text(last + timedelta(days=1))}
    return _facet(about, "NominalTimeRunFacet", span)


def _source(about: About) -> dict[str, str]:
    return {"namespace": "file", "name": ""} if about.source is None else named(about.source)


def _inputs(about: About, facets: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The one input, where it is known yet."""
    if about.source is None:
        return []
    declared = [{"name": key, "type": field.type} for key, field in about.job.policy.fields.items() if not field.from_]
    schema = _facet(about, "SchemaDatasetFacet", {"fields": declared})
    return [{**_source(about), "facets": {"schema": schema}, "inputFacets": dict(facets or {})}]


def _output(about: About, name: str, facets: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if about.plan is not None:
        columns = {"fields": [_column(field) for field in about.plan.outputs[name].schema]}
        lineage = column_lineage(about.plan, name, _source(about))
        said["schema"] = _facet(about, "SchemaDatasetFacet", columns)
        said["columnLineage"] = _facet(about, "ColumnLineageDatasetFacet", lineage)
    return {
        **named(about.output / name),
        "facets": said,
        "outputFacets": dict(facets),
    }


def _column(field: pa.Field) -> dict[str, Any]:
    said = {"name": field.name, "type": str(field.type)}
    if not pa.types.is_struct(field.type):
        return said
    return {**said, "type": "struct", "fields": [_column(field.type.field(at)) for at in range(field.type.num_fields)]}


def _counts(receipt: Receipt) -> list[tuple[str, dict[str, int]]]:
    outputs = receipt.outputs.items()
    return [(name, {"rowCount": output.rows, "fileCount": len(output.files)}) for name, output in outputs]


def _facet(about: About, kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
    url = f"{FACETS}{VERSIONS[kind]}/{kind}.json#/$defs/{kind}"
    return {"_producer": about.producer, "_schemaURL": url, **said}


def named(place: Place) -> dict[str, str]:
    """A folder as a dataset of lineage: its namespace is the file system, or the bucket.

    >>> from minimize.stores import where
    >>> named(where("s3://house/in/tenant=north?region=eu-west-1"))
    {'namespace': 's3://house', 'name': 'in/#'}
    """
    if isinstance(place, Remote):
        return {"namespace": str(place.bucket), "name": _marked(place.parts)}
    return {"namespace": "file", "name": shown(place)}


def shown(path: Path) -> str:
    """A folder's path as lineage names it; a part that may be a value is a mark.

    >>> shown(Path("/data/tenant=north/in")), shown(Path("/data/ann@example.com"))
    ('/data/#/in', '/data/#')
    """
    return "/" + _marked(path.absolute().parts[1:])


def _marked(parts: Sequence[str]) -> str:
    return "/".join("#" if "=" in part or hits(part) else part for part in parts)
