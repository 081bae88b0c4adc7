"""What can be said of a pipeline before it runs: its plan, a preview, everything that lint finds, a first draft."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.engines.base import Job
from minimize.engines.local import batches
from minimize.engines.passes import through, way_through
from minimize.errors import ConfigurationError, Finding, PolicyError
from minimize.io import declared_schema
from minimize.io.discover import discover
from minimize.job.given import as_pipeline, bind_all, found_files, load_job_settings, open_sources, resolve, veil
from minimize.plan import Plan, bind, request
from minimize.plan.bind import examine
from minimize.plan.model import FieldPlan
from minimize.policy import lint as rules
from minimize.policy.init import draft
from minimize.policy.pipeline import Pipeline
from minimize.settings.base import Settings
from minimize.stages.release import Release
from minimize.times import moment

PathOrPipeline = Pipeline | str | PathLike[str]


def plan_for(pipeline: PathOrPipeline, *, input: str | PathLike[str] | None = None) -> Plan:  # noqa: A002
    """The plan of a pipeline: bound to its source where there is one, else to the types that the policy names.

    Raises PolicyError, SchemaError and RefusedError as a run would.
    """
    job = as_pipeline(pipeline)
    sources = open_sources(job, found_files(job, input, None), None, veil(job, None))
    if sources:
        return bind_all(job, sources)
    asked = request(job.policy, job.purpose, job)
    return bind(job.policy, declared_schema(asked), purpose=job.purpose, pipeline=job)


def effective(plan: Plan, tenant: str, *, at: datetime | str | None = None, settings: Any = None) -> Plan:
    """The plan as it is for one tenant at one time: what is gated is either open or dropped, and says why."""
    if plan.pipeline is None:
        raise ConfigurationError("this plan has no pipeline", hint="settings belong to pipelines")
    rows = load_job_settings(settings, plan.pipeline)
    when = moment(at) or datetime.now(UTC)
    now = None if rows is None else rows.at(when)
    fields = {key: _effective(plan, field, now, tenant, when) for key, field in plan.fields.items()}
    return replace(plan, fields=fields)


def preview_rows(
    plan: Plan,
    rows: int,
    *,
    at: datetime | str | None = None,
    input: str | PathLike[str] | None = None,  # noqa: A002
    settings: Any = None,
    keys: Any = None,
) -> pa.Table:
    """The first rows as they would leave in a run."""
    if plan.pipeline is None:
        raise ConfigurationError("this plan has no pipeline", hint="a preview reads the pipeline's source")
    given = resolve(plan.pipeline, date=None, at=at, input=input, settings=settings, output="unused", keys=keys)
    job = Job(plan, given.at, given.keys, None if given.settings is None else given.settings.at(given.at), b"")
    release = Release(plan, schema=job.records_schema)
    found = list(_first(job, given.sources, release, rows))
    return pa.Table.from_batches(found, schema=job.records_schema).slice(0, rows)


def lint(pipeline: PathOrPipeline) -> list[Finding]:
    """All faults and risky choices, worst first: those of the files, of the plan, of settings, and against the source."""
    try:
        job = as_pipeline(pipeline)
    except PolicyError as error:
        return list(error.findings)
    examined = examine(job.policy, _lint_schema(job), purpose=job.purpose, pipeline=job)
    found = [*examined.faults, *examined.refused, *_ruled(job)]
    return sorted(dict.fromkeys(found), key=lambda finding: (finding.severity, finding.file or "", finding.line or 0))


def init(data: str | PathLike[str], folder: str | PathLike[str]) -> list[Path]:
    """Writes a policy in which every field of the data is dropped, and a pipeline for it; never over existing files."""
    target = Path(folder)
    source = Path(data).absolute()
    files = {
        target / "policy.yaml": draft(discover(source), target.name),
        target / "pipeline.yaml": _PIPELINE.format(name=target.name, path=source, format=_format_of(source)),
    }
    standing = [path for path in files if path.exists()]
    if standing:
        raise ConfigurationError(f"{standing[0]} exists", hint="choose another folder; nothing was written")
    target.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)


_PIPELINE = """pipeline: {name}
policy: policy.yaml
purpose: operations
source: {{path: "{path}", format: {format}}}
output: out
records: {{must_be: pseudonymized}}
quarantine: {{fail_above: 0.01}}
"""


def _format_of(data: Path) -> str:
    names = [data.name] if data.is_file() else [path.name for path in sorted(data.rglob("*")) if path.is_file()]
    for word, endings in (("parquet", (".parquet",)), ("csv", (".csv", ".csv.gz", ".csv.zst"))):
        if names and names[0].endswith(endings):
            return word
    return "ndjson"


def _first(job: Job, sources: Mapping[Any, Any], release: Release, rows: int) -> Iterator[pa.RecordBatch]:
    left = rows
    for source in sources.values():
        stages = way_through(job, lambda source=source: batches(source))
        for batch in batches(source):
            released = release.columns(through(stages, batch))
            yield released
            left -= released.num_rows
            if left <= 0:
                return


def _effective(plan: Plan, field: FieldPlan, settings: Settings | None, tenant: str, at: datetime) -> FieldPlan:
    closed = [] if field.action == "drop" else list(_closed_by(plan, field, settings, tenant))
    if not closed:
        return field
    why = f"{' and '.join(closed)} for this tenant at {at:%Y-%m-%dT%H:%M:%SZ}"
    return replace(field, action="drop", technique=("drop",), why=why, leaves=None)


def _closed_by(plan: Plan, field: FieldPlan, settings: Settings | None, tenant: str) -> Iterator[str]:
    tenants = pa.array([tenant], pa.string())
    if field.field.feature is not None:
        holders = plan.policy.features[field.field.feature].holders
        on = settings is not None and settings.feature_on(field.field.feature, holders, tenants, None, None)[0].as_py()
        if not on:
            yield f"feature {field.field.feature} is off"
    if field.field.level is not None:
        reached = field.field.level == plan.policy.levels[0] or (
            settings is not None
            and settings.level_at_least(field.field.level, plan.policy.levels, tenants, None, None)[0].as_py()
        )
        if not reached:
            yield f"level is below {field.field.level}"


def _lint_schema(job: Pipeline) -> pa.Schema:
    return declared_schema(request(job.policy, job.purpose, job))


def _ruled(job: Pipeline) -> list[Finding]:
    columns = _columns(job)
    rows = None if job.settings is None or not (job.folder / job.settings).exists() else load_job_settings(None, job)
    siblings = rules.policies_in(job.folder.parent)
    kinds = None if rows is None else rows.kinds()
    return rules.lint(job, columns=columns, settings_rows=kinds, siblings=siblings)


def _columns(job: Pipeline) -> list[str] | None:
    from minimize.io.find import find

    files = [path for group in find(job.source.path, job.folder).files.values() for path in islice(group, 3)]
    return sorted({name for path in files[:3] for name, _ in discover(path)}) or None
