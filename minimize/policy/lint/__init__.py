"""Judging a policy or a pipeline: risky choices, and what has no effect, each with a stable code (`RULES`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from minimize.errors import Finding, Severity
from minimize.pointer import Pointer
from minimize.policy.lint import aggregates, approval, conditions, fields, outputs, paths, records, settings
from minimize.policy.lint.fields import keys_missing
from minimize.policy.lint.paths import policies_in, source_unseen
from minimize.policy.lint.rules import RULES, Rule
from minimize.policy.lint.settings import noncanonical, settings_missing
from minimize.policy.lint.subject import SettingRow, Subject
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.scope import pointer_of

__all__ = [
    "RULES",
    "Rule",
    "SettingRow",
    "despite",
    "keys_missing",
    "lint",
    "noncanonical",
    "policies_in",
    "settings_missing",
    "severity_rank",
    "source_unseen",
    "worst",
]

_OF_THE_WHOLE = frozenset(
    {"L011", "L072", "L030", "L031", "L033", "L034", "L035", "L038", "L039", "L040", "L042", "L045", "L047"}
)
"""What is said of something that is nowhere: not to be said of a file of which parts could not be read."""

_CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    fields.kept,
    fields.left,
    fields.plain,
    fields.identifying,
    fields.below_full,
    fields.pseudonyms,
    paths.against_source,
    paths.across_tree,
    settings.features,
    settings.sources,
    settings.gates,
    settings.retention,
    settings.future,
    settings.rows,
    conditions.reads,
    conditions.values,
    aggregates.measures,
    aggregates.suppression,
    aggregates.undated,
    aggregates.late,
    aggregates.rounded,
    aggregates.counted,
    aggregates.named,
    aggregates.retention,
    records.found_again,
    records.covered,
    records.located,
    outputs.in_bucket,
    approval.approval,
)


def lint(
    judged: Policy | Pipeline,
    *,
    columns: Sequence[str] | None = None,
    settings_rows: Iterable[SettingRow] | None = None,
    values: Mapping[Pointer, str] | None = None,
    contacts: Mapping[Pointer, str] | None = None,
    siblings: Sequence[Policy] = (),
) -> list[Finding]:
    """What is risky in a policy, or in a pipeline and its policy, or has no effect.

    Takes, where they are known: the columns and pointers of the source, the settings' (setting, holder, value) rows, what
    the values of fields are that identify, those that are addresses of people or computers, and the other policies of the
    tree. Gives each finding once, by file and line.
    """
    policy, pipeline = (judged.policy, judged) if isinstance(judged, Pipeline) else (judged, None)
    seen = None if columns is None else frozenset(filter(None, map(pointer_of, columns)))
    rows = None if settings_rows is None else tuple(settings_rows)
    subject = Subject(policy, pipeline, seen, rows, values, contacts, siblings)
    found = dict.fromkeys(finding for check in _CHECKS for finding in check(subject))
    return sorted(found, key=lambda finding: (finding.file or "", finding.line or 0, finding.code))


def despite(faults: Iterable[Finding], found: Iterable[Finding]) -> list[Finding]:
    """Of what was found in files with faults, what holds whatever becomes of the faults."""
    faulty = {(fault.file, fault.field) for fault in faults if fault.field is not None}
    return [
        finding
        for finding in found
        if finding.code not in _OF_THE_WHOLE and (finding.file, finding.field) not in faulty
    ]


def severity_rank(severity: Severity) -> int:
    """How grave: an error is above a warning."""
    return {"warning": 1, "error": 2}[severity]


def worst(findings: Iterable[Finding]) -> Severity | None:
    """The gravest severity among findings; None where there are none.

    >>> worst([Finding("L001", "…", "warning"), Finding("L002", "…")])
    'error'
    """
    return max((finding.severity for finding in findings), key=severity_rank, default=None)
