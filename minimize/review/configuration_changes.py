"""Changes of the configuration: `minimize.yaml`, then the access file that it names.

Of the access file: roles, assignments with their scopes, durations of grants, accounts of persons and groups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from minimize.config import load_config
from minimize.governance.access.model import AccessRules, AccessScope, RoleAssignment, covers
from minimize.governance.access.permissions import Permission
from minimize.governance.access.roles import AccessRole
from minimize.plan.category import CATEGORY_ORDER
from minimize.policy.approval import ApprovalDemand, configured_approval
from minimize.policy.faults import FaultList
from minimize.policy.load import configured_encryption
from minimize.policy.model import EncryptBy
from minimize.policy.purposes import config_nodes, configured_purposes
from minimize.policy.yaml_nodes import YamlNode
from minimize.review.changes import GradedChange, change_text, list_text
from minimize.review.grades import (
    ENCRYPTION_ORDER,
    Grade,
    chain_grade,
    change_loosens,
    fewer_tightens,
    higher_tightens,
    join_grades,
    lower_tightens,
    more_tightens,
    ranked_comparison,
    setting_tightens,
)
from minimize.techniques import TechniqueStep
from minimize.times import duration_text

_APPROVAL_ORDER: Final = ("required", "warn", "none")
NO_ACCESS_FILE: Final = "no access file, so no permission is checked"
_GRADED_KEYS: Final = ("purposes", "approval", "access")


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """Content of a `minimize.yaml`."""

    root: YamlNode
    purposes: tuple[str, ...]
    approval: ApprovalDemand
    encrypt: EncryptBy


def read_configuration(file: Path, faults: FaultList) -> ConfigurationFile | None:
    """The configuration in a file; None (and faults) if it cannot be read."""
    start = file.parent
    root = config_nodes(load_config(start), faults)
    if root is None:
        return None
    demanded = configured_approval(start, faults), configured_encryption(start, faults)
    return ConfigurationFile(root, configured_purposes(start, faults), *demanded)


def configuration_changes(old: ConfigurationFile, new: ConfigurationFile, file: str | None) -> Iterator[GradedChange]:
    """Changes of `minimize.yaml`."""
    parts = (
        ("purposes", list_text(old.purposes), list_text(new.purposes), fewer_tightens(old.purposes, new.purposes)),
        ("approval", old.approval, new.approval, ranked_comparison(_APPROVAL_ORDER)(old.approval, new.approval)),
        ("access", old.encrypt, new.encrypt, ranked_comparison(ENCRYPTION_ORDER)(old.encrypt, new.encrypt)),
    )
    for key, before, after, grade in parts:
        if before != after:
            yield GradedChange("J050", grade, f"{key}: {change_text(before, after)}", file, _entry_line(new, key))
    if _access_file(old) != _access_file(new):
        message = f"access: {change_text(_access_file(old) or NO_ACCESS_FILE, _access_file(new) or NO_ACCESS_FILE)}"
        yield GradedChange(
            "J050", setting_tightens(_access_file(old), _access_file(new)), message, file, _entry_line(new, "access")
        )
    for key in {**old.root.entries, **new.root.entries}:
        if key not in _GRADED_KEYS and _entry_text(old, key) != _entry_text(new, key):
            yield GradedChange(
                "J050",
                "neutral",
                f"{key}: {change_text(_entry_text(old, key), _entry_text(new, key))}",
                file,
                _entry_line(new, key),
            )


def _access_file(configuration: ConfigurationFile) -> str | None:
    """The access file that the configuration names; without one, no permission is checked."""
    node = configuration.root.get("access")
    named = node.get("file") if node is not None and node.is_mapping else node
    return None if named is None else str(named.value)


def _entry_text(configuration: ConfigurationFile, key: str) -> str:
    node = configuration.root.get(key)
    return "nothing" if node is None else str(node.to_data())


def _entry_line(configuration: ConfigurationFile, key: str) -> int | None:
    node = configuration.root.get(key)
    return None if node is None else node.line


_EVERY_CATEGORY: Final = len(CATEGORY_ORDER)
_NO_CATEGORY: Final = -1
RoleViews = Mapping[tuple[str, str], tuple[TechniqueStep, ...]]


def role_changes(old: AccessRole | None, new: AccessRole | None, file: str | None) -> Iterator[GradedChange]:
    """Changes of a role. A role alone is neutral; its assignments decide who has it."""
    if new is None and old is not None:
        yield GradedChange("J070", "neutral", "role removed", file, None, old.name)
    elif old is None and new is not None:
        yield GradedChange(
            "J070", "neutral", f"new role: {new.base}, {_permissions_text((), new.allow)}", file, new.line, new.name
        )
    elif old is not None and new is not None:
        for message, differs, grade in _role_parts(old, new):
            if differs:
                yield GradedChange("J070", grade, message, file, new.line, new.name)


def _role_parts(old: AccessRole, new: AccessRole) -> Iterator[tuple[str, bool, Grade]]:
    yield f"copies {old.base} → {new.base}", old.base != new.base, change_loosens(old.base, new.base)
    allowed, denied = _permissions_text(old.allow, new.allow), _permissions_text(old.deny, new.deny)
    yield f"allows {allowed}", set(old.allow) != set(new.allow), allowed_grade(old.allow, new.allow)
    yield f"denies {denied}", set(old.deny) != set(new.deny), denied_grade(old.deny, new.deny)
    views = _role_views(old), _role_views(new)
    grades = [chain_grade(views[0].get(place, ()), views[1].get(place, ())) for place in {**views[0], **views[1]}]
    yield "views: columns or their forms changed", repr(views[0]) != repr(views[1]), join_grades(grades)


def allowed_grade(old: Iterable[Permission], new: Iterable[Permission]) -> Grade:
    """Grade of a change of allowed permissions. Each covers categories up to the one it names, or all."""
    before, after = _category_ranks(old), _category_ranks(new)
    names = before.keys() | after.keys()
    return join_grades(lower_tightens(before.get(name, _NO_CATEGORY), after.get(name, _NO_CATEGORY)) for name in names)


def denied_grade(old: Iterable[Permission], new: Iterable[Permission]) -> Grade:
    """Grade of a change of denied permissions. Each covers categories from the one it names, or all."""
    before, after = _category_ranks(old, denied=True), _category_ranks(new, denied=True)
    names = before.keys() | after.keys()
    return join_grades(higher_tightens(before.get(name, _NO_CATEGORY), after.get(name, _NO_CATEGORY)) for name in names)


def _category_ranks(permissions: Iterable[Permission], *, denied: bool = False) -> dict[str, int]:
    """How many categories each operation covers."""
    ranks: dict[str, int] = {}
    for each in permissions:
        rank = _EVERY_CATEGORY if each.category is None else CATEGORY_ORDER.index(each.category)
        rank = _EVERY_CATEGORY - 1 - rank if denied and each.category is not None else rank
        ranks[each.name] = max(rank, ranks.get(each.name, _NO_CATEGORY))
    return ranks


def _permissions_text(old: Iterable[Permission], new: Iterable[Permission]) -> str:
    before, after = set(map(str, old)), set(map(str, new))
    signed = [*(f"+{name}" for name in sorted(after - before)), *(f"-{name}" for name in sorted(before - after))]
    return ", ".join(signed) or "nothing"


def _role_views(role: AccessRole) -> RoleViews:
    return {
        (name, column): chain for name, each in sorted(role.views.items()) for column, chain in sorted(each.items())
    }


RoleMember = tuple[str, str]
"""A role, and the account or group that has it."""


def access_changes(old: AccessRules, new: AccessRules, file: str | None) -> Iterator[GradedChange]:
    """Changes of the access rules."""
    for name in {**old.roles, **new.roles}:
        yield from role_changes(old.roles.get(name), new.roles.get(name), file)
    for member in {**_assignments_by_member(old), **_assignments_by_member(new)}:
        yield from _member_changes(old, new, member, file)
    before, after = _durations(old), _durations(new)
    for what, length in after.items():
        if before[what] != length:
            text = f"{what}: {duration_text(before[what])} → {duration_text(length)}"
            yield GradedChange("J072", lower_tightens(before[what], length), text, file)
    if set(old.conflicts) != set(new.conflicts):
        yield GradedChange("J072", more_tightens(old.conflicts, new.conflicts), "conflicting roles changed", file)
    yield from _people_changes(old, new, file)


def _assignments_by_member(access: AccessRules) -> dict[RoleMember, list[RoleAssignment]]:
    held: dict[RoleMember, list[RoleAssignment]] = {}
    for each in access.assignments:
        for name in (*each.members.users, *(f"group {name}" for name in each.members.groups)):
            held.setdefault((each.role, name), []).append(each)
    return held


def _member_changes(old: AccessRules, new: AccessRules, member: RoleMember, file: str | None) -> Iterator[GradedChange]:
    """Changes of one member's assignments. If the role denies something, any change loosens: neither state is stricter."""
    before, after = _assignments_by_member(old).get(member, []), _assignments_by_member(new).get(member, [])
    denies = any(member[0] in side.roles and side.roles[member[0]].deny for side in (old, new))
    scopes = [each.scope for each in before], [each.scope for each in after]
    grade = scopes_grade(*scopes)
    if repr(scopes[0]) != repr(scopes[1]):
        word = (
            "no longer has the role"
            if not after
            else "now has the role"
            if not before
            else "has the role in another scope"
        )
        line = after[0].line if after else None
        final: Grade = "loosens" if denies and grade != "neutral" else grade
        yield GradedChange("J071", final, f"{member[1]} {word}", file, line, member[0])


def scopes_grade(old: Sequence[AccessScope], new: Sequence[AccessScope]) -> Grade:
    """Grade of a change of a role's scopes."""
    narrower = all(any(_is_scope_within(each, other) for other in old) for each in new)
    wider = all(any(_is_scope_within(each, other) for other in new) for each in old)
    return "neutral" if narrower and wider else "tightens" if narrower else "loosens"


def _is_scope_within(one: AccessScope, other: AccessScope) -> bool:
    """Whether one scope is contained in another."""
    return (
        one.tenants <= other.tenants and _are_datasets_within(one, other) and _is_subset(one.purposes, other.purposes)
    )


def _are_datasets_within(one: AccessScope, other: AccessScope) -> bool:
    if one.datasets is None or other.datasets is None:
        return other.datasets is None
    return all(
        any(name == own or ("/" in name and covers(own, name)) for own in other.datasets) for name in one.datasets
    )


def _is_subset(one: Collection[str] | None, other: Collection[str] | None) -> bool:
    return other is None or (one is not None and set(one) <= set(other))


def _durations(access: AccessRules) -> dict[str, timedelta]:
    rules = access.grants
    return {
        "grants last": rules.default,
        "grants last at most": rules.maximum,
        "requests wait": rules.unanswered,
        "break-glass lasts": rules.break_glass.maximum,
        "break-glass is reviewed within": rules.break_glass.review_within,
    }


def _people_changes(old: AccessRules, new: AccessRules, file: str | None) -> Iterator[GradedChange]:
    """Changes of persons and groups.

    More accounts of a person tighten (more duties are separated); more members of a group loosen (they get its roles).
    """
    for name in sorted({**old.people, **new.people}):
        accounts = old.people.get(name, ()), new.people.get(name, ())
        if set(accounts[0]) != set(accounts[1]):
            yield GradedChange("J073", more_tightens(*accounts), "accounts of this person changed", file, None, name)
    for name in sorted({**old.groups, **new.groups}):
        was, now = old.groups.get(name, ()), new.groups.get(name, ())
        if was != now:
            grade = change_loosens(was, now) if was is None or now is None else fewer_tightens(was, now)
            yield GradedChange("J073", grade, "members changed", file, None, f"group {name}")
