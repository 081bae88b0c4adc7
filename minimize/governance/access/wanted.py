"""What somebody wants to see or do, and what was decided about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from minimize.errors import Reason
from minimize.governance.access.grants import Operation
from minimize.governance.access.model import Account
from minimize.governance.access.tenants import NOBODY, Tenants
from minimize.governance.access.views import View
from minimize.plan.model import Category
from minimize.receipt import time_text


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an output: its category, and which purposes it is for (none: all that its policy lists)."""

    name: str
    category: Category
    purposes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Data that somebody wants to see.

    dataset    a pipeline's name, which stands for its records, or `pipeline/output`
    columns    those that are wanted, in what is shown or in what rows are chosen by
    whole      whether they are simply all that there are: then what is not open is left out, and nothing is refused for it
    purpose    what it is for; it must be said
    incident   reading under its grants, and in no other way
    purposes   what the data is for (none: anything that its readers name)
    by_tenant  whether a column says whose each row is
    """

    dataset: str
    columns: tuple[Column, ...]
    purpose: str | None = None
    incident: str | None = None
    operation: Operation = "read"
    whole: bool = False
    purposes: tuple[str, ...] = ()
    by_tenant: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """What may be seen or done, and why.

    reasons   every rule that decided, for and against
    tenants   whose rows; every column below is open for each of them
    columns   those that may be seen, in the order in which they were wanted
    views     by column what its released values go through first; rows are chosen by what comes out of it
    withheld  by column the rule that keeps it
    grants    the grants that were used
    until     the first time at which it holds no longer; None where it holds as long as the file and the grants stand
    """

    allowed: bool
    account: Account
    permission: str
    at: datetime
    reasons: tuple[Reason, ...]
    dataset: str | None = None
    purpose: str | None = None
    incident: str | None = None
    tenants: Tenants = NOBODY
    columns: tuple[str, ...] = ()
    views: Mapping[str, View] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    until: datetime | None = None
    break_glass: bool = False
    digest: str = ""
    """Of the access file."""

    @property
    def grant(self) -> str | None:
        """The first grant that was used."""
        return next(iter(self.grants), None)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all reasons."""
        return tuple(each.code for each in self.reasons)

    def holds(self, at: datetime) -> bool:
        """Whether it may still be gone by, as far as time goes. A grant may be revoked before: decide again."""
        return self.allowed and (self.until is None or at < self.until)

    def gives_the_same(self, other: Decision) -> bool:
        """Whether another decision opens neither more nor less."""
        mine, theirs = ((each.allowed, each.tenants, each.columns, dict(each.views)) for each in (self, other))
        return mine == theirs

    def as_json(self) -> dict[str, Any]:
        """The decision as `access why --json` prints it."""
        return {
            "allowed": self.allowed,
            "user": self.account.user,
            "groups": sorted(self.account.groups),
            "permission": self.permission,
            "dataset": self.dataset,
            "purpose": self.purpose,
            "incident": self.incident,
            "at": time_text(self.at),
            "reasons": [each.as_json() for each in self.reasons],
            "tenants": str(self.tenants),
            "columns": list(self.columns),
            "views": {name: [step.name for step in view] for name, view in self.views.items()},
            "withheld": dict(self.withheld),
            "roles": list(self.roles),
            "grants": list(self.grants),
            "until": None if self.until is None else time_text(self.until),
            "break_glass": self.break_glass,
            "access": self.digest,
        }


def names_of(columns: Collection[Column]) -> tuple[str, ...]:
    """Their names."""
    return tuple(column.name for column in columns)
