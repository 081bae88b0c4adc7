"""Conditions, techniques and durations in words, as a reviewer reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from minimize.policy.condition import All, AnyOf, Condition, Equals, Feature, Level, Scalar, Within
from minimize.techniques import Step

if TYPE_CHECKING:
    from minimize.policy.model import Do, Field, Policy, Records


def condition_text(condition: Condition) -> str:
    """A condition in words.

    >>> condition_text(AnyOf((Equals("owner_type", ("corporate",)), All((Feature("inventory"), Equals("managed", (True,)))))))
    'owner_type is corporate or (feature inventory is on and managed is true)'
    """
    match condition:
        case All(of):
            return " and ".join(_bracketed(part) for part in of)
        case AnyOf(of):
            return " or ".join(_bracketed(part) for part in of)
        case Feature(name):
            return f"feature {name} is on"
        case Level(name):
            return f"level is {name} or higher"
        case Equals(key, values):
            return f"{key} is {' or '.join(_scalar(value) for value in values)}"
        case Within(key, age, of):
            return f"{key} is less than {duration(age)} before {of}"


def chain_text(do: Do) -> str:
    """What is done, with its parameters.

    >>> from minimize.techniques.mask import Mask
    >>> chain_text((Mask(keep_last=4),)), chain_text("drop")
    ('mask (keep_last 4)', 'drop')
    """
    return do if do == "drop" else " → ".join(step_text(step) for step in do)


def step_text(step: Step) -> str:
    """A step with the parameters that the policy gave it."""
    given = step.model_dump(exclude_unset=True)
    words = ", ".join(f"{key} {_parameter(value)}" for key, value in given.items() if value is not None)
    return f"{step.name} ({words})" if words else step.name


def duration(span: timedelta) -> str:
    """A duration as policies write it.

    >>> duration(timedelta(hours=24)), duration(timedelta(hours=36)), duration(timedelta(minutes=90))
    ('1d', '36h', '90m')
    """
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def feature_text(policy: Policy, name: str) -> str:
    """When a feature is on, in words."""
    feature = policy.features.get(name)
    both = feature is not None and feature.per_subject
    return f"feature {name} is on{' for the tenant and for the subject itself' if both else ''}"


def gate_texts(policy: Policy, gated: Field | Records) -> Iterator[str]:
    """The conditions under which a field or a record is collected, in words: feature, level, and `collect_if`."""
    if gated.feature:
        yield feature_text(policy, gated.feature)
    if gated.level:
        yield f"level is {gated.level} or higher"
    if gated.collect_if is not None:
        yield condition_text(gated.collect_if)


def _bracketed(condition: Condition) -> str:
    text = condition_text(condition)
    return f"({text})" if isinstance(condition, All | AnyOf) else text


def _parameter(value: object) -> str:
    if isinstance(value, dict):
        alike = all(key == other for key, other in value.items())
        return " ".join(map(_parameter, value)) if alike else f"of {len(value)} values"
    if isinstance(value, list | tuple):
        return " ".join(map(_parameter, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return re.sub(r"^(-?[1-9]\d*)0{9}$", r"\1e9", text)


def _scalar(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
