"""A pipeline before it runs: its plan, a preview of released rows, and all findings of lint."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from minimize import linting as rules
from minimize.aggregates.noise import NoiseKey
from minimize.aggregates.table_utility import TableUtility
from minimize.aggregates.tally import AggregateTally
from minimize.arrow.interchange import decode_batch
from minimize.arrow.pointers import Pointer
from minimize.datasets.pipelines import LEDGER_SETTINGS, pipeline_from
from minimize.drafting.proposals import KIND_NAMES
from minimize.drafting.values import IDENTIFYING_KINDS, ValueSummary, discover_fields, summarize_source
from minimize.engines.base import Job, derive_row_key
from minimize.engines.local import read_batches, share_batches
from minimize.engines.passes import run_stages, settle_stages
from minimize.errors import ConfigurationError, Finding, KeyringError, LedgerError, PolicyError, redact_errors
from minimize.identifiers import canonical_text
from minimize.keys import find_keyring
from minimize.linting.fields import is_below_full, may_identify
from minimize.linting.rules import LintSetting
from minimize.plan import Plan, request
from minimize.plan.bind import ExaminedPlan
from minimize.plan.tenant import plan_for_tenant
from minimize.policy.load import examine_pipeline
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.roles import EMAIL_KIND
from minimize.receipts.parts import RiskEntry
from minimize.receipts.receipt import risk_text
from minimize.recipients import inbound
from minimize.results import Line, Paragraph, Records, json_object
from minimize.runs.batch_dates import BatchDate
from minimize.runs.deciding_function import consent_periods, find_deciding_function
from minimize.runs.inputs import (
    SubjectActs,
    examine_job,
    examine_sources,
    find_input_files,
    load_subject_acts,
    open_sources,
    path_mask,
    subject_names,
)
from minimize.runs.minimizer import require_keys
from minimize.runs.overrides import require_override
from minimize.runs.resolve import PLAIN_REQUEST, RunRequest
from minimize.settings import SettingsRows
from minimize.settings.evaluation import LEVEL_SETTING
from minimize.settings.tenants import UnknownTenant, find_unknown_tenant, unknown_tenant_json
from minimize.settings.tokenized import LedgerRows
from minimize.sources import declared_schema, format_by_name
from minimize.sources.base import Source
from minimize.sources.file_discovery import find_files, hive_partitions
from minimize.spill import SpillSpace, find_budget
from minimize.stages.corrections import find_corrections
from minimize.stages.generalize import Release
from minimize.stores import PathText
from minimize.times import parse_time, time_text
from minimize.workspace import Workspace

PathOrPipeline = Pipeline | PathText
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
FILES_TO_INSPECT: Final = 3
"""Number of files of a source that lint reads."""


@dataclass(frozen=True, slots=True)
class PlanPreview:
    """A plan, for one tenant if there is one, with the first rows as they would be released, and what to expect of the tables."""

    plan: Plan
    tenant: str | None = None
    at: datetime | None = None
    unknown_tenant: UnknownTenant | None = None
    rows: pa.Table | None = None
    tables: Sequence[TableUtility] = ()
    risk: Mapping[str, RiskEntry] = field(default_factory=dict)
    """By batch date, the disclosure risk that the last run states."""

    def to_json(self) -> dict[str, Any]:
        """The plan as `plan --json` prints it."""
        at = None if self.at is None else time_text(self.at)
        tenant = {"tenant": self.tenant, "at": at, **unknown_tenant_json(self.unknown_tenant)}
        rows = {} if self.rows is None else {"preview": self.rows.to_pylist()}
        tables = {"tables": [each.to_json() for each in self.tables]} if self.tables else {}
        risk = {"risk": {date: json_object(entry) for date, entry in self.risk.items()}} if self.risk else {}
        return self.plan.to_json() | (tenant if self.tenant is not None else {}) | rows | tables | risk

    def lines(self) -> Iterator[Line]:
        """The plan, whether the tenant is unknown, and the rows."""
        yield from self.plan.lines()
        if self.unknown_tenant is not None:
            yield str(self.unknown_tenant)
        if self.rows is not None:
            yield from ("", "released rows" if self.rows.num_rows else "no row would be released")
            rows = [[*map(_value_text, row.values())] for row in self.rows.to_pylist()]
            yield Records("", self.rows.column_names, rows)
        if self.tables:
            yield from ("", "tables")
            yield from (Paragraph(line, "  ") for table in self.tables for line in table.lines())
        if self.risk:
            yield from ("", "what can still be learned, as of the last run of each date")
            yield from (
                Paragraph(f"{date or 'records'}: {risk_text(entry)}", "  ") for date, entry in self.risk.items()
            )


def _value_text(value: Any) -> str:
    """A value as text: times in ISO 8601, nested values as JSON."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool | list | dict):
        return json.dumps(value, default=_value_text, ensure_ascii=False)
    return "null" if value is None else str(value)


def preview_plan(
    plan: Plan,
    request: RunRequest = PLAIN_REQUEST,
    *,
    keys: Any = None,
    tenant: str | None = None,
    preview: int | PathText | None = None,
    tables: Sequence[TableUtility] = (),
    risk: Mapping[str, RiskEntry] = MappingProxyType({}),
) -> PlanPreview:
    """The plan for a tenant at the time of a request, with its source and settings. `preview` adds so many rows as they would be
    released or, for a file or folder of records, what to expect of the tables of aggregates; `tables` is what to expect of them
    otherwise. `risk` is the disclosure risk that the last runs state, by batch date."""
    unknown, at = None, parse_time(request.at, "at")
    if tenant is not None:
        known = plan_settings(plan, request.settings, keys=keys)
        unknown = find_unknown_tenant(tenant, known, (plan.pipeline or plan.policy).config)
        plan = effective_plan(plan, tenant, at=at, settings=known)
    rows = None
    if isinstance(preview, int):
        rows = preview_rows(plan, preview, request, keys=keys)
    elif preview is not None:
        tables = preview_tables(plan, preview, request, keys=keys)
    return PlanPreview(plan, tenant, at, unknown, rows, tables, risk)


@redact_errors
def plan_for(pipeline: PathOrPipeline, *, input: PathText | None = None) -> Plan:
    """What a run of a pipeline would do with each field, without reading a record.

    The plan is bound to the source if it exists, else to the types that the policy names. A run with the same arguments would
    raise the same errors.

    Args:
        pipeline: A folder, a pipeline.yaml or a loaded Pipeline.
        input: The path of other input than the pipeline's source.

    Returns:
        A `Plan`. Its `fields` have the action, technique, residual and category of each field, its `outputs` the schemas.

    Raises:
        PolicyError: A file has faults. The findings list all of them.
        SchemaError: The source and the policy do not fit together.
        RefusedError: An output would exceed what the pipeline permits, such as `must_be`.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> plan = minimize.plan_for("pipelines/device_telemetry")
        >>> [(key, plan.fields[key].action, plan.fields[key].residual) for key in ("tenant_id", "device_id", "ip_address")]
        [('tenant_id', 'keep', 'original'), ('device_id', 'transform', 'linkable'), ('ip_address', 'transform', 'coarse')]
    """
    job = pipeline_from(pipeline)
    deciding = find_deciding_function(job, Workspace(pipeline=job).now)
    if deciding is not None:
        deciding.check(job)
    return examine_plan(job, input=input).require_allowed()


def inspect_plan(
    pipeline: PathOrPipeline, request: RunRequest, *, keys: Any = None, tenant: str | None = None, preview: bool = False
) -> ExaminedPlan:
    """The plan together with its faults, for the current actor.

    The actor needs permissions for the settings of a tenant that are in the ledger, and for a preview with another source or
    other settings than those of the pipeline. Raises AccessDenied.
    """
    workspace = Workspace(pipeline=pipeline, keys=keys)
    if tenant is not None:
        workspace.require_settings(request.settings, tenant)
    if preview and (request.input or request.settings):
        require_override(workspace, request, writes=False)
    return examine_plan(pipeline, input=request.input)


def examine_plan(pipeline: PathOrPipeline, *, input: PathText | None = None) -> ExaminedPlan:
    """The plan together with its faults, for callers that need the plan despite the faults."""
    job = pipeline_from(pipeline)
    files, now = find_input_files(job, input, None), Workspace(pipeline=job).now
    return examine_sources(job, open_sources(job, files, path_mask(job, None), at=now))


def declared_plan(pipeline: Pipeline) -> ExaminedPlan:
    """The plan by the types that the policy names, together with its faults."""
    return examine_job(pipeline, declared_schema(request(pipeline.policy, pipeline.purpose, pipeline)))


def effective_plan(plan: Plan, tenant: str, *, at: datetime | str | None = None, settings: Any = None) -> Plan:
    """The plan for one tenant at one time. Each gated field is either open or dropped, with the reason."""
    rows = plan_settings(plan, settings)
    when = parse_time(at, "at") or Workspace(pipeline=plan.pipeline).now
    return plan_for_tenant(plan, None if rows is None else rows.effective_at(when), tenant, when)


def plan_settings(plan: Plan, settings: Any = None, *, keys: Any = None) -> SettingsRows | None:
    """The settings of a plan's pipeline, or their replacement. Raises ConfigurationError for a plan without a pipeline."""
    if plan.pipeline is None:
        raise ConfigurationError(
            "the plan has no pipeline, so it has no settings", hint="Make the plan from a pipeline."
        )
    return Workspace(pipeline=plan.pipeline, keys=keys).load_settings(settings)


def preview_rows(plan: Plan, rows: int, request: RunRequest = PLAIN_REQUEST, *, keys: Any = None) -> pa.Table:
    """The first rows as a run would release them: without erased subjects, with corrected values, and of received data only what
    tenants consented to.

    Takes a pipeline's plan, the number of rows, and a request whose time, source and settings count. A keyring is needed only if
    the plan needs a key. Raises ConfigurationError for a plan without a pipeline, and the errors that `run` raises before it
    reads.
    """
    job, sources = _preview_job(plan, request, keys=keys)
    return pa.Table.from_batches(_first_rows(job, sources, rows), schema=job.records_schema).slice(0, rows)


def preview_tables(
    plan: Plan, data: PathText, request: RunRequest = PLAIN_REQUEST, *, keys: Any = None
) -> tuple[TableUtility, ...]:
    """What to expect of each table of aggregates that is made of some data, as if all of it belonged to one date.

    Takes a pipeline's plan and a file or folder of records; with batch dates in its path, the newest date counts. The result
    has exact numbers, for readers of the data: it must not be published. Raises like `preview_rows`.
    """
    when = parse_time(request.at, "at") or Workspace(pipeline=plan.pipeline).now
    job, sources = _preview_job(plan, replace(request, at=when, input=data), keys=keys, date=when.date())
    if not sources:
        raise ConfigurationError(
            "there are no files to preview", hint="Pass a file or a folder of the source's format."
        )
    hasher = NoiseKey.random().hasher
    tallies = {
        name: AggregateTally(table.definition, job.space, hasher=hasher)
        for name, table in plan.aggregates.items()
        if not table.is_rollup
    }
    source = sources[max(sources, key=str)]
    stages = settle_stages(job, partial(share_batches, source))
    for batch in read_batches(source):
        released = run_stages(stages, batch)
        for tally in tallies.values():
            tally.observe(released)
    return tuple(
        TableUtility.of_preview(plan.aggregates[name].definition, *tally.contributions())
        for name, tally in tallies.items()
    )


def _preview_job(
    plan: Plan, request: RunRequest, *, keys: Any, date: BatchDate = None
) -> tuple[Job, Mapping[BatchDate, Source]]:
    if plan.pipeline is None:
        raise ConfigurationError(
            "the plan has no pipeline, so there is no source to preview", hint="Make the plan from a pipeline."
        )
    workspace = Workspace(pipeline=plan.pipeline, keys=keys)
    keyring = workspace.keyring_or_none
    require_keys(plan, keyring)
    now = workspace.now
    when = parse_time(request.at, "at") or now
    known = workspace.load_settings(request.settings)
    people = SubjectActs() if keyring is None else load_subject_acts(workspace)
    source_files = find_input_files(plan.pipeline, request.input, date)
    sources = open_sources(
        plan.pipeline, source_files, path_mask(plan.pipeline, keyring), subject_names(people, known), at=when
    )
    job = Job(
        plan,
        when,
        keyring,
        None if known is None else known.effective_at(when),
        row_key=derive_row_key(keyring),
        space=SpillSpace(find_budget(plan.pipeline.config)),
        erased=people.erased.effective_at(when, plan.policy.future),
        corrected=find_corrections(people.corrected, plan.policy, when, keyring),
        consents=consent_periods(plan.pipeline, people.consents, when, now),
    )
    return job, sources


@redact_errors
def lint(pipeline: PathOrPipeline, *, keys: Any = None) -> list[Finding]:
    """Finds the faults and risky choices of a pipeline: in its files, plan and settings, and between policy and source.

    A finding contains no value of a record.

    Args:
        pipeline: A folder, a pipeline.yaml or a loaded Pipeline.
        keys: A keyring or its path. If one is passed or found, lint checks that it has the keys that the policy names.

    Returns:
        The `Finding` objects, errors first. Empty if there is nothing to report.

    Raises:
        PolicyError: A file cannot be read at all.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> findings = minimize.lint("pipelines/device_telemetry")
        >>> [each.code for each in findings if each.severity == "error"]
        []
    """
    job, faults = (pipeline, []) if isinstance(pipeline, Pipeline) else examine_pipeline(Path(pipeline))
    if any(map(_is_unreadable, faults)):
        raise PolicyError("a file cannot be read", findings=faults)
    findings = [
        *faults,
        *([] if job is None else [*_lint_plan(job, faults), *inbound.lint_source(job), *_missing_keys(job, keys)]),
    ]
    return sorted(
        dict.fromkeys(findings), key=lambda finding: (finding.severity, finding.file or "", finding.line or 0)
    )


def _first_rows(job: Job, sources: Mapping[Any, Source], rows: int) -> Iterator[pa.RecordBatch]:
    remaining_count, release = rows, Release(job.plan, schema=job.records_schema, secret=job.row_key)
    for source in sources.values():
        stages = settle_stages(job, partial(share_batches, source))
        for batch in read_batches(source):
            released = decode_batch(release.columns(run_stages(stages, batch)), job.records_schema)
            yield released
            remaining_count -= released.num_rows
            if remaining_count <= 0:
                return


def _lint_plan(job: Pipeline, faults: Sequence[Finding]) -> list[Finding]:
    """The findings of a pipeline's plan. For a pipeline with faults, only findings that the faults cannot have caused."""
    if faults:
        return rules.independent_of_faults(faults, rules.lint(job, columns=_source_columns(job)[0]))
    examined = declared_plan(job)
    return [*examined.faults, *examined.refused, *_lint_rules(job)]


def _missing_keys(job: Pipeline, keys: Any) -> Iterator[Finding]:
    """Keys that the policy names and the keyring does not have; empty if there is no keyring yet."""
    reason = ""
    try:
        keyring = find_keyring(keys, job.config)
        known = None if keyring is None else keyring.names()
    except KeyringError as error:
        reason, known = error.message, ()
    if known is not None:
        yield from rules.missing_keys(job, known, reason)


def _is_unreadable(finding: Finding) -> bool:
    return finding.code == "P001" and finding.file is not None and not os.access(finding.file, os.R_OK)


def _lint_rules(job: Pipeline) -> list[Finding]:
    rows, faults = _lint_settings(job)
    columns, unseen = _source_columns(job)
    siblings = rules.policies_in_tree(job.folder.parent)
    kinds = None if rows is None else list(_setting_kinds(rows, job.policy, siblings))
    looks = {} if columns is None else _value_kinds(job)
    values = {pointer: KIND_NAMES[look.kind] for pointer, look in looks.items() if look.kind in IDENTIFYING_KINDS}
    contacts = {pointer: EMAIL_KIND for pointer, look in looks.items() if look.kind == "email"}
    odd = (
        []
        if rows is None
        else [
            *rules.noncanonical_rows(rows.file, rows.lines_of(rows.noncanonical)),
            *rules.user_rows_of_tenants(rows.file, rows.lines_of(rows.user_rows_of_tenants(job.policy.features))),
        ]
    )
    findings = rules.lint(
        job, columns=columns, settings_rows=kinds, values=values, contacts=contacts, siblings=siblings
    )
    return [*faults, *odd, *unseen, *findings]


def _setting_kinds(rows: SettingsRows, policy: Policy, siblings: Sequence[Policy]) -> Iterator[LintSetting]:
    """Setting, holder and value of the rows, with the policy's spelling. Of a ledger, without features of other policies."""
    own_spellings = {
        canonical_text(name, fold=True): name for name in (*policy.features, *policy.levels, LEVEL_SETTING)
    }
    others = {canonical_text(name, fold=True) for sibling in siblings for name in (*sibling.features, LEVEL_SETTING)}
    is_shared = isinstance(rows, LedgerRows)
    for kind in rows.kinds():
        declared = kind.setting in policy.levels or (
            kind.setting in own_spellings and (kind.setting != LEVEL_SETTING or policy.levels)
        )
        if declared or not (is_shared and kind.setting in others):
            yield own_spellings.get(kind.setting, kind.setting), kind.holder, own_spellings.get(kind.value, kind.value)


def _value_kinds(job: Pipeline) -> Mapping[Pointer, ValueSummary]:
    """The kinds of the first values in the source, for fields that may identify a person or may be addresses."""
    inspected_fields = (
        field for field in job.policy.fields.values() if may_identify(field) or is_below_full(field, job.policy)
    )
    fields = {field.pointer: field.type for field in inspected_fields if not field.from_}
    return summarize_source(job.source.path, fields, job.folder) if fields else {}


def _lint_settings(job: Pipeline) -> tuple[SettingsRows | None, Sequence[Finding]]:
    """The settings that the pipeline names, or their findings."""
    if job.settings is None:
        return None, ()
    if job.settings != LEDGER_SETTINGS and not (job.folder / job.settings).exists():
        return None, [rules.missing_settings(job)]
    try:
        return Workspace(pipeline=job).load_settings(), ()
    except PolicyError as error:
        return None, error.findings
    except (LedgerError, KeyringError) as error:
        reason = error.message
    return None, [rules.missing_settings(job, reason)]


def _source_columns(job: Pipeline) -> tuple[list[str] | None, Sequence[Finding]]:
    """The columns of the first files of the source, including Hive partitions; None if no file can be read."""
    try:
        return _read_columns(job) or None, ()
    except ConfigurationError as error:
        reason = error.message
    return None, [rules.unreadable_source(job, reason)]


def _read_columns(job: Pipeline) -> list[str]:
    source_files = find_files(job.source.path, job.folder)
    files = [
        path for group in source_files.files.values() for path in group if format_by_name(path) == job.source.format
    ]
    names = (
        (*hive_partitions(path, source_files.root), *(key for key, _ in discover_fields(path)))
        for path in files[:FILES_TO_INSPECT]
    )
    return sorted({name for file_names in names for name in file_names})
