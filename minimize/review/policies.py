"""Two states of a policy compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from minimize.policy.approval import approval_state
from minimize.policy.model import FeatureModel, Policy, Records
from minimize.policy.words import condition_text
from minimize.review.change import Change
from minimize.review.conditions import condition_grade
from minimize.review.fields import Sides, field_changes
from minimize.review.grades import Grade, changed, fewer, joined, lower, ranked, said, whole
from minimize.review.words import arrow, listed, span

_HOLDERS: Final = ("admin", "user", "developer")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a policy's head: the code of its change, its key, how people read it, how it is compared."""

    code: str
    key: str
    words: Callable[[Policy], str]
    grade: Callable[[Policy, Policy], Grade]


def policy_changes(sides: Sides) -> Iterator[Change]:
    """What changed about a policy: its head, its features, its fields."""
    for part in PARTS:
        before, after = part.words(sides.old), part.words(sides.new)
        grade = part.grade(sides.old, sides.new)
        if before != after or grade != "neutral":
            line = sides.new.lines.get((part.key,))
            yield Change(part.code, grade, f"{part.key}: {arrow(before, after)}", sides.now, line)
    yield from _records(sides)
    for name in {**sides.old.features, **sides.new.features}:
        yield from _feature(sides, name)
    for key in {**sides.old.fields, **sides.new.fields}:
        yield from field_changes(sides, key)


def _records(sides: Sides) -> Iterator[Change]:
    old, new = sides.old.records, sides.new.records
    grade = joined(
        (
            said(old.feature, new.feature),
            sides.level_grade(old.level, new.level),
            condition_grade(old.collect_if, new.collect_if, sides.levels),
        )
    )
    if old != new or grade != "neutral":
        message = f"records: {arrow(_gate(old), _gate(new))}"
        yield Change("J026", grade, message, sides.now, sides.new.lines.get(("records",)))


def _gate(records: Records) -> str:
    parts = [f"feature {records.feature} is on"] if records.feature else []
    parts += [f"level is {records.level} or higher"] if records.level else []
    parts += [condition_text(records.collect_if)] if records.collect_if is not None else []
    return f"collected if {' and '.join(parts)}" if parts else "collected always"


def _feature(sides: Sides, name: str) -> Iterator[Change]:
    """A feature is off until a setting turns it on: that it comes or goes changes nothing by itself, fields do."""
    old, new = sides.old.features.get(name), sides.new.features.get(name)
    line = sides.new.lines.get(("features", name), sides.new.lines.get(("features",)))
    if old is None or new is None:
        yield Change("J022", "neutral", f"feature {'gone' if new is None else 'new'}", sides.now, line, name)
        return
    found = (
        (_holders(old), _holders(new), holders_grade(old, new)),
        (span(old.retention), span(new.retention), lower(old.retention, new.retention)),
        (_subjects(old), _subjects(new), ranked((True, False))(old.per_subject, new.per_subject)),
    )
    for before, after, grade in found:
        if before != after:
            yield Change("J022", grade, f"feature {arrow(before, after)}", sides.now, line, name)
    if old.about != new.about:
        yield Change("J029", "neutral", "about: other words", sides.now, line, name)


def _holders(feature: FeatureModel) -> str:
    return f"is turned on by {', '.join(feature.holders) or 'anyone'}"


def _subjects(feature: FeatureModel) -> str:
    return f"is on {'for single subjects, whose tenant has it on' if feature.per_subject else 'for whole tenants'}"


def holders_grade(old: FeatureModel, new: FeatureModel) -> Grade:
    """The grade of a change of who may turn it on; what each subject turns on alone cannot be compared with what is for all."""
    before, after = (set(whole(each.holders, _HOLDERS)) for each in (old, new))
    return changed(before, after) if {"user"} in (before, after) else fewer(before, after)


def levels_grade(old: Policy, new: Policy) -> Grade:
    """The grade of a change of levels: where the first stays and none changes places, fields say what it comes to."""
    both = [name for name in old.levels if name in new.levels]
    same = both == [name for name in new.levels if name in old.levels] and old.levels[:1] == new.levels[:1]
    return "neutral" if same else "loosens"


def named_grade(name: str) -> Callable[[Policy, Policy], Grade]:
    """The grade of a change of a field that a policy names: to name one where none was named tightens."""

    def compared(old: Policy, new: Policy) -> Grade:
        return said(getattr(old, name), getattr(new, name))

    return compared


def approved_grade(old: Policy, new: Policy) -> Grade:
    """The grade of a change of approval: to be approved as it is tightens."""
    return ranked((True, False))(approval_state(old) == "approved", approval_state(new) == "approved")


def never_grade(old: Policy, new: Policy) -> Grade:
    """The grade of a change of what must not arrive: a key at any depth covers every single place of it."""

    def covered(one: Policy, other: Policy) -> bool:
        return all(any(rule.covers(pointer) for rule in other.never) for pointer in one.never)

    return ("neutral" if covered(new, old) else "tightens") if covered(old, new) else "loosens"


def _named(name: str) -> Callable[[Policy], str]:
    def words(policy: Policy) -> str:
        found: Any = getattr(policy, name)
        return "nothing" if found in (None, "") else str(found)

    return words


def _neutral(old: Policy, new: Policy) -> Grade:
    return "neutral"


PARTS: Final = (
    Part("J029", "policy", _named("policy"), _neutral),
    Part("J029", "version", _named("version"), _neutral),
    Part("J029", "owner", _named("owner"), _neutral),
    Part("J021", "purposes", lambda each: listed(each.purposes), lambda o, n: fewer(o.purposes, n.purposes)),
    Part("J025", "tenant", _named("tenant"), named_grade("tenant")),
    Part("J025", "subject", _named("subject"), named_grade("subject")),
    Part("J025", "time", _named("time"), named_grade("time")),
    Part("J025", "record", _named("record"), _neutral),
    Part("J020", "retention", lambda each: span(each.retention), lambda o, n: lower(o.retention, n.retention)),
    Part("J020", "future", lambda each: span(each.future), lambda o, n: lower(o.future, n.future)),
    Part("J023", "levels", lambda each: listed(each.levels), levels_grade),
    Part("J024", "never", lambda each: listed(path.forbidden_text for path in each.never), never_grade),
    Part("J027", "approved", approval_state, approved_grade),
)
"""In the order in which they are told."""
