"""What of a file is due, where its statistics settle that: nothing of it is decoded."""

from __future__ import annotations

from minimize.governance.retention.clock import limit
from minimize.governance.retention.look import Orders
from minimize.governance.retention.rules import FieldRule, features_in
from minimize.io.footer import Footer
from minimize.io.stored import Stored
from minimize.policy.condition import All, AnyOf, Condition

Bounds = tuple[int, int]


def settled(orders: Orders, stored: Stored, bounds: Bounds | None) -> dict[str, int] | None:
    """How many values go, by field; None where the file must be read.

    Takes the oldest instants of the file, from the first to the last. They settle it where no event concerns the file, no record
    is due, and of each feature that is kept for less long all values are due or none.
    """
    rules = orders.rules
    if bounds is None or rules.records or _has_events(orders):
        return None
    if rules.age is not None and bounds[0] <= limit(orders.at, rules.age):
        return None
    footer, found = Footer(stored.file.metadata, stored.schema), dict[str, int]()
    for rule in rules.fields:
        count = _values(orders, rule, footer, bounds)
        if count is None:
            return None
        found |= {rule.key: count} if count else {}
    return found


def _values(orders: Orders, rule: FieldRule, footer: Footer, bounds: Bounds) -> int | None:
    names = {name for each in rule.conditions for name in features_in(each)} & orders.rules.features.keys()
    last = limit(orders.at, min(orders.rules.features[name] for name in names))
    if bounds[0] > last:
        return 0
    if bounds[1] > last or not all(map(_needs_each, rule.conditions)) or rule.pointer.top not in footer.schema.names:
        return None
    leaf = footer.flat(rule.pointer)
    filled = [None if leaf is None else footer.filled(group, leaf) for group in range(footer.groups)]
    return None if None in filled else sum(count or 0 for count in filled)


def _needs_each(condition: Condition) -> bool:
    """Whether a condition fails as soon as one of its facts does."""
    if isinstance(condition, All):
        return all(map(_needs_each, condition.of))
    return not isinstance(condition, AnyOf)


def _has_events(orders: Orders) -> bool:
    return any(whose.wide or whose.own for whose in orders.everybody)
