"""Access model: permissions, sets of tenants, accounts, roles, scopes, assignments, and how long grants last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

from minimize.identifiers import canonical_text
from minimize.output.folder import RECORDS
from minimize.plan.category import CATEGORY_ORDER
from minimize.plan.model import Category
from minimize.policy.model import FrozenModel
from minimize.techniques import Technique

READ: Final = "dataset/read"
REIDENTIFY: Final = "dataset/reidentify"
REQUEST: Final = "grant/request"
APPROVE: Final = "grant/approve"
BREAK_GLASS: Final = "grant/break_glass"
ASSIGN: Final = "roles/assign"
APPROVE_POLICY: Final = "policy/approve"

PERMISSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        READ: "read a dataset, up to a category",
        REIDENTIFY: "reverse tokens, under a grant that names an incident, and never without",
        "subject/view": "see what is held of a subject",
        "subject/export": "take out what is held of a subject",
        "subject/correct": "correct what is held of a subject",
        "subject/delete": "delete what is held of a subject",
        "subject/restrict": "keep what is held of a subject from being used",
        "settings/read": "see collection settings",
        "settings/set": "change collection settings",
        "remote_tasks/locate": "locate a lost device, and end it",
        "consent/read": "see consents",
        "consent/request": "ask a tenant for a consent",
        "consent/give": "record that a tenant agreed",
        "consent/refuse": "record that a tenant refused",
        "consent/withdraw": "record that a tenant withdrew",
        "consent/expire": "mark consents that have run out",
        "share/send": "send to a third party",
        "share/receive": "receive from a third party",
        "share/read": "see what was shared",
        "share/recall": "tell third parties to delete, and take down that they did",
        REQUEST: "ask for access for an incident, up to a category",
        APPROVE: "approve or deny what others ask for, up to a category",
        "grant/revoke": "end the access of others",
        BREAK_GLASS: "take access that nobody approved, flagged and reviewed",
        "grant/review": "review access that nobody approved",
        "grant/read": "see requests and grants",
        "audit/read": "see the audit log, and check it",
        "audit/export": "take entries of the audit log out",
        "audit/truncate": "let go of entries of the audit log that are past their year",
        "incident/read": "see incidents",
        "incident/open": "open an incident",
        "incident/assess": "say what an incident is, and how far it reaches",
        "incident/declare": "declare an incident reportable",
        "incident/notice": "give notice of an incident",
        "incident/close": "close an incident",
        "event/record": "record what happened to tenants and subjects, or take it back",
        "output/expire": "take out of an output what is past its time",
        "output/retract": "take out of an output what would not be collected today",
        "output/adopt": "continue an output with another ledger",
        "keys/add": "add a key to a keyring, or a version of one",
        "keys/rotate": "make a new version of a key for new files",
        "keys/shred": "destroy a version of a key",
        "roles/read": "see who may do what",
        ASSIGN: "change who has which role",
        APPROVE_POLICY: "approve a policy as it is",
        "token/make": "make a token for the door",
        "token/revoke": "end a token for the door",
    }
)
"""By name, with what each is for."""
CATEGORY_PERMISSIONS: Final = frozenset({READ, REQUEST, APPROVE, BREAK_GLASS})
"""These are up to a category."""
READ_ONLY_PERMISSIONS: Final = frozenset({READ, "subject/view", "subject/export", "audit/export"}) | frozenset(
    name for name in PERMISSIONS if name.endswith("/read")
)
"""These change nothing; all others write."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission, as a role has it: up to a category where it is one of data.

    A denial of a category denies it and all above it; without a category everything is meant.
    """

    name: str
    category: Category | None = None

    def allows(self, name: str, category: Category | None = None) -> bool:
        """Whether it allows an operation, on data of this category.

        >>> Permission(READ, "pseudonymized").allows(READ, "identified")
        False
        """
        return self.name == name and (
            self.category is None or category is None or _category_rank(category) <= _category_rank(self.category)
        )

    def denies(self, name: str, category: Category | None = None) -> bool:
        """Whether its denial denies an operation; one that is about no category is denied by a whole denial alone.

        >>> Permission(READ, "pseudonymized").denies(READ, "identified")
        True
        """
        if self.name != name or self.category is None:
            return self.name == name
        return category is not None and _category_rank(category) >= _category_rank(self.category)

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.name not in READ_ONLY_PERMISSIONS

    def __str__(self) -> str:
        return self.name if self.category is None else f"{self.name}:{self.category}"


def parse_permission(text: str) -> Permission | None:
    """The permission of a text; None for what is none.

    >>> parse_permission("dataset/read:identified"), parse_permission("dataset/fly")
    (Permission(name='dataset/read', category='identified'), None)
    """
    name, colon, word = text.partition(":")
    category = next((each for each in CATEGORY_ORDER if each == word), None)
    if name not in PERMISSIONS or (colon and (category is None or name not in CATEGORY_PERMISSIONS)):
        return None
    return Permission(name, category)


def parse_permissions(*texts: str) -> tuple[Permission, ...]:
    """Several of them. Raises ValueError for what is none."""
    found = [parse_permission(text) for text in texts]
    if None in found:
        raise ValueError("that is no permission")
    return tuple(each for each in found if each is not None)


def highest_or_none(categories: Iterable[Category]) -> Category | None:
    """The highest category of some; None where there are none."""
    return max(categories, key=_category_rank, default=None)


def _category_rank(category: Category) -> int:
    return CATEGORY_ORDER.index(category)


_TENANT_TYPE: Final = pa.string()


@dataclass(frozen=True, slots=True)
class TenantSet:
    """Some tenants by name, or (`but`) all but these."""

    names: frozenset[str] = frozenset()
    complement: bool = False

    @classmethod
    def from_names(cls, *names: str) -> Self:
        """These tenants."""
        return cls(frozenset(map(canonical_text, names)))

    @property
    def is_empty(self) -> bool:
        """Whether it is nobody."""
        return not self.names and not self.complement

    @property
    def is_all(self) -> bool:
        """Whether it is everybody."""
        return self.complement and not self.names

    def __contains__(self, tenant: object) -> bool:
        return (canonical_text(str(tenant)) in self.names) != self.complement

    def __or__(self, other: TenantSet) -> TenantSet:
        return ~(~self & ~other)

    def __and__(self, other: TenantSet) -> TenantSet:
        if self.complement and other.complement:
            return TenantSet(self.names | other.names, complement=True)
        if self.complement or other.complement:
            some, all_but = (other, self) if self.complement else (self, other)
            return TenantSet(some.names - all_but.names)
        return TenantSet(self.names & other.names)

    def __invert__(self) -> TenantSet:
        return TenantSet(self.names, not self.complement)

    def __sub__(self, other: TenantSet) -> TenantSet:
        return self & ~other

    def __le__(self, other: TenantSet) -> bool:
        return (self - other).is_empty

    def filter(self, column: str, type_: pa.DataType = _TENANT_TYPE) -> Any:
        """The filter for a column that names the tenant, as Arrow's datasets take it; None where no row need be asked.

        Takes the column's name, and its type where that is another kind of text.
        Nulls: a row without a tenant is everybody's alone.
        """
        if self.is_all:
            return None
        named = pc.field(column).isin(pa.array(sorted(self.names), type_))
        return pc.field(column).is_valid() & (~named if self.complement else named)

    def __str__(self) -> str:
        if self.is_all or self.is_empty:
            return "all" if self.complement else "none"
        return ("all but " if self.complement else "") + ", ".join(sorted(self.names))


ALL_TENANTS: Final = TenantSet(complement=True)
NO_TENANTS: Final = TenantSet()


def union_of_tenants(sets: Iterable[TenantSet]) -> TenantSet:
    """Whoever is in one of them.

    >>> str(union_of_tenants([TenantSet.from_names("a"), ~TenantSet.from_names("a", "b")]))
    'all but b'
    """
    return reduce(TenantSet.__or__, sets, NO_TENANTS)


def common_tenants(sets: Iterable[TenantSet]) -> TenantSet:
    """Whoever is in all of them."""
    return reduce(TenantSet.__and__, sets, ALL_TENANTS)


EXTERNAL: Literal["external"] = "external"


@dataclass(frozen=True, slots=True)
class UserAccount:
    """Who asks: the name of an account, and the groups that whoever authenticated it vouches for."""

    user: str
    groups: frozenset[str] = field(default_factory=frozenset)


class AccessRole(FrozenModel):
    """What those who have it may do.

    base     the built-in role that it is or copies
    deny     what they may not do, whatever other roles they have
    views    by dataset and column what the released values go through before they are shown
    """

    name: str
    base: str
    about: str = ""
    allow: tuple[Permission, ...] = ()
    deny: tuple[Permission, ...] = ()
    views: Mapping[str, Mapping[str, tuple[Technique, ...]]] = {}
    line: int | None = None

    @property
    def is_builtin(self) -> bool:
        """Whether it is one of ours, which no file changes."""
        return self.name == self.base

    def has(self, name: str) -> bool:
        """Whether it allows an operation at all."""
        return any(each.name == name for each in self.allow)


class AccessScope(FrozenModel):
    """Where an assignment holds; None of datasets or purposes is every one of them."""

    tenants: TenantSet = ALL_TENANTS
    datasets: tuple[str, ...] | None = None
    purposes: tuple[str, ...] | None = None

    def has_dataset(self, dataset: str | None) -> bool:
        """Whether a dataset is within; what is about no dataset is within every scope."""
        return dataset is None or self.datasets is None or any(covers(each, dataset) for each in self.datasets)

    def has_purpose(self, purpose: str | None) -> bool:
        """Whether a purpose is within."""
        return purpose is None or self.purposes is None or purpose in self.purposes


class RoleAssignment(FrozenModel):
    """Members (users and groups) have a role, in a scope."""

    role: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scope: AccessScope
    line: int | None = None


class BreakGlassRules(FrozenModel):
    """Access that nobody approves: how long at most, and by when it must have been reviewed."""

    maximum: timedelta = timedelta(hours=1)
    review_within: timedelta = timedelta(hours=24)


class GrantRules(FrozenModel):
    """How long just-in-time access lasts.

    default     where a request says nothing
    maximum     the longest that may be asked for
    unanswered  a request that nobody answered is over after this
    """

    default: timedelta = timedelta(hours=8)
    maximum: timedelta = timedelta(hours=24)
    unanswered: timedelta = timedelta(days=4)
    break_glass: BreakGlassRules = BreakGlassRules()


class AccessRules(FrozenModel):
    """Who may do what.

    people   by person the accounts that are theirs; an account that stands nowhere is a person of its own
    groups   by group its users; None where whoever authenticates vouches for them
    """

    version: int
    people: Mapping[str, tuple[str, ...]] = {}
    groups: Mapping[str, tuple[str, ...] | None] = {}
    roles: Mapping[str, AccessRole]
    assignments: tuple[RoleAssignment, ...] = ()
    conflicts: tuple[tuple[str, str], ...] = ()
    grants: GrantRules = GrantRules()
    path: Path | None = None
    digest: str = ""
    """`sha256:` of the file's bytes; empty for one that was not loaded from a file."""

    def person(self, user: str) -> str:
        """Whose account it is."""
        return next((name for name, accounts in self.people.items() if user in accounts), user)

    def accounts(self, user: str) -> frozenset[str]:
        """The accounts of the same person."""
        return frozenset((user, *self.people.get(self.person(user), ())))

    def groups_of(self, account: UserAccount) -> frozenset[str]:
        """The groups of an account: by this file, and where that leaves it to others, as they vouch."""
        listed = {name for name, users in self.groups.items() if users is not None and account.user in users}
        return frozenset(listed | {name for name in account.groups if self.groups.get(name, ()) is None})

    def assignments_of(self, account: UserAccount) -> Iterator[tuple[RoleAssignment, AccessRole]]:
        """The assignments that an account has, each with its role."""
        groups = self.groups_of(account)
        for each in self.assignments:
            if account.user in each.users or groups.intersection(each.groups):
                yield each, self.roles[each.role]

    def assignments_of_person(self, account: UserAccount) -> Iterator[tuple[RoleAssignment, AccessRole]]:
        """The same of all accounts of the person: what holds one of them back holds back all."""
        yield from self.assignments_of(account)
        for user in sorted(self.accounts(account.user) - {account.user}):
            yield from self.assignments_of(UserAccount(user))

    def are_separate(self, one: str, other: str) -> bool:
        """Whether two accounts are of two persons, who share no group that this file lists."""
        mine, theirs = (frozenset().union(*map(self._groups_of_user, self.accounts(user))) for user in (one, other))
        return other not in self.accounts(one) and not mine & theirs

    def _groups_of_user(self, user: str) -> frozenset[str]:
        return self.groups_of(UserAccount(user))


def covers(name: str, dataset: str) -> bool:
    """Whether a name in a scope stands for a dataset: a pipeline's name does for all of its outputs.

    >>> covers("telemetry", "telemetry/by_version"), covers("telemetry/records", "telemetry"), covers("tele", "telemetry")
    (True, True, False)
    """
    pipeline, _, output = name.partition("/")
    of, _, wanted = dataset.partition("/")
    return pipeline == of and output in ("", wanted or RECORDS)


def same_dataset(one: str, other: str) -> bool:
    """Whether two names are of one dataset; a pipeline's name alone is that of its records."""
    return _pipeline_and_output(one) == _pipeline_and_output(other)


def _pipeline_and_output(name: str) -> tuple[str, str]:
    pipeline, _, output = name.partition("/")
    return pipeline, output or RECORDS
