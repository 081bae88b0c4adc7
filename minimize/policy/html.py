"""A policy as tables in a notebook: what it is about, its fields with what becomes of each, its features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from minimize.markup import page, paragraph, table
from minimize.policy.words import chain_text, condition_text, duration

if TYPE_CHECKING:
    from minimize.policy.model import FeatureModel, Field, Policy


def shown(policy: Policy) -> str:
    """The policy as HTML, every text escaped. Holds no value: a policy has none."""
    features = [
        (name, each.about, duration(each.retention) if each.retention else "", _switched(each))
        for name, each in policy.features.items()
    ]
    return page(
        paragraph(f"{policy.policy} version {policy.version}, for {', '.join(policy.purposes)}"),
        paragraph("; ".join(_facts(policy))),
        table(
            "fields", ("field", "type", "role", "what happens", "when", "about"), map(_cells, policy.fields.values())
        ),
        table(
            "features, off until a setting turns them on", ("feature", "about", "kept for", "who switches"), features
        ),
        paragraph(
            f"must not even arrive: {', '.join(each.forbidden_text for each in policy.never)}" if policy.never else ""
        ),
    )


def _switched(feature: FeatureModel) -> str:
    """Who turns a feature on."""
    own = ["each subject also by a setting of its own"] if feature.per_subject else []
    return "; ".join([*filter(None, [", ".join(feature.holders)]), *own])


def _facts(policy: Policy) -> Iterator[str]:
    named = {"tenant": policy.tenant, "subject": policy.subject, "time": policy.time, "record": policy.record}
    yield from (f"{role}: {field}" for role, field in named.items() if field)
    yield f"kept for {duration(policy.retention)}" if policy.retention else "no retention is said"
    if policy.approved is not None:
        yield f"approved by {policy.approved.by} on {policy.approved.on}"


def _cells(field: Field) -> Sequence[str]:
    cases = [f"if {condition_text(case.when)}: {chain_text(case.do)}" for case in field.cases]
    does = "; ".join([*cases, f"else {chain_text(field.otherwise)}"]) if cases else chain_text(field.do)
    return field.key, field.type, field.role, does, "; ".join(_when(field)), field.about


def _when(field: Field) -> Iterator[str]:
    if field.purposes:
        yield f"only for {', '.join(field.purposes)}"
    if field.feature:
        yield f"feature {field.feature} is on"
    if field.level:
        yield f"from level {field.level} on"
    if field.collect_if is not None:
        yield f"if {condition_text(field.collect_if)}"
