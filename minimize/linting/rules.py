"""Table of lint rules, and the input of lint: a policy, optionally its pipeline, and facts about source and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, Severity
from minimize.policy.condition import Condition
from minimize.policy.fields import is_dropped
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.roles import EMAIL_KIND, contact_kind, reachable_kind


@dataclass(frozen=True, slots=True)
class LintRule:
    """One rule of lint."""

    code: str
    severity: Severity
    about: str


_ROWS = (
    LintRule("L001", "warning", "a quasi-identifier is kept unchanged"),
    LintRule("L002", "error", "free text is kept unchanged"),
    LintRule("L003", "warning", "free text is kept in part: personal data that no pattern finds remains"),
    LintRule("L004", "warning", "an identifier is kept unchanged"),
    LintRule("L005", "warning", "an identifier can be guessed or reversed from its released form"),
    LintRule("L006", "warning", "a sensitive value is kept unchanged"),
    LintRule("L007", "warning", "the field name suggests personal data, but the policy declares it plain"),
    LintRule("L008", "warning", "the values of a field are identifying, and its role is not stated"),
    LintRule("L009", "error", "a name, an IP, e-mail or postal address is kept unchanged below the level `full`"),
    LintRule("L010", "warning", "a pseudonym has no `per`: it links a subject across tenants"),
    LintRule("L011", "warning", "the `per` of a pseudonym is not the tenant, so requests cannot find the pseudonym"),
    LintRule("L012", "warning", "the keyring lacks a key or cannot be used"),
    LintRule(
        "L013",
        "error",
        "an e-mail or postal address or a telephone number is released with a role other than identifier",
    ),
    LintRule("L020", "warning", "a path of the policy matches nothing in the source"),
    LintRule("L021", "error", "a path of the policy differs from the source only in case or spelling"),
    LintRule("L022", "warning", "another policy of the tree treats a field of the same name differently"),
    LintRule("L023", "warning", "the source could not be read, so no path was compared with it"),
    LintRule("L030", "warning", "no field uses a feature"),
    LintRule("L031", "warning", "no field uses a level"),
    LintRule("L032", "warning", "a gate has no effect: it names the first level, or its field is always dropped"),
    LintRule("L033", "error", "the value is never collected because the policy names no tenant"),
    LintRule("L034", "warning", "a purpose has no effect because the policy does not list it"),
    LintRule("L035", "warning", "a setting has no effect: no feature has its name, or no field depends on settings"),
    LintRule("L036", "warning", "a setting has no effect because its holder may not turn the feature on"),
    LintRule("L037", "warning", "the value of a setting is unknown and counts as off"),
    LintRule("L038", "warning", "a level is not in the policy and counts as the first"),
    LintRule("L039", "warning", "no setting turns a feature on, or there are no settings"),
    LintRule("L040", "warning", "the policy sets no retention"),
    LintRule("L041", "warning", "retention is more than 30 days"),
    LintRule("L042", "error", "retention has no effect because the policy names no event time"),
    LintRule("L043", "warning", "a feature has a longer retention than the policy"),
    LintRule("L044", "warning", "event times may be more than 7 days in the future"),
    LintRule("L045", "warning", "`future` has no effect because the policy names no event time"),
    LintRule("L046", "warning", "the tenant or subject of a settings row is not in canonical form"),
    LintRule(
        "L047", "error", "a feature is decided per subject, but the policy names no subject: the feature is always off"
    ),
    LintRule("L048", "warning", "records contain positions finer than 10 km and are not encrypted"),
    LintRule("L049", "warning", "encryption is turned off"),
    LintRule("L050", "error", "a condition reads a secret or an identifier"),
    LintRule("L051", "warning", "a condition reads a field that the output does not contain"),
    LintRule("L052", "warning", "a condition compares a field with a value that its type never has"),
    LintRule("L060", "error", "a statistic that one value can dominate needs `clip`, or values that are generalized"),
    LintRule("L061", "warning", "the threshold for small groups is not stated, or is low"),
    LintRule("L062", "error", "a statistic over raw values is one person's value"),
    LintRule("L065", "warning", "`late` has no effect because the source has no batch dates"),
    LintRule("L066", "warning", "an exact statistic next to rounded counts can reveal the exact counts"),
    LintRule("L067", "warning", "small groups are found by counting another field than the subject"),
    LintRule("L068", "error", "a statistic is the smallest or the largest value"),
    LintRule(
        "L069",
        "warning",
        "the source has no batch dates: the day of a run is the date of its statistics",
    ),
    LintRule("L070", "warning", "records have no index: a subject is found only by reading all records"),
    LintRule("L071", "warning", "an output is in an object store, and no ledger outside of it is configured"),
    LintRule("L072", "error", "records contain an identifier, but no subject by which they can be found and erased"),
    LintRule("L073", "error", "the groups of an aggregate identify persons, and requests do not search aggregates"),
    LintRule("L074", "warning", "the retention of an aggregate is more than 400 days"),
    LintRule(
        "L075",
        "warning",
        "an aggregate has a longer retention than the records, but without batch dates each run replaces it",
    ),
    LintRule("L076", "error", "telemetry and service data have the same output root, or one root contains the other"),
    LintRule("L077", "error", "regions are configured, but the policy names no tenant"),
    LintRule("L080", "warning", "the policy is not the approved one"),
    LintRule(
        "L081",
        "error",
        "the policy is not approved in its current form, and `minimize.yaml` requires approval for every run",
    ),
    LintRule("L085", "warning", "a line of `minimize.yaml` turns a protection off"),
    LintRule("L086", "warning", "a technique changes nothing, because of its parameters or the type of its field"),
    LintRule("L087", "warning", "statistics are exact, so the difference of two dates can show single people"),
    LintRule("L088", "warning", "the noise of statistics is small"),
    LintRule("L089", "warning", "many tables of a source: their noise can be averaged"),
    LintRule("L090", "warning", "a subject can be in many rows of a table, whose noise can be averaged"),
    LintRule("L091", "warning", "no ledger is shared, so another output or pipeline releases a date again"),
    LintRule(
        "L092", "warning", "a statistic depends on how many rows a subject has, and `per_subject` does not state it"
    ),
    LintRule("L093", "warning", "rows that arrive late are in a second row of their day, or in no statistic"),
    LintRule("L094", "warning", "a table waits for late rows, and has rows that were published before it did"),
    LintRule("L095", "error", "small groups are found by counting a field that does not identify a person or a device"),
    LintRule("L096", "warning", "combinations of quasi-identifiers in records are not bounded"),
    LintRule("L097", "warning", "a bound on disclosure risk counts rows instead of persons"),
    LintRule("L098", "warning", "records are recoded locally: a coarse label shows which finer ones do not apply"),
    LintRule("L099", "warning", "a bound on disclosure risk permits combinations of fewer than ten persons"),
)

LINT_RULES: Mapping[str, LintRule] = MappingProxyType({rule.code: rule for rule in _ROWS})
"""The rules by code, in the order in which the documentation prints them."""


ALLOWABLE_CODES: Final = tuple(rule.code for rule in _ROWS if rule.severity == "error" and rule.code != "L081")
"""The errors that a run can be allowed to have. Only an approval ends L081."""

LintSetting = tuple[str, str, str]
"""Setting, holder and value of a row of the settings."""


@dataclass(frozen=True, slots=True)
class LintSubject:
    """The input of lint. An attribute is None if it is unknown."""

    policy: Policy
    pipeline: Pipeline | None = None
    columns: frozenset[Pointer] | None = None
    settings: tuple[LintSetting, ...] | None = None
    values: Mapping[Pointer, str] | None = None
    """Kind of the values, in words, for each field whose values in the source are identifying."""
    contacts: Mapping[Pointer, str] | None = None
    """Kind of the values, in words, for each field whose values in the source are addresses of people or computers."""
    siblings: Sequence[Policy] = ()

    def finding(self, code: str, message: str, *, field: Field | None = None, at: str = "", hint: str = "") -> Finding:
        """A finding about a field, or about a key of the policy's head."""
        path = self.policy.path
        line = self.policy.lines.get(tuple(at.split("."))) if field is None else field.line
        key = None if field is None else field.key
        return Finding(
            code=code,
            message=message,
            severity=LINT_RULES[code].severity,
            hint=hint,
            file=None if path is None else str(path),
            line=line,
            field=key,
        )

    def pipeline_finding(self, code: str, message: str, *at: str, hint: str = "") -> Finding:
        """A finding about a key of the pipeline."""
        pipeline = self.pipeline
        path = None if pipeline is None else pipeline.path
        line = None if pipeline is None else pipeline.line_of(*at)
        name = at[1] if len(at) > 1 and at[0] == "aggregates" else None
        return Finding(
            code=code,
            message=message,
            severity=LINT_RULES[code].severity,
            hint=hint,
            file=None if path is None else str(path),
            line=line,
            field=name,
        )

    @property
    def fields(self) -> tuple[Field, ...]:
        """The policy's fields."""
        return tuple(self.policy.fields.values())

    def contact_kind(self, field: Field) -> str | None:
        """The kind of name or address in a field, in words, judged by its name or its values."""
        return contact_kind(field.pointer) or (self.contacts or {}).get(field.pointer)

    def reachable_kind(self, field: Field) -> str | None:
        """The kind of address or number under which a person can be reached by a field, in words."""
        observed_kind = (self.contacts or {}).get(field.pointer)
        return reachable_kind(field.pointer) or (observed_kind if observed_kind == EMAIL_KIND else None)

    def is_in_records(self, key: str) -> bool:
        """Whether the records contain the field, in a run for the pipeline's purpose."""
        field = self.policy.fields.get(key)
        return field is not None and not is_dropped(field) and self.is_for_purpose(field)

    def is_for_purpose(self, field: Field) -> bool:
        """Whether a field may be used for the pipeline's purpose; without a pipeline, always true."""
        purpose = None if self.pipeline is None else self.pipeline.purpose
        return not field.purposes or purpose is None or purpose in field.purposes

    def conditions(self) -> Iterator[tuple[Condition, Field | None]]:
        """Every condition of the policy and the pipeline, with its field (None: whole records)."""
        for field in self.fields:
            if field.collect_if is not None:
                yield field.collect_if, field
            yield from ((case.when, field) for case in field.cases)
        records = None if self.pipeline is None else self.pipeline.records
        for whole in (self.policy.records.collect_if, None if records is None else records.collect_if):
            if whole is not None:
                yield whole, None
