"""Changes of a policy: its fields part by part, then its head, features and record gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from minimize.policy.approval import approval_state
from minimize.policy.describe import condition_text, gate_texts, treatment_text
from minimize.policy.fields import is_dropped
from minimize.policy.model import HOLDERS, FeatureModel, Field, Policy, RecordsGate, Role
from minimize.review.changes import GradedChange, change_text, list_text, retention_text
from minimize.review.grades import (
    Grade,
    aggregate_input_grade,
    cases_grade,
    change_loosens,
    condition_grade,
    fewer_tightens,
    join_grades,
    lower_tightens,
    names_or_all,
    ranked_comparison,
    setting_tightens,
)

ROLE_ORDER: Final[tuple[Role, ...]] = ("secret", "identifier", "free_text", "sensitive", "quasi", "plain")
"""Roles, most protected first."""
TYPE_ORDER: Final = ("boolean", "integer", "double", "string")
"""Types, narrowest first: each accepts all values of those before it."""
TIME_TYPES: Final = ("date", "timestamp")


@dataclass(frozen=True, slots=True)
class PolicySides:
    """The old and the new policy, with the name of the file on each side."""

    old: Policy
    new: Policy
    old_file: str | None = None
    new_file: str | None = None

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels, lowest first, if both sides have the same; else empty."""
        return self.new.levels if self.old.levels == self.new.levels else ()

    def level_grade(self, old: str | None, new: str | None) -> Grade:
        """Grade of a change of the required level. The first level is always collected, as if none were required."""
        if not self.levels:
            return setting_tightens(old, new)
        return ranked_comparison(self.levels[::-1])(old or self.levels[0], new or self.levels[0])

    def roles(self, *fields: Field) -> frozenset[Role]:
        """The roles of a field and of the fields it is made from, on both sides."""
        inputs = {key for field in fields for key in field.from_}
        made = {side.fields[key].role for side in (self.old, self.new) for key in inputs & set(side.fields)}
        return frozenset(made | {field.role for field in fields})


@dataclass(frozen=True, slots=True)
class FieldPart:
    """One part of a field: code of its change, keys in the file, text, and comparison."""

    code: str
    keys: tuple[str, ...]
    words: Callable[[Field], str]
    grade: Callable[[PolicySides, Field, Field], Grade]


def field_changes(sides: PolicySides, key: str) -> Iterator[GradedChange]:
    """Changes of one field."""
    old, new = sides.old.fields.get(key), sides.new.fields.get(key)
    if old is None and new is not None:
        yield GradedChange(
            "J010",
            "loosens" if _is_released(new) else "neutral",
            f"new: {_field_text(new)}",
            sides.new_file,
            new.line,
            key,
        )
    elif new is None and old is not None:
        message = f"removed, and so dropped; it was {_field_text(old)}"
        yield GradedChange(
            "J010", "tightens" if _is_released(old) else "neutral", message, sides.old_file, old.line, key
        )
    elif old is not None and new is not None:
        for part in FIELD_PARTS:
            yield from _part_changes(sides, part, old, new)


def _part_changes(sides: PolicySides, part: FieldPart, old: Field, new: Field) -> Iterator[GradedChange]:
    before, after, grade = part.words(old), part.words(new), part.grade(sides, old, new)
    if before != after or grade != "neutral":
        lines = (sides.new.lines.get(("fields", new.key, key)) for key in part.keys)
        line = next((line for line in lines if line is not None), new.line)
        yield GradedChange(part.code, grade, change_text(before, after), sides.new_file, line, new.key)


def gate_grade(sides: PolicySides, old: Field | RecordsGate, new: Field | RecordsGate) -> Grade:
    """Grade of a change of feature, level and condition. A value or record must pass all of them."""
    return join_grades(
        (
            setting_tightens(old.feature, new.feature),
            sides.level_grade(old.level, new.level),
            condition_grade(old.collect_if, new.collect_if, sides.levels),
        )
    )


def purposes_grade(sides: PolicySides, old: Field, new: Field) -> Grade:
    """Grade of a change of purposes. A field without purposes has all purposes of the policy."""
    if not old.purposes or not new.purposes:
        return "neutral" if old.purposes == new.purposes else "tightens" if new.purposes else "loosens"
    return fewer_tightens(old.purposes, new.purposes)


def type_grade(sides: PolicySides, old: Field, new: Field) -> Grade:
    """Grade of a change of type: a wider type loosens. Neutral if the field is not released on either side."""
    if not _is_released(old) and not _is_released(new):
        return "neutral"
    words = TIME_TYPES if {old.type, new.type} <= set(TIME_TYPES) else TYPE_ORDER
    return ranked_comparison(words)(old.type, new.type)


def _aggregates_grade(sides: PolicySides, old: Field, new: Field) -> Grade:
    if not old.in_aggregates and not new.in_aggregates:
        return "neutral"
    return aggregate_input_grade(old, new, sides.roles(old, new))


def _is_released(field: Field) -> bool:
    """Whether the field is released in records or in aggregates."""
    return not is_dropped(field) or bool(field.in_aggregates)


def _field_text(field: Field) -> str:
    return _form_text(field) + (f", {_aggregates_text(field)}" if field.in_aggregates else "")


def _form_text(field: Field) -> str:
    if not field.cases:
        return treatment_text(field.do)
    cases = (f"if {condition_text(case.when)}: {treatment_text(case.do)}" for case in field.cases)
    return "; ".join([*cases, f"otherwise {treatment_text(field.otherwise)}"])


def _aggregates_text(field: Field) -> str:
    return f"aggregates see {treatment_text(field.in_aggregates) if field.in_aggregates else 'the released form'}"


def _gate_text(gated: Field | RecordsGate) -> str:
    texts = " and ".join(gate_texts(gated))
    return f"collected if {texts}" if texts else "collected always"


def _description_text(field: Field) -> str:
    marks = [word for word in ("required", "optional") if getattr(field, word)]
    return ", ".join([*marks, *(text for text in (field.about, field.unit) if text)]) or "no description"


FIELD_PARTS: Final = (
    FieldPart("J011", ("do", "cases", "otherwise"), _form_text, lambda s, o, n: cases_grade(o, n, s.roles(o, n))),
    FieldPart("J012", ("feature", "level", "collect_if"), _gate_text, gate_grade),
    FieldPart(
        "J013", ("purposes",), lambda field: f"for {', '.join(field.purposes) or 'all purposes'}", purposes_grade
    ),
    FieldPart("J014", ("type",), lambda field: field.type, type_grade),
    FieldPart(
        "J015",
        ("role",),
        lambda field: f"role {field.role}",
        lambda s, o, n: ranked_comparison(ROLE_ORDER)(o.role, n.role),
    ),
    FieldPart("J016", ("in_aggregates",), _aggregates_text, _aggregates_grade),
    FieldPart(
        "J017",
        ("from",),
        lambda field: f"from {', '.join(field.from_) or 'itself'}",
        lambda s, o, n: change_loosens(o.from_, n.from_),
    ),
    FieldPart("J029", ("about", "unit", "required", "optional"), _description_text, lambda s, o, n: "neutral"),
)
"""In the order of the report."""


@dataclass(frozen=True, slots=True)
class PolicyPart:
    """One part of a policy's head: code of its change, key, text, and comparison."""

    code: str
    key: str
    words: Callable[[Policy], str]
    grade: Callable[[Policy, Policy], Grade]


def policy_changes(sides: PolicySides) -> Iterator[GradedChange]:
    """Changes of a policy: head, record gate, features, fields."""
    for part in POLICY_PARTS:
        before, after = part.words(sides.old), part.words(sides.new)
        grade = part.grade(sides.old, sides.new)
        if before != after or grade != "neutral":
            line = sides.new.lines.get((part.key,))
            yield GradedChange(part.code, grade, f"{part.key}: {change_text(before, after)}", sides.new_file, line)
    yield from _record_gate_changes(sides)
    for name in {**sides.old.features, **sides.new.features}:
        yield from _feature_changes(sides, name)
    for key in {**sides.old.fields, **sides.new.fields}:
        yield from field_changes(sides, key)


def _record_gate_changes(sides: PolicySides) -> Iterator[GradedChange]:
    old, new = sides.old.records, sides.new.records
    grade = gate_grade(sides, old, new)
    if old != new or grade != "neutral":
        message = f"records: {change_text(_gate_text(old), _gate_text(new))}"
        yield GradedChange("J026", grade, message, sides.new_file, sides.new.lines.get(("records",)))


def _feature_changes(sides: PolicySides, name: str) -> Iterator[GradedChange]:
    """Changes of a feature. Adding or removing one is neutral: it is off by default, and fields decide about release."""
    old, new = sides.old.features.get(name), sides.new.features.get(name)
    line = sides.new.lines.get(("features", name), sides.new.lines.get(("features",)))
    if old is None or new is None:
        yield GradedChange(
            "J022", "neutral", f"feature {'removed' if new is None else 'added'}", sides.new_file, line, name
        )
        return
    found = (
        (_holders_text(old), _holders_text(new), holders_grade(old, new)),
        (retention_text(old.retention), retention_text(new.retention), lower_tightens(old.retention, new.retention)),
        (
            _per_subject_text(old),
            _per_subject_text(new),
            ranked_comparison((True, False))(old.per_subject, new.per_subject),
        ),
    )
    for before, after, grade in found:
        if before != after:
            yield GradedChange("J022", grade, f"feature {change_text(before, after)}", sides.new_file, line, name)
    if old.about != new.about:
        yield GradedChange("J029", "neutral", "about: description changed", sides.new_file, line, name)


def _holders_text(feature: FeatureModel) -> str:
    return f"is turned on by {', '.join(feature.holders) or 'anyone'}"


def _per_subject_text(feature: FeatureModel) -> str:
    return f"is on {'for single subjects if their tenant has it on' if feature.per_subject else 'for whole tenants'}"


def holders_grade(old: FeatureModel, new: FeatureModel) -> Grade:
    """Grade of a change of who may turn a feature on. A choice by each subject alone is not comparable: it loosens."""
    before, after = (set(names_or_all(each.holders, HOLDERS)) for each in (old, new))
    return change_loosens(before, after) if {"user"} in (before, after) else fewer_tightens(before, after)


def levels_grade(old: Policy, new: Policy) -> Grade:
    """Grade of a change of levels. Neutral if first level and order stay the same; the fields then show the effect."""
    both = [name for name in old.levels if name in new.levels]
    same = both == [name for name in new.levels if name in old.levels] and old.levels[:1] == new.levels[:1]
    return "neutral" if same else "loosens"


def named_field_grade(name: str) -> Callable[[Policy, Policy], Grade]:
    """Grade of a change of a field that the policy's head names. Naming one for the first time tightens."""

    def compared(old: Policy, new: Policy) -> Grade:
        return setting_tightens(getattr(old, name), getattr(new, name))

    return compared


def approval_grade(old: Policy, new: Policy) -> Grade:
    """Grade of a change of approval. An approval of the current content tightens."""
    return ranked_comparison((True, False))(approval_state(old) == "approved", approval_state(new) == "approved")


def never_grade(old: Policy, new: Policy) -> Grade:
    """Grade of a change of forbidden paths. A key at any depth covers each single path with that key."""

    def covered(one: Policy, other: Policy) -> bool:
        return all(any(rule.covers(pointer) for rule in other.never) for pointer in one.never)

    return ("neutral" if covered(new, old) else "tightens") if covered(old, new) else "loosens"


def _named_field_text(name: str) -> Callable[[Policy], str]:
    def words(policy: Policy) -> str:
        found: Any = getattr(policy, name)
        return "nothing" if found in (None, "") else str(found)

    return words


def _always_neutral(old: Policy, new: Policy) -> Grade:
    return "neutral"


POLICY_PARTS: Final = (
    PolicyPart("J029", "policy", _named_field_text("policy"), _always_neutral),
    PolicyPart("J029", "version", _named_field_text("version"), _always_neutral),
    PolicyPart("J029", "owner", _named_field_text("owner"), _always_neutral),
    PolicyPart(
        "J021", "purposes", lambda each: list_text(each.purposes), lambda o, n: fewer_tightens(o.purposes, n.purposes)
    ),
    PolicyPart("J025", "tenant", _named_field_text("tenant"), named_field_grade("tenant")),
    PolicyPart("J025", "subject", _named_field_text("subject"), named_field_grade("subject")),
    PolicyPart("J025", "time", _named_field_text("time"), named_field_grade("time")),
    PolicyPart("J025", "record", _named_field_text("record"), _always_neutral),
    PolicyPart(
        "J020",
        "retention",
        lambda each: retention_text(each.retention),
        lambda o, n: lower_tightens(o.retention, n.retention),
    ),
    PolicyPart(
        "J020", "future", lambda each: retention_text(each.future), lambda o, n: lower_tightens(o.future, n.future)
    ),
    PolicyPart("J023", "levels", lambda each: list_text(each.levels), levels_grade),
    PolicyPart("J024", "never", lambda each: list_text(path.forbidden_text for path in each.never), never_grade),
    PolicyPart("J027", "approved", approval_state, approval_grade),
)
"""In the order of the report."""
