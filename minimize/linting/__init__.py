"""Lint: find risky choices of a policy or pipeline, and settings without effect. Findings have stable codes (`LINT_RULES`).

A run is refused if its pipeline has what lint calls an error, unless the caller allows the code. For that the policy, the
pipeline and the configuration are checked. The run checks the source and the settings itself.

The rules about features, levels, purposes, retention and settings are here; they mainly find entries without effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError, Finding, RefusedError
from minimize.forms.values import NAME_PATTERN
from minimize.linting import fields, outputs
from minimize.linting.fields import missing_keys, policies_in_tree, unreadable_source
from minimize.linting.outputs import rows_before_late
from minimize.linting.rules import ALLOWABLE_CODES, LINT_RULES, LintRule, LintSetting, LintSubject
from minimize.policy.condition import FeatureOn, LevelAtLeast, setting_atoms
from minimize.policy.fields import gate_condition, is_dropped
from minimize.policy.model import FeatureModel, Policy
from minimize.policy.names import field_pointer
from minimize.policy.pipeline import Pipeline
from minimize.text import count_noun, did_you_mean

LONGEST_RETENTION = timedelta(days=30)
FURTHEST_FUTURE = timedelta(days=7)
MOST_ROWS_LISTED: Final = 20
"""The most rows of the settings that are reported one by one."""


def check_features(subject: LintSubject) -> Iterator[Finding]:
    """L030, L031, L039: features and levels without effect."""
    named = {atom.name for atom in _gate_atoms(subject) if isinstance(atom, FeatureOn)}
    for name in subject.policy.features:
        if name not in named:
            hint = "Name it in the `feature` of a field, or remove it."
            yield subject.finding("L030", f"no field uses the feature `{name}`", at=f"features.{name}", hint=hint)
        elif subject.settings is not None and not _is_turned_on(name, subject):
            yield subject.finding("L039", f"no setting turns the feature `{name}` on", at=f"features.{name}")
    if subject.policy.levels and not any(isinstance(atom, LevelAtLeast) for atom in _gate_atoms(subject)):
        yield subject.finding(
            "L031",
            "no field uses a level",
            at="levels",
            hint="Name a level in the `level` of a field, or remove `levels`.",
        )


def check_settings_source(subject: LintSubject) -> Iterator[Finding]:
    """L035, L039: settings that no field depends on, and gates that never open for lack of settings."""
    if subject.pipeline is None:
        return
    depends_on_settings = next(_gate_atoms(subject), None) is not None
    if depends_on_settings and subject.pipeline.settings is None and subject.settings is None:
        message = "the policy depends on settings, but the pipeline names none: every feature is off"
        yield subject.pipeline_finding(
            "L039", message, "pipeline", hint="Add `settings: FILE`, or pass settings to the run."
        )
    if not depends_on_settings and subject.pipeline.settings is not None:
        yield subject.pipeline_finding("L035", "the pipeline names settings, but no field depends on them", "settings")


def missing_settings(pipeline: Pipeline, reason: str = "") -> Finding:
    """L039: the settings that the pipeline names do not exist."""
    hint = "Create them, or pass --settings PATH to the run, which needs them."
    message = "the settings that the pipeline names do not exist" + (f": {reason}" if reason else "")
    return LintSubject(pipeline.policy, pipeline).pipeline_finding("L039", message, "settings", hint=hint)


def noncanonical_rows(file: str | None, lines: Sequence[int | None]) -> Iterator[Finding]:
    """L046: rows whose names are not in canonical form."""
    hint = (
        "Remove spaces and invisible characters at both ends, and write ids in Unicode NFC, other words in lower case."
    )
    what = "has a name that is not in canonical form; comparisons use the canonical form"
    yield from _row_findings("L046", what, hint, file, lines)


def user_rows_of_tenants(file: str | None, lines: Sequence[int | None]) -> Iterator[Finding]:
    """L036: rows of the holder `user` that turn something on for a whole tenant."""
    hint = "Name the user: write their id in `subject`, and the field that contains it in `field`."
    what = "is a user's choice for a whole tenant, and turns nothing on"
    yield from _row_findings("L036", what, hint, file, lines)


def _row_findings(code: str, what: str, hint: str, file: str | None, lines: Sequence[int | None]) -> Iterator[Finding]:
    """One finding for each of the first rows, and one for the number of the others."""
    severity = LINT_RULES[code].severity
    for line in lines[:MOST_ROWS_LISTED]:
        yield Finding(code, f"this row {what}", severity, hint, file, line)
    if len(lines) > MOST_ROWS_LISTED:
        more_count = len(lines) - MOST_ROWS_LISTED
        yield Finding(code, f"of {count_noun(more_count, 'more row')}, each {what}", severity, hint, file)


def check_gates(subject: LintSubject) -> Iterator[Finding]:
    """L032, L033, L034, L047: gates and purposes without effect, and gates that never open."""
    policy = subject.policy
    for field in subject.fields:
        if is_dropped(field) and not field.in_aggregates and field.is_gated:
            yield subject.finding("L032", "the field is dropped, so its gate has no effect", field=field)
        elif field.level is not None and (field.level,) == policy.levels[:1]:
            hint = "Remove `level`: the first level is always on."
            yield subject.finding("L032", f"the level `{field.level}` has no effect", field=field, hint=hint)
        for purpose in field.purposes:
            if purpose not in policy.purposes:
                message = f"the policy does not list the purpose `{purpose}`"
                yield subject.finding(
                    "L034", message, field=field, hint="Add it to `purposes` of the policy, or remove it here."
                )
    if policy.tenant is None and next(_gate_atoms(subject), None) is not None:
        message = "settings belong to a tenant, but the policy names no tenant: every feature is off"
        yield subject.finding("L033", message, at="features", hint="Add `tenant: FIELD`.")
    for name, feature in policy.features.items():
        if feature.per_subject and policy.subject is None:
            message = f"the feature `{name}` is decided per subject, but the policy names no subject: it is always off"
            yield subject.finding("L047", message, at=f"features.{name}", hint="Add `subject: FIELD`.")


def check_retention(subject: LintSubject) -> Iterator[Finding]:
    """L040, L041, L042, L043: retention."""
    policy = subject.policy
    if policy.retention is None:
        yield subject.finding("L040", "the policy sets no retention", at="policy", hint="Add `retention: 30d`.")
    elif policy.retention > LONGEST_RETENTION:
        message = f"retention is {policy.retention.days} days"
        yield subject.finding("L041", message, at="retention", hint="Use 30 days or less for telemetry.")
    limited = {name: feature.retention for name, feature in policy.features.items() if feature.retention is not None}
    if policy.time is None and (policy.retention is not None or limited):
        message = "retention counts from the event time, but the policy names no event time"
        yield subject.finding("L042", message, at="retention", hint="Add `time: FIELD`.")
    for name, longest in limited.items():
        if policy.retention is not None and longest > policy.retention:
            message = f"the feature `{name}` has a longer retention than the records that contain it"
            yield subject.finding("L043", message, at=f"features.{name}", hint="Shorten the retention of the feature.")


def check_future(subject: LintSubject) -> Iterator[Finding]:
    """L044, L045: how far in the future an event time may be."""
    policy = subject.policy
    if policy.future > FURTHEST_FUTURE:
        hint = "Set `future: 24h`; clocks of devices are rarely ahead by more than a day."
        yield subject.finding("L044", f"`future` is {policy.future.days} days", at="future", hint=hint)
    if policy.time is None and ("future",) in policy.lines:
        message = "`future` limits the event time, but the policy names no event time"
        yield subject.finding("L045", message, at="future", hint="Add `time: FIELD`.")


def check_setting_rows(subject: LintSubject) -> Iterator[Finding]:
    """L035 to L038: settings without effect. Each kind of row is reported once."""
    for setting, holder, value in dict.fromkeys(subject.settings or ()):
        if setting == "level":
            yield from _check_level_row(subject, value)
        elif setting not in subject.policy.features:
            hint = did_you_mean(setting, subject.policy.features)
            message = f"a setting names the feature {_setting_name(setting)}, which the policy does not have"
            yield subject.finding("L035", message, at="features", hint=hint)
        else:
            yield from _check_feature_row(subject, setting, holder, value)


def _setting_name(setting: str) -> str:
    """The name in quotes if it is a valid name. Settings are not checked before, so another text is not shown."""
    return f"`{setting}`" if re.fullmatch(NAME_PATTERN, setting) else "(not a name)"


def _check_level_row(subject: LintSubject, value: str) -> Iterator[Finding]:
    if not subject.policy.levels:
        yield subject.finding("L035", "settings have a level, but the policy has no levels", at="policy")
    elif value not in subject.policy.levels:
        hint = f"Use one of: {', '.join(subject.policy.levels)}."
        yield subject.finding("L038", "a level of the settings is not one of the policy's", at="levels", hint=hint)


def _check_feature_row(subject: LintSubject, name: str, holder: str, value: str) -> Iterator[Finding]:
    if value not in ("on", "off"):
        message = f"a value of the setting `{name}` is neither `on` nor `off`, and counts as off"
        yield subject.finding("L037", message, at=f"features.{name}")
    elif value == "on" and not _may_turn_on(subject.policy.features[name], holder):
        message = f"`{name}` is turned on by a holder that may not turn it on"
        hint = f"Use one of these holders: {', '.join(subject.policy.features[name].holders)}."
        yield subject.finding("L036", message, at=f"features.{name}", hint=hint)


def _may_turn_on(feature: FeatureModel, holder: str) -> bool:
    return not feature.holders or holder in feature.holders


def _is_turned_on(name: str, subject: LintSubject) -> bool:
    feature = subject.policy.features[name]
    return any(
        (setting, value) == (name, "on") and _may_turn_on(feature, holder)
        for setting, holder, value in subject.settings or ()
    )


def _gate_atoms(subject: LintSubject) -> Iterator[FeatureOn | LevelAtLeast]:
    """Every feature and level that a gate or condition reads."""
    gates = [gate_condition(subject.policy.records), *map(gate_condition, subject.fields)]
    for condition in (*gates, *(condition for condition, _ in subject.conditions())):
        yield from setting_atoms(condition)


__all__ = [
    "ALLOWABLE_CODES",
    "LINT_RULES",
    "LintRule",
    "LintSetting",
    "independent_of_faults",
    "lint",
    "missing_keys",
    "missing_settings",
    "noncanonical_rows",
    "policies_in_tree",
    "rows_before_late",
    "unreadable_source",
    "user_rows_of_tenants",
]

_NEEDS_WHOLE_FILE = frozenset(
    {"L011", "L072", "L030", "L031", "L033", "L034", "L035", "L038", "L039", "L040", "L042", "L045", "L047", "L077"}
)
"""Rules that report something as absent. They do not apply to a file of which parts could not be read."""

_CHECKS: tuple[Callable[[LintSubject], Iterator[Finding]], ...] = (
    fields.check_kept_values,
    fields.check_remaining_values,
    fields.check_lossless_steps,
    fields.check_plain_roles,
    fields.check_identifying_values,
    fields.check_reachable_roles,
    fields.check_contacts_below_full,
    fields.check_pseudonyms,
    fields.check_source_paths,
    fields.check_sibling_policies,
    check_features,
    check_settings_source,
    check_gates,
    check_retention,
    check_future,
    check_setting_rows,
    fields.check_condition_fields,
    fields.check_condition_values,
    outputs.check_measures,
    outputs.check_suppression,
    outputs.check_batch_dates,
    outputs.check_late_rows,
    outputs.check_exact_figures,
    outputs.check_risk_bound,
    outputs.check_exact_tables,
    outputs.check_noise,
    outputs.check_releases,
    outputs.check_counted_field,
    outputs.check_group_keys,
    outputs.check_aggregate_retention,
    outputs.check_index,
    outputs.check_subject_coverage,
    outputs.check_positions,
    outputs.check_encryption,
    outputs.check_bucket_ledger,
    outputs.check_telemetry_root,
    outputs.check_regions,
    outputs.check_policy_approval,
    outputs.check_protections,
)


def lint(
    judged: Policy | Pipeline,
    *,
    columns: Sequence[str] | None = None,
    settings_rows: Iterable[LintSetting] | None = None,
    values: Mapping[Pointer, str] | None = None,
    contacts: Mapping[Pointer, str] | None = None,
    siblings: Sequence[Policy] = (),
) -> list[Finding]:
    """Findings about a policy, or about a pipeline and its policy: risky choices, and entries without effect.

    Returns each finding once, sorted by file and line. Arguments that are None or empty are unknown:

    columns        columns and pointers of the source
    settings_rows  (setting, holder, value) of each row of the settings
    values         by field, the kind of its values, in words, if they are identifying
    contacts       by field, the kind of its values, in words, if they are addresses of people or computers
    siblings       the other policies of the tree
    """
    policy, pipeline = (judged.policy, judged) if isinstance(judged, Pipeline) else (judged, None)
    column_pointers = None if columns is None else frozenset(filter(None, map(field_pointer, columns)))
    rows = None if settings_rows is None else tuple(settings_rows)
    subject = LintSubject(
        policy=policy,
        pipeline=pipeline,
        columns=column_pointers,
        settings=rows,
        values=values,
        contacts=contacts,
        siblings=siblings,
    )
    findings = dict.fromkeys(finding for check in _CHECKS for finding in check(subject))
    return sorted(findings, key=lambda finding: (finding.file or "", finding.line or 0, finding.code))


def independent_of_faults(faults: Iterable[Finding], findings: Iterable[Finding]) -> list[Finding]:
    """The findings about files with faults that remain valid when the faults are corrected."""
    faulty = {(fault.file, fault.field) for fault in faults if fault.field is not None}
    return [
        finding
        for finding in findings
        if finding.code not in _NEEDS_WHOLE_FILE and (finding.file, finding.field) not in faulty
    ]


def check_allowed_codes(codes: Collection[str]) -> frozenset[str]:
    """The codes as a set. Raises ConfigurationError for any that is not the code of an error that lint finds in a pipeline."""
    if isinstance(codes, str):
        raise ConfigurationError("`allow` must be a list of codes", hint=f'Write allow=["{ALLOWABLE_CODES[0]}"].')
    for code in codes:
        if code not in ALLOWABLE_CODES:
            known = code in LINT_RULES
            message = (
                f"{code} is not an error that a run can allow" if known else f"unknown code of a lint error: {code}"
            )
            hint = "" if known else did_you_mean(code, ALLOWABLE_CODES)
            raise ConfigurationError(message, hint=hint or f"Use one of: {', '.join(ALLOWABLE_CODES)}.")
    return frozenset(codes)


def check_lint_errors(job: Pipeline, allowed: Collection[str]) -> tuple[str, ...]:
    """The allowed codes of the errors that lint finds in a pipeline. Raises RefusedError (R022) with all other errors."""
    errors = [each for each in lint(job) if each.severity == "error" and each.code in ALLOWABLE_CODES]
    refused = [each for each in errors if each.code not in allowed]
    if refused:
        codes = sorted({each.code for each in refused})
        options = " ".join(f"--allow {code}" for code in codes)
        raise RefusedError(
            "lint finds errors in the pipeline; nothing was read",
            code="R022",
            findings=refused,
            hint=f"Correct them, or pass {options} (allow={codes}), which receipt, report and audit log name.",
        )
    return tuple(sorted({each.code for each in errors}))
