"""Describe policies in words and as HTML: conditions, technique chains, durations, gates; tables for a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

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


class Words:
    """Conditions and treatments in words for an officer. Pages for other readers have subclasses."""

    def condition(self, condition: Condition) -> str:
        """A condition in words.

        >>> managed = AllOf((FeatureOn("inventory"), FieldEquals("managed", (True,))))
        >>> condition_text(AnyOf((FieldEquals("owner_type", ("corporate",)), managed)))
        'owner_type is corporate or (feature inventory is on and managed is true)'
        """
        match condition:
            case AllOf(parts):
                return " and ".join(map(self._nested, parts))
            case AnyOf(parts):
                return " or ".join(map(self._nested, parts))
            case FeatureOn(name):
                return self.feature(name)
            case LevelAtLeast(name):
                return self.level(name)
            case FieldEquals(key, values):
                return self.equality(key, values)
            case TimeWithin(key, age, reference):
                return self.age(key, age, reference)

    def feature(self, name: str) -> str:
        """The condition that a feature is on."""
        return f"feature {name} is on"

    def level(self, name: str) -> str:
        """The condition that the level of collection is high enough."""
        return f"level is {name} or higher"

    def equality(self, key: str, values: Sequence[Any]) -> str:
        """The condition that a field has one of these values."""
        return f"{key} is {' or '.join(map(scalar_text, values))}"

    def age(self, key: str, age: timedelta, reference: str) -> str:
        """The condition that a time is not long before another."""
        return f"{key} is less than {duration_text(age)} before {reference}"

    def treatment(self, do: Treatment) -> str:
        """A treatment in words, with its parameters.

        >>> from minimize.techniques.mask import Mask
        >>> treatment_text((Mask(keep_last=4),)), treatment_text("drop")
        ('mask (keep_last 4)', 'drop')
        """
        return do if do == "drop" else " → ".join(map(step_text, do))

    def forms(
        self, field: Field, case: str = "if {when}: {form}", otherwise: str = "otherwise {form}"
    ) -> Iterator[str]:
        """The treatment of a field in words: one text, or one for each case by these templates."""
        for branch in field.cases:
            yield case.format(when=self.condition(branch.when), form=self.treatment(branch.do))
        yield otherwise.format(form=self.treatment(field.otherwise)) if field.cases else self.treatment(field.do)

    def gate(self, gated: Field | RecordsGate, policy: Policy | None = None) -> Iterator[str]:
        """The conditions under which a field or a record is collected, in words: feature, level, and `collect_if`.

        If the policy is given, the text of a feature also mentions subjects that decide for themselves.
        """
        if gated.feature:
            yield self.feature(gated.feature) if policy is None else feature_text(policy, gated.feature)
        if gated.level:
            yield self.level(gated.level)
        if gated.collect_if is not None:
            yield self.condition(gated.collect_if)

    def _nested(self, condition: Condition) -> str:
        text = self.condition(condition)
        return f"({text})" if isinstance(condition, AllOf | AnyOf) else text


WORDS: Final = Words()
condition_text, treatment_text, gate_texts = WORDS.condition, WORDS.treatment, WORDS.gate


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


def _parameter_text(value: object) -> str:
    if isinstance(value, dict):
        alike = all(key == other for key, other in value.items())
        return " ".join(map(_parameter_text, value)) if alike else f"of {len(value)} values"
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
    does = "; ".join(WORDS.forms(field, otherwise="else {form}"))
    return field.key, field.type, field.stated_role or "–", does, "; ".join(_gate_cells(field)), field.about


def _gate_cells(field: Field) -> Iterator[str]:
    if field.purposes:
        yield f"only for {', '.join(field.purposes)}"
    if field.feature:
        yield f"feature {field.feature} is on"
    if field.level:
        yield f"from level {field.level} on"
    if field.collect_if is not None:
        yield f"if {condition_text(field.collect_if)}"
