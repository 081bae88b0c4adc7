"""Lint: find risky choices of a policy or pipeline, and settings without effect. Findings have stable codes (`LINT_RULES`).

A run is refused if its pipeline has what lint calls an error, unless the caller allows the code. For that the policy, the
pipeline and the configuration are checked. The run checks the source and the settings itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError, Finding, RefusedError
from minimize.linting import fields, outputs, settings
from minimize.linting.fields import missing_keys, policies_in_tree, unreadable_source
from minimize.linting.outputs import rows_before_late
from minimize.linting.rules import ALLOWABLE_CODES, LINT_RULES, LintRule, LintSetting, LintSubject
from minimize.linting.settings import missing_settings, noncanonical_rows, user_rows_of_tenants
from minimize.policy.model import Policy
from minimize.policy.names import field_pointer
from minimize.policy.pipeline import Pipeline
from minimize.text import did_you_mean

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
    settings.check_features,
    settings.check_settings_source,
    settings.check_gates,
    settings.check_retention,
    settings.check_future,
    settings.check_setting_rows,
    fields.check_condition_fields,
    fields.check_condition_values,
    outputs.check_measures,
    outputs.check_suppression,
    outputs.check_batch_dates,
    outputs.check_late_rows,
    outputs.check_exact_figures,
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
    seen = None if columns is None else frozenset(filter(None, map(field_pointer, columns)))
    rows = None if settings_rows is None else tuple(settings_rows)
    subject = LintSubject(
        policy=policy,
        pipeline=pipeline,
        columns=seen,
        settings=rows,
        values=values,
        contacts=contacts,
        siblings=siblings,
    )
    found = dict.fromkeys(finding for check in _CHECKS for finding in check(subject))
    return sorted(found, key=lambda finding: (finding.file or "", finding.line or 0, finding.code))


def independent_of_faults(faults: Iterable[Finding], found: Iterable[Finding]) -> list[Finding]:
    """The findings about files with faults that remain valid when the faults are corrected."""
    faulty = {(fault.file, fault.field) for fault in faults if fault.field is not None}
    return [
        finding
        for finding in found
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
