"""The table of lint rules, and the subject of lint: a policy, perhaps its pipeline, and what is known of source and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, Severity
from minimize.policy.condition import Condition
from minimize.policy.fields import is_dropped
from minimize.policy.model import Field, Pipeline, Policy
from minimize.policy.roles import contact_kind


@dataclass(frozen=True, slots=True)
class LintRule:
    """One rule of lint."""

    code: str
    severity: Severity
    about: str


_ROWS = (
    LintRule("L001", "warning", "a quasi-identifier is kept as it is"),
    LintRule("L002", "error", "free text is kept as it is"),
    LintRule("L003", "warning", "free text is kept in part: what no pattern finds stays"),
    LintRule("L004", "warning", "an identifier is kept as it is"),
    LintRule("L005", "warning", "an identifier can be guessed or reversed from what is kept"),
    LintRule("L006", "warning", "a sensitive value is kept as it is"),
    LintRule("L007", "warning", "a field looks personal by its name, and its role is plain"),
    LintRule("L008", "warning", "a field's values identify, and its role is not stated"),
    LintRule("L009", "error", "a name, an IP, e-mail or postal address is kept as it is below the level `full`"),
    LintRule("L010", "warning", "a pseudonym without `per`: it links a subject across tenants"),
    LintRule(
        "L011", "warning", "a pseudonym per something that cannot be enumerated, so that it cannot be found again"
    ),
    LintRule("L012", "warning", "a key that the keyring does not have, or a keyring that cannot be used"),
    LintRule("L020", "warning", "a path of the policy that matches nothing in the source"),
    LintRule("L021", "error", "a path of the policy that differs from the source's in case or spelling alone"),
    LintRule("L022", "warning", "a field of the same name is treated differently by another policy of the tree"),
    LintRule("L023", "warning", "the source could not be looked at, so that no path was compared with it"),
    LintRule("L030", "warning", "a feature that no field uses"),
    LintRule("L031", "warning", "levels that no field uses"),
    LintRule("L032", "warning", "a gate without effect: the first level, or a field that is dropped anyway"),
    LintRule("L033", "error", "a gate that never opens: the policy names no tenant"),
    LintRule("L034", "warning", "a purpose without effect: the policy does not list it"),
    LintRule("L035", "warning", "a setting without effect: no feature has its name, or no field asks for any"),
    LintRule("L036", "warning", "a setting without effect: this holder may not turn the feature on"),
    LintRule("L037", "warning", "a setting whose value is not known, and counts as off"),
    LintRule("L038", "warning", "a level that the policy does not have, and that counts as the first"),
    LintRule("L039", "warning", "a feature that no setting turns on, or no settings at all"),
    LintRule("L040", "warning", "no retention"),
    LintRule("L041", "warning", "retention above 30 days"),
    LintRule("L042", "error", "retention without effect: the policy names no event time"),
    LintRule("L043", "warning", "a feature is kept for longer than the policy"),
    LintRule("L044", "warning", "event times may lie more than 7 days in the future"),
    LintRule("L045", "warning", "`future` without effect: the policy names no event time"),
    LintRule("L046", "warning", "a row of the settings whose tenant or subject is not in its canonical form"),
    LintRule(
        "L047", "error", "a feature that is decided for each subject, in a policy that names no subject: it is never on"
    ),
    LintRule("L048", "warning", "positions in records that are not encrypted"),
    LintRule("L050", "error", "a condition reads a secret or an identifier"),
    LintRule("L051", "warning", "a condition reads a field that the output does not hold"),
    LintRule("L052", "warning", "a condition asks for a value that the field's type never has"),
    LintRule("L060", "error", "a sum or mean over values that are not generalized wants `clip`"),
    LintRule("L061", "warning", "small groups are not suppressed, or only below a low threshold"),
    LintRule("L062", "error", "a minimum or maximum over raw values is somebody's value"),
    LintRule("L065", "warning", "late rows are not waited for: the source has no batch dates"),
    LintRule("L066", "warning", "an exact mean, sum or share beside rounded counts can give them back"),
    LintRule("L067", "warning", "small groups are told by counting another field than the subject"),
    LintRule("L068", "error", "a quantile at 0 or 1 is the smallest or the largest value"),
    LintRule("L069", "warning", "the source has no batch dates: each run releases all rows of an aggregate anew"),
    LintRule("L070", "warning", "records without an index: a subject is found only by reading all of them"),
    LintRule("L071", "warning", "an output in an object store, and no ledger is named outside of it"),
    LintRule("L072", "error", "records hold an identifier, and no subject by which they could be found and erased"),
    LintRule("L073", "error", "an aggregate's groups name somebody, and no request looks there"),
    LintRule("L074", "warning", "an aggregate is kept for more than 400 days"),
    LintRule(
        "L075", "warning", "an aggregate is kept for longer than records, and each run replaces it: no batch dates"
    ),
    LintRule("L080", "warning", "a policy that is not the one that was approved"),
    LintRule(
        "L081", "error", "a policy that nobody approved as it is, where the house lets nothing run under such a one"
    ),
)

LINT_RULES: Mapping[str, LintRule] = MappingProxyType({rule.code: rule for rule in _ROWS})
"""By code, in the order in which documentation prints them."""


LintSetting = tuple[str, str, str]
"""Setting, holder, value, as the settings have them."""


@dataclass(frozen=True, slots=True)
class LintSubject:
    """What is linted; None where nothing is known.

    values    of the fields whose values in the source identify: what they are, in words
    contacts  of the fields whose values in the source are addresses of people or computers: what they are, in words
    """

    policy: Policy
    pipeline: Pipeline | None = None
    columns: frozenset[Pointer] | None = None
    settings: tuple[LintSetting, ...] | None = None
    values: Mapping[Pointer, str] | None = None
    contacts: Mapping[Pointer, str] | None = None
    siblings: Sequence[Policy] = ()

    def finding(self, code: str, message: str, *, field: Field | None = None, at: str = "", hint: str = "") -> Finding:
        """A finding about a field, or about a key of the policy's head."""
        path = self.policy.path
        line = self.policy.lines.get(tuple(at.split("."))) if field is None else field.line
        key = None if field is None else field.key
        return Finding(code, message, LINT_RULES[code].severity, hint, None if path is None else str(path), line, key)

    def pipeline_finding(self, code: str, message: str, *at: str, hint: str = "") -> Finding:
        """A finding about a key of the pipeline."""
        pipeline = self.pipeline
        path = None if pipeline is None else pipeline.path
        line = None if pipeline is None else pipeline.line_of(*at)
        name = at[1] if len(at) > 1 and at[0] == "aggregates" else None
        return Finding(code, message, LINT_RULES[code].severity, hint, None if path is None else str(path), line, name)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The policy's fields."""
        return tuple(self.policy.fields.values())

    def contact_kind(self, field: Field) -> str | None:
        """Which kind of name or address a field holds, by its name or its values, in words."""
        return contact_kind(field.pointer) or (self.contacts or {}).get(field.pointer)

    def is_in_records(self, key: str) -> bool:
        """Whether the records hold the field, in a run for the pipeline's purpose."""
        field = self.policy.fields.get(key)
        return field is not None and not is_dropped(field) and self.is_for_purpose(field)

    def is_for_purpose(self, field: Field) -> bool:
        """Whether a field may be had for the pipeline's purpose; without a pipeline for any."""
        purpose = None if self.pipeline is None else self.pipeline.purpose
        return not field.purposes or purpose is None or purpose in field.purposes

    def conditions(self) -> Iterator[tuple[Condition, Field | None]]:
        """Every condition of the policy and the pipeline, and the field that it belongs to (None: whole records)."""
        for field in self.fields:
            if field.collect_if is not None:
                yield field.collect_if, field
            yield from ((case.when, field) for case in field.cases)
        records = None if self.pipeline is None else self.pipeline.records
        for whole in (self.policy.records.collect_if, None if records is None else records.collect_if):
            if whole is not None:
                yield whole, None
