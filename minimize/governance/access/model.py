"""What the access file says, typed: people, groups, roles, who has which role where, and how long grants last."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from minimize.governance.access.permissions import Permission
from minimize.governance.access.tenants import EVERYBODY, Tenants
from minimize.policy.model import Model
from minimize.techniques import Technique

EXTERNAL: Literal["external"] = "external"


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks: the name of an account, and the groups that whoever authenticated it vouches for."""

    user: str
    groups: frozenset[str] = field(default_factory=frozenset)


class Role(Model):
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


class Scope(Model):
    """Where an assignment holds; None of datasets or purposes is every one of them."""

    tenants: Tenants = EVERYBODY
    datasets: tuple[str, ...] | None = None
    purposes: tuple[str, ...] | None = None

    def has_dataset(self, dataset: str | None) -> bool:
        """Whether a dataset is within; what is about no dataset is within every scope."""
        return dataset is None or self.datasets is None or any(covers(each, dataset) for each in self.datasets)

    def has_purpose(self, purpose: str | None) -> bool:
        """Whether a purpose is within."""
        return purpose is None or self.purposes is None or purpose in self.purposes


class Assignment(Model):
    """Members (users and groups) have a role, in a scope."""

    role: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scope: Scope
    line: int | None = None


class BreakGlass(Model):
    """Access that nobody approves: how long at most, and by when it must have been reviewed."""

    maximum: timedelta = timedelta(hours=1)
    review_within: timedelta = timedelta(hours=24)


class GrantRules(Model):
    """How long just-in-time access lasts.

    default     where a request says nothing
    maximum     the longest that may be asked for
    unanswered  a request that nobody answered is over after this
    """

    default: timedelta = timedelta(hours=8)
    maximum: timedelta = timedelta(hours=24)
    unanswered: timedelta = timedelta(days=4)
    break_glass: BreakGlass = BreakGlass()


class Access(Model):
    """Who may do what.

    people   by person the accounts that are theirs; an account that stands nowhere is a person of its own
    groups   by group its users; None where whoever authenticates vouches for them
    """

    version: int
    people: Mapping[str, tuple[str, ...]] = {}
    groups: Mapping[str, tuple[str, ...] | None] = {}
    roles: Mapping[str, Role]
    assignments: tuple[Assignment, ...] = ()
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

    def groups_of(self, account: Account) -> frozenset[str]:
        """The groups of an account: by this file, and where that leaves it to others, as they vouch."""
        listed = {name for name, users in self.groups.items() if users is not None and account.user in users}
        return frozenset(listed | {name for name in account.groups if self.groups.get(name, ()) is None})

    def held(self, account: Account) -> Iterator[tuple[Assignment, Role]]:
        """The assignments that an account has, each with its role."""
        groups = self.groups_of(account)
        for each in self.assignments:
            if account.user in each.users or groups.intersection(each.groups):
                yield each, self.roles[each.role]

    def held_by_person(self, account: Account) -> Iterator[tuple[Assignment, Role]]:
        """The same of all accounts of the person: what holds one of them back holds back all."""
        yield from self.held(account)
        for user in sorted(self.accounts(account.user) - {account.user}):
            yield from self.held(Account(user))

    def separate(self, one: str, other: str) -> bool:
        """Whether two accounts are of two persons, who share no group that this file lists."""
        mine, theirs = (frozenset().union(*map(self._listed, self.accounts(user))) for user in (one, other))
        return other not in self.accounts(one) and not mine & theirs

    def _listed(self, user: str) -> frozenset[str]:
        return self.groups_of(Account(user))


RECORDS: Final = "records"


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
    return _whole(one) == _whole(other)


def within(columns: Collection[str], named: Collection[str]) -> bool:
    """Whether all columns are among those that are named."""
    return set(columns) <= set(named)


def _whole(name: str) -> tuple[str, str]:
    pipeline, _, output = name.partition("/")
    return pipeline, output or RECORDS
