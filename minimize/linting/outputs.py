"""Lint of outputs: aggregates and their groups, records, object stores without a ledger, approval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from minimize.aggregates import Measure
from minimize.aggregates.definition import TIME_UNITS, NoiseTerms, TimeUnit
from minimize.arrow.pointers import Pointer
from minimize.config import PROTECTIONS
from minimize.errors import ConfigurationError, Finding, LedgerError, OutputError, PolicyError
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.ledger import find_ledger
from minimize.ledger.database import DEFAULT_LEDGER
from minimize.linting.fields import treatment_residual
from minimize.linting.rules import LINT_RULES, LintSubject
from minimize.plan.request import is_released
from minimize.policy.aggregate_forms import AggregateModel, GroupKeyModel
from minimize.policy.approval import APPROVED_KEY, approval_finding, configured_approval
from minimize.policy.fields import (
    aggregate_treatments,
    effective_steps,
    identifying_fields,
    is_raw_in_aggregates,
    keeps_values_distinct,
    locates_finely,
    treatments_of,
)
from minimize.policy.load import other_tables_of_source
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.records import PIPELINE_FILE
from minimize.settings.tenants import load_regions
from minimize.stores import Location, is_uri, is_within, parse_output_location

LEAST_SUBJECTS = 10
LONGEST_AGGREGATE_RETENTION = timedelta(days=400)


def check_measures(subject: LintSubject) -> Iterator[Finding]:
    """L060, L062, L068: measures that one subject's value can dominate, or that are one subject's value."""
    for name, aggregate in _aggregates(subject):
        for column, measure in aggregate.measures.items():
            field = subject.policy.fields.get(measure.of or "")
            if field is not None:
                yield from _check_measure(subject, (name, column), measure, field)


def _check_measure(subject: LintSubject, place: tuple[str, str], measure: Measure, field: Field) -> Iterator[Finding]:
    at = ("aggregates", place[0], "measures")
    about = f"`{place[1]}`: the {measure.name} of `{field.key}`"
    if measure.needs_bounds and not _is_bounded(field):
        hint = "Add `in_aggregates: {clip: {min: …, max: …}}` to the field."
        yield subject.pipeline_finding("L060", f"{about}, whose values are not generalized", *at, hint=hint)
    if measure.shown_values == "single" and is_raw_in_aggregates(field):
        yield subject.pipeline_finding("L062", f"{about} is one person's value", *at, hint="Make the field coarser.")
    if measure.extreme is not None:
        hint = "Choose a `q` between 0 and 1."
        yield subject.pipeline_finding("L068", f"{about} is the {measure.extreme} value", *at, hint=hint)


def check_suppression(subject: LintSubject) -> Iterator[Finding]:
    """L061: the threshold for small groups is not stated, or is low."""
    for name, aggregate in _aggregates(subject):
        below = aggregate.suppress.below if "suppress" in aggregate.model_fields_set else None
        if below is None or below < LEAST_SUBJECTS:
            message = (
                "the threshold for small groups is not stated"
                if below is None
                else f"groups of {below} or more subjects are published"
            )
            hint = f"Set `suppress: {{below: {LEAST_SUBJECTS}}}`."
            yield subject.pipeline_finding("L061", message, "aggregates", name, "suppress", hint=hint)


def check_group_keys(subject: LintSubject) -> Iterator[Finding]:
    """L073: groups that identify persons; requests do not search aggregates for them."""
    keys = frozenset(identifying_fields(subject.policy))
    for name, aggregate in _aggregates(subject):
        for column, key in aggregate.group_by.items():
            if key.field in keys:
                message = f"`{column}`: each group identifies a person by {key.field}, and an erasure request does not remove it"
                at = ("aggregates", name, "group_by")
                yield subject.pipeline_finding(
                    "L073", message, *at, hint="Group by a field whose values many subjects share."
                )


def check_counted_field(subject: LintSubject) -> Iterator[Finding]:
    """L067 and L095: thresholds that count something other than subjects. Records are not persons: one person has many."""
    for name, aggregate in _aggregates(subject):
        counting = aggregate.suppress.counting
        if counting is None or counting == subject.policy.subject:
            continue
        field = subject.policy.fields.get(counting)
        if counting == subject.policy.record or field is None or not field.identifies:
            message = f"groups are suppressed by counting {counting}, which does not identify a person or a device"
            hint = (
                "Remove `counting`, or name the field of a person or device, with `role: identifier` and `identifies`."
            )
            yield subject.pipeline_finding("L095", message, "aggregates", name, "suppress", hint=hint)
        else:
            message = f"groups are suppressed by counting {counting}, which is not the policy's subject"
            hint = "Count subjects, not rows: remove `counting`, or name the field that identifies a person or device."
            yield subject.pipeline_finding("L067", message, "aggregates", name, "suppress", hint=hint)


def check_risk_bound(subject: LintSubject) -> Iterator[Finding]:
    """L096 to L099: combinations of quasi-identifiers that are not bounded, or bounded weakly."""
    records = None if subject.pipeline is None else subject.pipeline.records
    if records is None:
        return
    bound = records.risk
    if bound is None:
        quasi = [key for key, field in subject.policy.fields.items() if field.role == "quasi" and is_released(field)]
        if len(quasi) > 1:
            message = f"nothing bounds how unique a combination of {len(quasi)} quasi-identifiers makes a person"
            hint = "Measure it with `minimize risk`, then add `records: {risk: {quasi_identifiers: […], require: {k: 10}}}`."
            yield subject.pipeline_finding("L096", message, "records", hint=hint)
        return
    if bound.counting == "rows":
        message = "the bound counts rows: a person with many rows is in a combination of many rows alone"
        hint = "Remove `counting: rows`, unless each person has one row."
        yield subject.pipeline_finding("L097", message, "records", "risk", "counting", hint=hint)
    if bound.otherwise == "recode":
        message = "columns mix levels, and a coarse label tells that none of the finer labels applies"
        hint = "Use `otherwise: generalize`, unless the detail that it costs is needed."
        yield subject.pipeline_finding("L098", message, "records", "risk", "otherwise", hint=hint)
    if bound.require.get("k", 1) < LEAST_SUBJECTS:
        message = f"the bound does not require {LEAST_SUBJECTS} persons for each combination"
        yield subject.pipeline_finding(
            "L099", message, "records", "risk", "require", hint=f"Require k {LEAST_SUBJECTS}."
        )


def check_exact_figures(subject: LintSubject) -> Iterator[Finding]:
    """L066: exact statistics from which rounded counts can be derived."""
    for name, aggregate in _aggregates(subject):
        exact = [label for label, measure in aggregate.measures.items() if measure.revealed_counts == "exact"]
        if aggregate.round is not None and exact:
            message = f"{', '.join(exact)} next to rounded counts: if values are coarse, it reveals the exact count"
            hint = "Remove the exact statistic, or move it to an aggregate without counts."
            yield subject.pipeline_finding("L066", message, "aggregates", name, "round", hint=hint)


def check_late_rows(subject: LintSubject) -> Iterator[Finding]:
    """L065, L093: `late` has no effect if the source has no batch dates, and lacks if late rows would change statistics."""
    dated = subject.pipeline is None or "{date}" in subject.pipeline.source.path
    for name, aggregate in _aggregates(subject):
        if aggregate.late is not None and not dated:
            message = (
                "`late` has no effect, because the source has no batch dates: each run counts the rows that it reads"
            )
            hint = "Write {date} in place of the batch date in the path, or remove `late`."
            yield subject.pipeline_finding("L065", message, "aggregates", name, "late", hint=hint)
        if aggregate.late is None and dated and subject.pipeline is not None:
            days = [column for column, key in aggregate.group_by.items() if _is_cut_within(subject.policy, key, "day")]
            hint = "Set `late: 1d`, or as long as rows take to arrive: an event day is then published once, with them."
            if days:
                message = f"grouped by `{days[0]}` without `late`: rows that arrive in a later batch give their day a second row"
                yield subject.pipeline_finding("L093", message, "aggregates", name, "group_by", hint=hint)
            elif aggregate.exact is not None and subject.policy.time is not None:
                message = "exact statistics are published once: without `late`, rows that arrive later are not in them"
                yield subject.pipeline_finding("L093", message, "aggregates", name, "exact", hint=hint)


def rows_before_late(job: Pipeline, name: str, dates: Sequence[str]) -> Finding:
    """L094: a table that waits for late rows has rows of dates that were published before it did."""
    message = f"the rows of {', '.join(dates)} were published without `late` and stay: event days can have two rows"
    hint = "Read only rows whose `date` is their event day, or publish the table under a new name."
    return LintSubject(job.policy, job).pipeline_finding("L094", message, "aggregates", name, "late", hint=hint)


def check_batch_dates(subject: LintSubject) -> Iterator[Finding]:
    """L069: aggregates over a source without batch dates; each run releases all their rows again."""
    if subject.pipeline is None or "{date}" in subject.pipeline.source.path:
        return
    for name, _ in _aggregates(subject):
        message = "the source has no batch dates: the day of a run is the date of its statistics, and each day releases all rows"
        hint = "Write {date} in place of the batch date in the path."
        yield subject.pipeline_finding("L069", message, "aggregates", name, hint=hint)


def check_exact_tables(subject: LintSubject) -> Iterator[Finding]:
    """L087: exact statistics, of which two dates can be subtracted."""
    for name, aggregate in _aggregates(subject):
        if aggregate.exact is not None:
            message = "statistics are exact: if two dates differ by one person, their difference is that person's value"
            hint = "Remove `exact`, unless the reason that it states requires exact statistics."
            yield subject.pipeline_finding("L087", message, "aggregates", name, "exact", hint=hint)


LEAST_DEVIATION: Final = 1.5
MOST_TABLES: Final = 8
"""The most tables of a source, and the most rows of a table that a subject can be in, without a warning."""


def check_noise(subject: LintSubject) -> Iterator[Finding]:
    """L088, L090, L092: noise that is small, or of which one subject has much."""
    for name, aggregate in _tables_with_noise(subject):
        if float(aggregate.noise.sd) < LEAST_DEVIATION:
            message = f"statistics have little noise: a standard deviation of {aggregate.noise.sd}"
            hint = f"Use `noise: {{sd: {NoiseTerms().sd}}}`, or at least {LEAST_DEVIATION}."
            yield subject.pipeline_finding("L088", message, "aggregates", name, "noise", hint=hint)
        for column, key in aggregate.group_by.items():
            if _is_in_many_groups(subject.policy, key):
                message = f"a subject can be in more than {MOST_TABLES} rows by `{column}`, whose noise can be averaged"
                hint = "Group by a coarser unit, or by a field that a record has once."
                yield subject.pipeline_finding("L090", message, "aggregates", name, "group_by", hint=hint)
        depends = [label for label, measure in aggregate.measures.items() if measure.depends_on_rows]
        is_stated = "rows" in aggregate.per_subject.model_fields_set
        if depends and not is_stated and not _has_one_row_per_subject(subject, aggregate):
            message = f"{', '.join(depends)}: a subject may have several rows in a group, which a run then refuses"
            hint = "Add `per_subject: {rows: R}`, the most rows of a subject that shall count."
            yield subject.pipeline_finding("L092", message, "aggregates", name, "measures", hint=hint)


def check_releases(subject: LintSubject) -> Iterator[Finding]:
    """L089, L091: statistics that are released often, by many tables of a source or without a common record of releases."""
    job, noisy_tables = subject.pipeline, _tables_with_noise(subject)
    if job is None or not noisy_tables:
        return
    others = [each for each in other_tables_of_source(job) if not each.is_exact]
    table_count = len(noisy_tables) + len(others)
    if table_count > MOST_TABLES:
        message = f"the source has {table_count} tables, whose noise can be averaged for people in all of them"
        hint = f"Remove tables that nobody needs; {MOST_TABLES} or fewer give no warning."
        yield subject.pipeline_finding("L089", message, "aggregates", noisy_tables[0][0], hint=hint)
    with suppress(LedgerError, OutputError):
        if find_ledger(start=job.config, output=job.target()).named_by == DEFAULT_LEDGER:
            message = "each output has a ledger of its own, so another output or pipeline releases the same dates again"
            hint = "Set `ledger:` in minimize.yaml, or MINIMIZE_LEDGER in the environment of the run."
            yield subject.pipeline_finding("L091", message, "aggregates", noisy_tables[0][0], hint=hint)


def _tables_with_noise(subject: LintSubject) -> list[tuple[str, AggregateModel]]:
    return [(name, each) for name, each in _aggregates(subject) if each.exact is None]


def _is_in_many_groups(policy: Policy, key: GroupKeyModel) -> bool:
    """Whether one subject can be in many groups of a date: by the elements of a list, or by hours and minutes."""
    return bool(Pointer.parse(key.field).stars) or _is_cut_within(policy, key, "hour")


def _is_cut_within(policy: Policy, key: GroupKeyModel, unit: TimeUnit) -> bool:
    """Whether a group key is the event time by a unit or a finer one."""
    field = policy.fields.get(key.field)
    if field is None or key.field != policy.time:
        return False
    cut = key.to or _released_unit(field)
    return cut is None or TIME_UNITS.index(cut) <= TIME_UNITS.index(unit)


def _released_unit(field: Field) -> TimeUnit | None:
    """The finest unit by which a time is released; None if a treatment does not cut it."""
    ways = (way for way in treatments_of(field) if not isinstance(way, str))
    units = [[form.unit for step in way if (form := step.time_form) is not None and form.unit] for way in ways]
    return min((cut[-1] for cut in units), key=TIME_UNITS.index, default=None) if all(units) else None


def _has_one_row_per_subject(subject: LintSubject, aggregate: AggregateModel) -> bool:
    """Whether the pipeline shows that a subject has one row in a group: records are subjects, or one is kept for each subject
    and day, and groups are days."""
    counting = aggregate.suppress.counting or subject.policy.subject
    if counting is not None and counting == subject.policy.record:
        return True
    records = None if subject.pipeline is None else subject.pipeline.records
    if records is None or records.deduplicate is None:
        return False
    by_day = any(_is_cut_within(subject.policy, key, "day") for key in aggregate.group_by.values())
    return by_day and set(records.deduplicate.by) <= {counting, subject.policy.tenant}


def check_aggregate_retention(subject: LintSubject) -> Iterator[Finding]:
    """L074, L075: aggregates with a very long retention, or that a run replaces before their retention ends."""
    records = subject.policy.retention
    for name, aggregate in _aggregates(subject):
        span, at = aggregate.retention, ("aggregates", name, "retention")
        if span is not None and span > LONGEST_AGGREGATE_RETENTION:
            message = f"the aggregate is kept for {span.days} days"
            yield subject.pipeline_finding(
                "L074", message, *at, hint="Use 400 days or less, which is enough to compare with the year before."
            )
        undated = subject.pipeline is not None and "{date}" not in subject.pipeline.source.path
        if span is not None and records is not None and span > records and undated:
            message = "the aggregate has a longer retention than the records, but each run replaces it"
            hint = "Write {date} in place of the batch date in the path, or remove `retention`."
            yield subject.pipeline_finding("L075", message, *at, hint=hint)


def _aggregates(subject: LintSubject) -> list[tuple[str, AggregateModel]]:
    return [] if subject.pipeline is None else list(subject.pipeline.aggregates.items())


def _is_bounded(field: Field) -> bool:
    """Whether aggregates see the field only clipped or otherwise generalized."""
    ways = (effective_steps(field, way) for way in aggregate_treatments(field))
    return all(way and treatment_residual(way) != "original" for way in ways)


def check_index(subject: LintSubject) -> Iterator[Finding]:
    """L070: records that contain the subject but have no index."""
    records = None if subject.pipeline is None else subject.pipeline.records
    named = subject.policy.subject
    if records is not None and not records.index and named is not None and subject.is_in_records(named):
        message = f"without an index, a {named} is found only by reading all records"
        hint = "Remove `index: false`; expiry, deletion and answers to requests then read only a part."
        yield subject.pipeline_finding("L070", message, "records", "index", hint=hint)


def check_positions(subject: LintSubject) -> Iterator[Finding]:
    """L048: positions finer than 10 km in records that are not encrypted."""
    job = subject.pipeline
    if job is None or job.records is None:
        return
    encrypt = job.encryption.implied if job.records.encrypt is None else job.records.encrypt.by
    for field in subject.fields:
        if encrypt == "off" and subject.is_in_records(field.key) and _is_position(subject.policy, field):
            message = f"`{field.key}` is a position finer than 10 km, but is not encrypted in the records"
            hint = "Set `encrypt: identified` in `records` of the pipeline."
            yield subject.finding("L048", message, field=field, hint=hint)


def check_encryption(subject: LintSubject) -> Iterator[Finding]:
    """L049: encryption is turned off, for the records of the pipeline or as the default of `minimize.yaml`."""
    job = subject.pipeline
    if job is None or job.records is None:
        return
    hint = "Write `encrypt: identified`, or remove the line."
    if job.records.encrypt is not None and job.records.encrypt.by == "off":
        message = "`encrypt: off`: identified columns of the records are written unencrypted"
        yield subject.pipeline_finding("L049", message, "records", "encrypt", hint=hint)
    config = job.config
    if config.encrypt is not None and job.encryption.implied == "off":
        message = "`encrypt: off`: outputs are written unencrypted unless their pipeline sets `encrypt`"
        yield Finding("L049", message, severity="warning", hint=hint, file=str(config.path), line=config.encrypt.line)


def _is_position(policy: Policy, field: Field) -> bool:
    """Whether a field releases a position finer than 10 km."""
    ways = [way for way in treatments_of(field) if not isinstance(way, str)]
    inputs = (policy.fields.get(key) for key in field.from_)
    return locates_finely(ways, (field, *(part for part in inputs if part is not None)))


def check_subject_coverage(subject: LintSubject) -> Iterator[Finding]:
    """L072: records that contain an identifier, but not the subject by which a person's records are found and erased."""
    records = None if subject.pipeline is None else subject.pipeline.records
    named = subject.policy.subject
    if records is None or (named is not None and subject.is_in_records(named)):
        return
    for field in subject.fields:
        if field.role == "identifier" and subject.is_in_records(field.key) and keeps_values_distinct(field):
            lacks = "the policy names no subject" if named is None else f"the records do not contain {named}"
            hint = f"Set `subject: {field.key}`, or drop the field. Otherwise erasure requests cannot find the records."
            yield subject.finding("L072", f"the records contain {field.key}, but {lacks}", field=field, hint=hint)


def check_bucket_ledger(subject: LintSubject) -> Iterator[Finding]:
    """L071: an output in an object store, and no ledger outside of it."""
    job = subject.pipeline
    if job is None or not is_uri(job.output):
        return
    try:
        find_ledger(start=job.config, output=job.output)
    except LedgerError:
        message = "the output is in an object store, but no ledger is configured; a run needs its lease to write there"
        hint = "Set `ledger:` in minimize.yaml, or MINIMIZE_LEDGER in the environment of the run."
        yield subject.pipeline_finding("L071", message, "output", hint=hint)


def check_protections(subject: LintSubject) -> Iterator[Finding]:
    """L085: protections that a line of `minimize.yaml` turns off."""
    if subject.pipeline is None:
        return
    config = subject.pipeline.config
    for key, line in config.turned_off.items():
        message, hint = f"{PROTECTIONS[key]} is off for all pipelines of this configuration", f"Remove `{key}: off`."
        yield Finding("L085", message, LINT_RULES["L085"].severity, hint, str(config.path), line)


def check_telemetry_root(subject: LintSubject) -> Iterator[Finding]:
    """L076: telemetry below the output root of a pipeline with service data, or the reverse. The root is the folder above the
    output; the pipelines next to this one are compared."""
    job = subject.pipeline
    if job is None or job.data != "telemetry":
        return
    output_root = job.target().parent
    for file in sorted(job.folder.parent.glob(f"*/{PIPELINE_FILE}")):
        service_output = _service_output(file)
        if service_output is not None and (
            is_within(output_root, service_output.parent) or is_within(service_output.parent, output_root)
        ):
            message = f"the pipeline {file.parent.name} writes service data to the same output root"
            hint = "Write telemetry below a root of its own."
            yield subject.pipeline_finding("L076", message, "output", hint=hint)
            return


def _service_output(file: Path) -> Location | None:
    """The output of a pipeline file with service data; None for telemetry, and for a file that cannot be read."""
    with suppress(OSError, UnicodeDecodeError, OutputError):
        root = parse_yaml(file.read_text("utf-8-sig"), FaultList())
        data, output = (None, None) if root is None else (root.get("data"), root.get("output"))
        if output is not None and isinstance(output.value, str) and (data is None or data.value != "telemetry"):
            return parse_output_location(output.value, file.parent)
    return None


def check_regions(subject: LintSubject) -> Iterator[Finding]:
    """L077, and the faults of regions and of the file of tenants."""
    job = subject.pipeline
    if job is None:
        return
    try:
        regions = load_regions(job.config)
    except PolicyError as error:
        yield from error.findings
    except ConfigurationError:
        return  # the loader of the configuration reports it
    else:
        if regions and subject.policy.tenant is None:
            message = "the region of a record is not known, because the policy names no tenant"
            yield subject.finding("L077", message, hint="Add `tenant: FIELD`.")


APPROVE_HINT = "Run `minimize policy approve FILE --by NAME`."


def check_policy_approval(subject: LintSubject) -> Iterator[Finding]:
    """L080, L081: the policy is not the approved one; an error if `minimize.yaml` requires approval."""
    job = subject.pipeline
    demand = "none" if job is None else configured_approval(job.config, FaultList())
    finding = approval_finding(job or subject.policy, demand)
    if finding is not None and job is not None:
        code = "L081" if demand == "required" else "L080"
        yield subject.finding(code, finding.message, at=APPROVED_KEY, hint=APPROVE_HINT)
