"""Two states of an access file compared: roles, who has them where, how long grants last, who is who."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta

from minimize.governance.access.model import Access, Assignment, Scope, covers
from minimize.policy.words import duration
from minimize.review.change import Change
from minimize.review.grades import Grade, changed, fewer, lower, more
from minimize.review.roles import role_changes

Member = tuple[str, str]
"""A role, and who has it."""


def access_changes(old: Access, new: Access, file: str | None) -> Iterator[Change]:
    """What changed about who may do what."""
    for name in {**old.roles, **new.roles}:
        yield from role_changes(old.roles.get(name), new.roles.get(name), file)
    for member in {**_held(old), **_held(new)}:
        yield from _member(old, new, member, file)
    before, after = _lengths(old), _lengths(new)
    for what, length in after.items():
        if before[what] != length:
            told = f"{what}: {duration(before[what])} → {duration(length)}"
            yield Change("J072", lower(before[what], length), told, file)
    if set(old.conflicts) != set(new.conflicts):
        yield Change("J072", more(old.conflicts, new.conflicts), "other roles conflict", file)
    yield from _people(old, new, file)


def _held(access: Access) -> dict[Member, list[Assignment]]:
    held: dict[Member, list[Assignment]] = {}
    for each in access.assignments:
        for name in (*each.users, *(f"group {name}" for name in each.groups)):
            held.setdefault((each.role, name), []).append(each)
    return held


def _member(old: Access, new: Access, member: Member, file: str | None) -> Iterator[Change]:
    """A role that denies something holds back whatever else its members have: there is no order in having it or not."""
    before, after = _held(old).get(member, []), _held(new).get(member, [])
    denies = any(member[0] in side.roles and side.roles[member[0]].deny for side in (old, new))
    scopes = [each.scope for each in before], [each.scope for each in after]
    grade = scopes_grade(*scopes)
    if repr(scopes[0]) != repr(scopes[1]):
        word = "has it no longer" if not after else "has it now" if not before else "has it elsewhere"
        line = after[0].line if after else None
        final: Grade = "loosens" if denies and grade != "neutral" else grade
        yield Change("J071", final, f"{member[1]} {word}", file, line, member[0])


def scopes_grade(old: Sequence[Scope], new: Sequence[Scope]) -> Grade:
    """The grade of a change of where a role holds."""
    narrower = all(any(_within(each, other) for other in old) for each in new)
    wider = all(any(_within(each, other) for other in new) for each in old)
    return "neutral" if narrower and wider else "tightens" if narrower else "loosens"


def _within(one: Scope, other: Scope) -> bool:
    """Whether one scope lies in another."""
    return one.tenants <= other.tenants and _datasets(one, other) and _among(one.purposes, other.purposes)


def _datasets(one: Scope, other: Scope) -> bool:
    if one.datasets is None or other.datasets is None:
        return other.datasets is None
    return all(
        any(name == own or ("/" in name and covers(own, name)) for own in other.datasets) for name in one.datasets
    )


def _among(one: Collection[str] | None, other: Collection[str] | None) -> bool:
    return other is None or (one is not None and set(one) <= set(other))


def _lengths(access: Access) -> dict[str, timedelta]:
    rules = access.grants
    return {
        "grants last": rules.default,
        "grants last at most": rules.maximum,
        "requests wait": rules.unanswered,
        "break-glass lasts": rules.break_glass.maximum,
        "break-glass is reviewed within": rules.break_glass.review_within,
    }


def _people(old: Access, new: Access, file: str | None) -> Iterator[Change]:
    """More accounts that are one person's keep more duties apart; more members of a group have its roles."""
    for name in sorted({**old.people, **new.people}):
        accounts = old.people.get(name, ()), new.people.get(name, ())
        if set(accounts[0]) != set(accounts[1]):
            yield Change("J073", more(*accounts), "other accounts are this person's", file, None, name)
    for name in sorted({**old.groups, **new.groups}):
        was, now = old.groups.get(name, ()), new.groups.get(name, ())
        if was != now:
            grade = changed(was, now) if was is None or now is None else fewer(was, now)
            yield Change("J073", grade, "other members", file, None, f"group {name}")
