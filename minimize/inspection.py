"""What can be said of a pipeline before it runs: its plan, a preview, everything that lint finds, a first draft."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from minimize.drafting.kinds import IDENTIFYING
from minimize.drafting.look import Look
from minimize.drafting.propose import SHOWN
from minimize.drafting.scan import scan
from minimize.engines.base import Job, row_key
from minimize.engines.local import batches, batches_of
from minimize.engines.passes import through, way_through
from minimize.errors import ConfigurationError, Finding, KeyringError, LedgerError, PolicyError, without_values
from minimize.frames import decoded
from minimize.io import declared_schema
from minimize.io.base import Source
from minimize.io.discover import discover, format_of
from minimize.io.find import find, hive
from minimize.job.collecting import LEDGER, load_job_settings
from minimize.job.erasing import People, load_people
from minimize.job.given import as_pipeline, examine_all, found_files, open_sources, veil
from minimize.job.sender import periods_of, sender_of
from minimize.keys import find_keyring
from minimize.minimizer import require_keys
from minimize.plan import Plan, request
from minimize.plan.bind import Examined, examine
from minimize.plan.effective import effective as for_tenant
from minimize.pointer import Pointer
from minimize.policy import lint as rules
from minimize.policy.lint.fields import is_below_full, may_identify
from minimize.policy.load import examine_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.policy.roles import EMAIL
from minimize.recipients import inbound
from minimize.settings import SettingsRows
from minimize.spill import Aside, find_budget
from minimize.stages.corrected import corrections
from minimize.stages.release import Release
from minimize.times import moment

PathOrPipeline = Pipeline | str | PathLike[str]
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
LOOKED_AT: Final = 3
"""How many files of a source lint looks at."""


@without_values
def plan_for(pipeline: PathOrPipeline, *, input: str | PathLike[str] | None = None) -> Plan:
    """The plan of a pipeline: bound to its source where there is one, else to the types that the policy names.

    Raises PolicyError, SchemaError and RefusedError as a run would.
    """
    job = as_pipeline(pipeline)
    sender = sender_of(job, datetime.now(UTC))
    if sender is not None:
        sender.check(job)
    return examined_for(job, input=input).allowed()


def examined_for(pipeline: PathOrPipeline, *, input: str | PathLike[str] | None = None) -> Examined:
    """The same with what stands against it, for those who want to see the plan all the same."""
    job = as_pipeline(pipeline)
    return examine_all(job, open_sources(job, found_files(job, input, None), veil(job, None), at=datetime.now(UTC)))


def effective(plan: Plan, tenant: str, *, at: datetime | str | None = None, settings: Any = None) -> Plan:
    """The plan as it is for one tenant at one time: what is gated is either open or dropped, and says why."""
    rows = settings_of(plan, settings)
    when = moment(at, "at") or datetime.now(UTC)
    return for_tenant(plan, None if rows is None else rows.at(when), tenant, when)


def settings_of(plan: Plan, settings: Any = None, *, keys: Any = None) -> SettingsRows | None:
    """The settings of a plan's pipeline, or what stands in for them. Raises ConfigurationError for a plan without a pipeline."""
    if plan.pipeline is None:
        raise ConfigurationError("this plan has no pipeline", hint="settings belong to pipelines")
    return load_job_settings(settings, plan.pipeline, find_keyring(keys, plan.pipeline.folder))


def preview_rows(
    plan: Plan,
    rows: int,
    *,
    at: datetime | str | None = None,
    input: str | PathLike[str] | None = None,
    settings: Any = None,
    keys: Any = None,
) -> pa.Table:
    """The first rows as they would leave in a run: without erased subjects, with values that were corrected, and of what a third
    party sent only what tenants agreed to.

    Takes a pipeline's plan, how many rows, and what stands in for source, settings and keyring; a keyring is needed only
    where the plan needs a key. Raises ConfigurationError for a plan without a pipeline, and what `run` raises before it reads.
    """
    if plan.pipeline is None:
        raise ConfigurationError("this plan has no pipeline", hint="a preview reads the pipeline's source")
    keyring = find_keyring(keys, plan.pipeline.folder)
    require_keys(plan, keyring)
    now = datetime.now(UTC)
    when = moment(at, "at") or now
    known = load_job_settings(settings, plan.pipeline, keyring)
    people = People() if keyring is None else load_people(plan.pipeline, keyring, plan.pipeline.target(), None)
    found = found_files(plan.pipeline, input, None)
    sources = open_sources(plan.pipeline, found, veil(plan.pipeline, keyring), people.erased.fields, at=when)
    job = Job(
        plan,
        when,
        keyring,
        None if known is None else known.at(when),
        row_key=row_key(keyring),
        aside=Aside(find_budget(plan.pipeline.folder)),
        erased=people.erased.at(when, plan.policy.future),
        corrected=corrections(people.corrected, plan.policy, when, keyring),
        consents=periods_of(plan.pipeline, people.consents, when, now),
    )
    return pa.Table.from_batches(_first(job, sources, rows), schema=job.records_schema).slice(0, rows)


@without_values
def lint(pipeline: PathOrPipeline, *, keys: Any = None) -> list[Finding]:
    """All faults and risky choices, worst first: those of the files, of the plan, of settings, and against the source.

    Takes a keyring or its path, too: where one is given or found, it is asked for the keys that the policy names.
    Raises PolicyError only where a file cannot be read at all.
    """
    job, faults = (pipeline, []) if isinstance(pipeline, Pipeline) else examine_pipeline(Path(pipeline))
    if any(map(_is_unreadable, faults)):
        raise PolicyError("a file cannot be read", findings=faults)
    found = [*faults, *([] if job is None else [*_judged(job, faults), *inbound.lint(job), *_unlocked(job, keys)])]
    return sorted(dict.fromkeys(found), key=lambda finding: (finding.severity, finding.file or "", finding.line or 0))


def _first(job: Job, sources: Mapping[Any, Source], rows: int) -> Iterator[pa.RecordBatch]:
    left, release = rows, Release(job.plan, schema=job.records_schema, secret=job.row_key)
    for source in sources.values():
        stages = way_through(job, partial(batches_of, source))
        for batch in batches(source):
            released = decoded(release.columns(through(stages, batch)), job.records_schema)
            yield released
            left -= released.num_rows
            if left <= 0:
                return


def _judged(job: Pipeline, faults: Sequence[Finding]) -> list[Finding]:
    """What is to be said of a pipeline; of one with faults only what they cannot have brought about."""
    if faults:
        return rules.despite(faults, rules.lint(job, columns=_columns(job)[0]))
    examined = examine(job.policy, _lint_schema(job), purpose=job.purpose, pipeline=job)
    return [*examined.faults, *examined.refused, *_ruled(job)]


def _unlocked(job: Pipeline, keys: Any) -> Iterator[Finding]:
    """Keys that the policy names and the keyring lacks; nothing where there is no keyring yet."""
    reason = ""
    try:
        keyring = find_keyring(keys, job.folder)
        known = None if keyring is None else keyring.names()
    except KeyringError as error:
        reason, known = error.message, ()
    if known is not None:
        yield from rules.keys_missing(job, known, reason)


def _lint_schema(job: Pipeline) -> pa.Schema:
    return declared_schema(request(job.policy, job.purpose, job))


def _is_unreadable(finding: Finding) -> bool:
    return finding.code == "P001" and finding.file is not None and not os.access(finding.file, os.R_OK)


def _ruled(job: Pipeline) -> list[Finding]:
    rows, faults = _settings_of(job)
    kinds = None if rows is None else [(kind.setting, kind.holder, kind.value) for kind in rows.kinds()]
    columns, unseen = _columns(job)
    siblings = rules.policies_in(job.folder.parent)
    looks = {} if columns is None else _looks(job)
    values = {pointer: SHOWN[look.kind] for pointer, look in looks.items() if look.kind in IDENTIFYING}
    contacts = {pointer: EMAIL for pointer, look in looks.items() if look.kind == "email"}
    lines = [] if rows is None else [None if rows.lines is None else rows.lines[row] for row in rows.noncanonical]
    padded = [] if rows is None else rules.noncanonical(rows.file, lines)
    found = rules.lint(job, columns=columns, settings_rows=kinds, values=values, contacts=contacts, siblings=siblings)
    return [*faults, *padded, *unseen, *found]


def _looks(job: Pipeline) -> Mapping[Pointer, Look]:
    """What the first values in the source look like, of fields that may identify or may be addresses."""
    wanted = (field for field in job.policy.fields.values() if may_identify(field) or is_below_full(field, job.policy))
    fields = {field.pointer: field.type for field in wanted if not field.from_}
    return scan(job.source.path, fields, job.folder) if fields else {}


def _settings_of(job: Pipeline) -> tuple[SettingsRows | None, Sequence[Finding]]:
    """The settings that the pipeline names, or what is wrong with them."""
    if job.settings is None:
        return None, ()
    if job.settings != LEDGER and not (job.folder / job.settings).exists():
        return None, [rules.settings_missing(job)]
    try:
        return load_job_settings(None, job, find_keyring(None, job.folder)), ()
    except PolicyError as error:
        return None, error.findings
    except (LedgerError, KeyringError) as error:
        reason = error.message
    return None, [rules.settings_missing(job, reason)]


def _columns(job: Pipeline) -> tuple[list[str] | None, Sequence[Finding]]:
    """What the first files of the source hold, hive partitions too; None where there is nothing that can be looked at."""
    try:
        return _looked_at(job) or None, ()
    except ConfigurationError as error:
        reason = error.message
    return None, [rules.source_unseen(job, reason)]


def _looked_at(job: Pipeline) -> list[str]:
    found = find(job.source.path, job.folder)
    files = [path for group in found.files.values() for path in group if format_of(path) == job.source.format]
    names = ((*hive(path, found.root), *(key for key, _ in discover(path))) for path in files[:LOOKED_AT])
    return sorted({name for each in names for name in each})
