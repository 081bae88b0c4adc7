"""Describe policies in words and as HTML: conditions, technique chains, durations, gates; tables for a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from minimize.forms.yaml_nodes import scalar_text
from minimize.pages import Table, html_fragment
from minimize.policy.condition import (
    AllOf,
    AnyOf,
    Condition,
    FeatureOn,
    FieldEquals,
    LevelAtLeast,
    TimeWithin,
)
from minimize.techniques import TechniqueStep
from minimize.times import duration_text

if TYPE_CHECKING:
    from minimize.policy.model import FeatureModel, Field, Policy, RecordsGate
    from minimize.policy.treatments import Treatment


def condition_text(condition: Condition) -> str:
    """A condition in words.

    >>> managed = AllOf((FeatureOn("inventory"), FieldEquals("managed", (True,))))
    >>> condition_text(AnyOf((FieldEquals("owner_type", ("corporate",)), managed)))
    'owner_type is corporate or (feature inventory is on and managed is true)'
    """
    match condition:
        case AllOf(parts):
            return " and ".join(_nested_condition_text(part) for part in parts)
        case AnyOf(parts):
            return " or ".join(_nested_condition_text(part) for part in parts)
        case FeatureOn(name):
            return f"feature {name} is on"
        case LevelAtLeast(name):
            return f"level is {name} or higher"
        case FieldEquals(key, values):
            return f"{key} is {' or '.join(scalar_text(value) for value in values)}"
        case TimeWithin(key, age, parts):
            return f"{key} is less than {duration_text(age)} before {parts}"


def treatment_text(do: Treatment) -> str:
    """The treatment in words, with its parameters.

    >>> from minimize.techniques.mask import Mask
    >>> treatment_text((Mask(keep_last=4),)), treatment_text("drop")
    ('mask (keep_last 4)', 'drop')
    """
    return do if do == "drop" else " → ".join(step_text(step) for step in do)


def step_text(step: TechniqueStep) -> str:
    """A step with the parameters that the policy sets."""
    parameters = step.model_dump(exclude_unset=True)
    words = ", ".join(f"{key} {_parameter_text(value)}" for key, value in parameters.items() if value is not None)
    return f"{step.name} ({words})" if words else step.name


def feature_text(policy: Policy, name: str) -> str:
    """The condition that a feature is on, in words."""
    feature = policy.features.get(name)
    both = feature is not None and feature.per_subject
    return f"feature {name} is on{' for the tenant and for the subject itself' if both else ''}"


def gate_texts(gated: Field | RecordsGate, policy: Policy | None = None) -> Iterator[str]:
    """The conditions under which a field or a record is collected, in words: feature, level, and `collect_if`.

    If the policy is given, the text of a feature also mentions subjects that decide for themselves.
    """
    if gated.feature:
        yield f"feature {gated.feature} is on" if policy is None else feature_text(policy, gated.feature)
    if gated.level:
        yield f"level is {gated.level} or higher"
    if gated.collect_if is not None:
        yield condition_text(gated.collect_if)


def _nested_condition_text(condition: Condition) -> str:
    text = condition_text(condition)
    return f"({text})" if isinstance(condition, AllOf | AnyOf) else text


def _parameter_text(value: object) -> str:
    if isinstance(value, dict):
        is_identity = all(key == item for key, item in value.items())
        return " ".join(map(_parameter_text, value)) if is_identity else f"of {len(value)} values"
    if isinstance(value, list | tuple):
        return " ".join(map(_parameter_text, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return re.sub(r"^(-?[1-9]\d*)0{9}$", r"\1e9", text)


def policy_html(policy: Policy) -> str:
    """The policy as HTML; all text is escaped. It contains no value from data."""
    features = [
        (name, each.about, duration_text(each.retention) if each.retention else "", _feature_holders(each))
        for name, each in policy.features.items()
    ]
    return html_fragment(
        f"{policy.policy} version {policy.version}, for {', '.join(policy.purposes)}",
        "; ".join(_policy_facts(policy)),
        Table(
            "fields",
            ("field", "type", "role", "what happens", "when", "about"),
            [*map(_field_cells, policy.fields.values())],
        ),
        Table("features (the default is off)", ("feature", "about", "kept for", "who turns it on"), features),
        f"must not arrive: {', '.join(each.forbidden_text for each in policy.never)}" if policy.never else "",
    )


def _feature_holders(feature: FeatureModel) -> str:
    """The holders that may turn a feature on, in words."""
    subjects = ["each subject also by its own setting"] if feature.per_subject else []
    return "; ".join([*filter(None, [", ".join(feature.holders)]), *subjects])


def _policy_facts(policy: Policy) -> Iterator[str]:
    named = {"tenant": policy.tenant, "subject": policy.subject, "time": policy.time, "record": policy.record}
    yield from (f"{role}: {field}" for role, field in named.items() if field)
    yield f"kept for {duration_text(policy.retention)}" if policy.retention else "no retention"
    if policy.approved is not None:
        yield f"last approved by {policy.approved.by} on {policy.approved.on}"


def _field_cells(field: Field) -> Sequence[str]:
    cases = [f"if {condition_text(case.when)}: {treatment_text(case.do)}" for case in field.cases]
    does = "; ".join([*cases, f"else {treatment_text(field.otherwise)}"]) if cases else treatment_text(field.do)
    return field.key, field.type, field.role, does, "; ".join(_gate_cells(field)), field.about


def _gate_cells(field: Field) -> Iterator[str]:
    if field.purposes:
        yield f"only for {', '.join(field.purposes)}"
    if field.feature:
        yield f"feature {field.feature} is on"
    if field.level:
        yield f"from level {field.level} on"
    if field.collect_if is not None:
        yield f"if {condition_text(field.collect_if)}"
