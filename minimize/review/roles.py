"""Two states of a role compared: what it allows and denies, and the views on what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from minimize.governance.access.model import Role
from minimize.governance.access.permissions import Permission
from minimize.plan.category import ORDER as CATEGORIES
from minimize.review.change import Change
from minimize.review.forms import form_grade
from minimize.review.grades import Grade, changed, higher, joined, lower
from minimize.techniques import Step

_WHOLE: Final = len(CATEGORIES)
_NOT_AT_ALL: Final = -1
Views = Mapping[tuple[str, str], tuple[Step, ...]]


def role_changes(old: Role | None, new: Role | None, file: str | None) -> Iterator[Change]:
    """What changed about a role. By itself one does nothing: who has it is told by assignments."""
    if new is None and old is not None:
        yield Change("J070", "neutral", "the role is gone", file, None, old.name)
    elif old is None and new is not None:
        yield Change(
            "J070", "neutral", f"a new role: {new.base}, {_permissions((), new.allow)}", file, new.line, new.name
        )
    elif old is not None and new is not None:
        for message, differs, grade in _parts(old, new):
            if differs:
                yield Change("J070", grade, message, file, new.line, new.name)


def _parts(old: Role, new: Role) -> Iterator[tuple[str, bool, Grade]]:
    yield f"copies {old.base} → {new.base}", old.base != new.base, changed(old.base, new.base)
    allowed, denied = _permissions(old.allow, new.allow), _permissions(old.deny, new.deny)
    yield f"allows {allowed}", set(old.allow) != set(new.allow), allowed_grade(old.allow, new.allow)
    yield f"denies {denied}", set(old.deny) != set(new.deny), denied_grade(old.deny, new.deny)
    views = _views(old), _views(new)
    grades = [form_grade(views[0].get(place, ()), views[1].get(place, ())) for place in {**views[0], **views[1]}]
    yield "views: other columns, or other forms of them", repr(views[0]) != repr(views[1]), joined(grades)


def allowed_grade(old: Iterable[Permission], new: Iterable[Permission]) -> Grade:
    """The grade of a change of what is allowed, each operation up to a category, or on every one."""
    before, after = _ranks(old), _ranks(new)
    names = before.keys() | after.keys()
    return joined(lower(before.get(name, _NOT_AT_ALL), after.get(name, _NOT_AT_ALL)) for name in names)


def denied_grade(old: Iterable[Permission], new: Iterable[Permission]) -> Grade:
    """The grade of a change of what is denied, each operation from a category on, or on every one."""
    before, after = _ranks(old, denied=True), _ranks(new, denied=True)
    names = before.keys() | after.keys()
    return joined(higher(before.get(name, _NOT_AT_ALL), after.get(name, _NOT_AT_ALL)) for name in names)


def _ranks(permissions: Iterable[Permission], *, denied: bool = False) -> dict[str, int]:
    """By operation how much of the categories it is about."""
    ranks: dict[str, int] = {}
    for each in permissions:
        rank = _WHOLE if each.category is None else CATEGORIES.index(each.category)
        rank = _WHOLE - 1 - rank if denied and each.category is not None else rank
        ranks[each.name] = max(rank, ranks.get(each.name, _NOT_AT_ALL))
    return ranks


def _permissions(old: Iterable[Permission], new: Iterable[Permission]) -> str:
    before, after = set(map(str, old)), set(map(str, new))
    signed = [*(f"+{name}" for name in sorted(after - before)), *(f"-{name}" for name in sorted(before - after))]
    return ", ".join(signed) or "nothing"


def _views(role: Role) -> Views:
    return {
        (name, column): chain for name, each in sorted(role.views.items()) for column, chain in sorted(each.items())
    }
