"""The decision: may this account see this data, or do this, at this time; in what form, for which tenants, until when.

nothing is open    until a role of the account opens it in a scope, or a grant does for an incident that is named
roles add up       in what they allow; tenants and columns are those of which every column is open for every tenant
a denial wins      over every role and grant of the person, whichever of their accounts has it
a view holds back  of several the coarsest counts, whichever role opened the column; where none is, the column is shut,
                   and so is what a view is on when tokens are to be reversed
an incident        that is named is read under its grants alone: neither more columns nor other tenants
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from minimize.errors import Reason
from minimize.governance.access.conflicts import clash_of
from minimize.governance.access.grants import Grant, Grants
from minimize.governance.access.holding import Holding, Opening
from minimize.governance.access.model import Access, Account, same_dataset
from minimize.governance.access.permissions import READ, REIDENTIFY
from minimize.governance.access.reasons import reason
from minimize.governance.access.tenants import NOBODY, Tenants, common, united
from minimize.governance.access.views import View, coarsest, views_on
from minimize.governance.access.wanted import Column, Decision, Wanted, names_of
from minimize.policy.purposes import is_refused


def decide(access: Access, grants: Grants, account: Account, wanted: Wanted, at: datetime) -> Decision:
    """Whether an account may see data, and what of it.

    Takes the access file, what the ledger has of grants, the account, what it wants, and the time. Gives the decision; what is
    not allowed is no error, but says why. Only the columns of the decision may be read, each through its view, and only rows of
    its tenants; columns by which rows are chosen are wanted, too.
    """
    return _Deciding(Holding(access, account, at), grants, wanted).decision()


def permit(
    access: Access,
    account: Account,
    permission: str,
    at: datetime,
    *,
    tenant: str | None = None,
    dataset: str | None = None,
) -> Decision:
    """Whether an account may do something that shows no data, such as to change a setting.

    Takes the tenant that it is about; what is about no tenant concerns all of them, and wants a scope of all.
    """
    holding = Holding(access, account, at)
    clashing = clash_of(access, account)
    allowing = list(holding.allowing(permission, dataset))
    opened = united(each.scope.tenants for each, _, _ in allowing)
    tenants = NOBODY if clashing else opened - holding.denied(permission, dataset)
    allowed = tenants.is_all if tenant is None else tenant in tenants
    held = any(role.has(permission) for _, role in holding.held)
    inside = opened.is_all if tenant is None else tenant in opened
    rule = "conflict" if clashing else "nobody" if not held else "denied" if inside else "out_of_scope"
    roles = tuple(dict.fromkeys(role.name for _, role, _ in allowing))
    reasons = (reason("role", about=", ".join(roles)),) if allowed else (reason(rule, about=_pair(clashing)),)
    return Decision(
        allowed, account, permission, at, reasons, dataset, tenants=tenants, roles=roles, digest=access.digest
    )


@dataclass(frozen=True)
class _Deciding:
    """One decision about data."""

    holding: Holding
    grants: Grants
    wanted: Wanted

    def decision(self) -> Decision:
        wanted = self.wanted
        shut = self.shut()
        if shut is not None:
            return self.denied([shut], dict.fromkeys(names_of(wanted.columns), shut.rule))
        used, troubles = self.used()
        if troubles:
            return self.denied(troubles, dict.fromkeys(names_of(wanted.columns), troubles[0].rule))
        openings = self.openings(used)
        withheld = {column.name: rule for column in wanted.columns if (rule := self.withheld(column, openings))}
        opened = {
            column.name: self.tenants(column, openings) for column in wanted.columns if column.name not in withheld
        }
        return self.settled(openings, opened, withheld)

    def shut(self) -> Reason | None:
        """What keeps everything shut, whichever columns are wanted."""
        holding, wanted = self.holding, self.wanted
        clashing = clash_of(holding.access, holding.account)
        if clashing is not None:
            return reason("conflict", about=_pair(clashing))
        if (
            not wanted.purpose
            or is_refused(wanted.purpose)
            or wanted.purpose not in (wanted.purposes or [wanted.purpose])
        ):
            return reason("purpose", hint=", ".join(wanted.purposes))
        if wanted.operation == "reidentify" and wanted.incident is None:
            return reason("no_incident", hint="name the incident of a grant")
        return None

    def used(self) -> tuple[list[Grant], list[Reason]]:
        """The grants for the incident that open something now, and why others do not."""
        holding, wanted = self.holding, self.wanted
        if wanted.incident is None:
            return [], []
        found = [each for each in self.grants.of(holding.account.user, wanted.incident) if self.is_for(each)]
        troubles = {each.id: holding.trouble(each, wanted.purpose) for each in found}
        reasons = [
            reason(rule, about=each.id, said=each.denial(holding.at) if rule == "not_granted" else "")
            for each in found
            if (rule := troubles[each.id]) is not None
        ]
        good = [each for each in found if troubles[each.id] is None]
        return good, [] if good else reasons or [reason("no_grant", hint="minimize access request")]

    def is_for(self, grant: Grant) -> bool:
        """Whether a grant is for what is wanted, and was asked for by then. Who may reverse tokens may read them."""
        asked, wanted = grant.asked, self.wanted
        fits = asked.operation == wanted.operation or (asked.operation, wanted.operation) == ("reidentify", "read")
        known = grant.state(self.holding.at) is not None
        return fits and known and same_dataset(asked.dataset, wanted.dataset)

    def openings(self, used: Sequence[Grant]) -> list[Opening]:
        """What opens columns: without an incident the roles; with one its grants, and roles for the tenants of those."""
        holding, wanted = self.holding, self.wanted
        granted = [holding.granted(each, wanted.purpose) for each in used]
        if wanted.operation == "reidentify":
            return granted
        standing = holding.standing(wanted.dataset, wanted.purpose)
        if wanted.incident is None:
            return standing
        mine = united(each.tenants for each in granted)
        return [
            *granted,
            *(Opening(each.tenants & mine, each.limits, role=each.role) for each in standing),
        ]

    def tenants(self, column: Column, openings: Iterable[Opening]) -> Tenants:
        """For whom a column is open."""
        opened = united(each.tenants for each in openings if each.has(column.name, column.category))
        return opened - self.denied_to(column)

    def denied_to(self, column: Column) -> Tenants:
        """For whom a role denies it. Whoever may not read may not reverse, either."""
        holding, wanted = self.holding, self.wanted
        names = (READ,) if wanted.operation == "read" else (READ, REIDENTIFY)
        return united(holding.denied(name, wanted.dataset, wanted.purpose, column.category) for name in names)

    def withheld(self, column: Column, openings: Sequence[Opening]) -> str | None:
        """The rule that keeps a column; None where it is open for somebody."""
        if column.purposes and self.wanted.purpose not in column.purposes:
            return "other_purpose"
        found = [each for each in openings if each.has(column.name, column.category)]
        opened = self.tenants(column, openings)
        if not self.wanted.by_tenant and not opened.is_empty and not opened.is_all:
            return "not_by_tenant"
        if not opened.is_empty:
            view = self.view(column.name, opened)
            return "views" if view is None or (view and self.wanted.operation == "reidentify") else None
        if found:
            return "denied"
        if self.wanted.incident is not None:
            return "outside_grant"
        return "category" if openings else self.nothing()

    def nothing(self) -> str:
        """Why no role opens anything here."""
        holding = self.holding
        held = any(role.has(READ) for _, role in holding.held)
        return "out_of_scope" if held else "nobody"

    def view(self, column: str, tenants: Tenants) -> View | None:
        """The form in which a column is shown: of the views of all roles of the person that hold for these tenants."""
        wanted = self.wanted
        return coarsest(
            view
            for assignment, role in self.holding.held_by_person
            if assignment.scope.has_dataset(wanted.dataset) and assignment.scope.has_purpose(wanted.purpose)
            if not (assignment.scope.tenants & tenants).is_empty
            for view in views_on(role, wanted.dataset, column)
        )

    def settled(
        self,
        openings: Sequence[Opening],
        opened: Mapping[str, Tenants],
        withheld: Mapping[str, str],
    ) -> Decision:
        """The columns and tenants of which every column is open for every tenant."""
        against = _against(withheld)
        if not opened or (withheld and not self.wanted.whole):
            return self.denied(against, withheld)
        tenants = (united if self.wanted.whole else common)(opened.values())
        elsewhere = {name: "no_common_tenant" for name, each in opened.items() if not tenants <= each}
        columns = [name for name in opened if name not in elsewhere]
        if tenants.is_empty or not columns:
            names = tuple(opened)
            hint = "name columns that are open for the same tenants"
            kept = {**withheld, **dict.fromkeys(names, "no_common_tenant")}
            return self.denied([*against, reason("no_common_tenant", names, hint=hint)], kept)
        against += _against(elsewhere)
        views = {name: view for name in columns if (view := self.view(name, opened[name]))}
        return self.allowed(openings, views, columns, tenants, {**withheld, **elsewhere}, against)

    def allowed(
        self,
        openings: Sequence[Opening],
        views: Mapping[str, View],
        columns: Sequence[str],
        tenants: Tenants,
        withheld: Mapping[str, str],
        against: Sequence[Reason],
    ) -> Decision:
        """What may be seen, by the roles and grants that open some of it."""
        kinds = {column.name: column.category for column in self.wanted.columns}
        useful = [
            each
            for each in openings
            if not (each.tenants & tenants).is_empty and any(each.has(name, kinds[name]) for name in columns)
        ]
        grants = {each.grant.id: each.grant for each in useful if each.grant is not None}
        roles = tuple(dict.fromkeys(each.role for each in useful if each.role is not None))
        ends = [ends for each in grants.values() if (ends := each.ends_at(self.holding.at)) is not None]
        reasons = [
            *(reason("role", about=role) for role in roles),
            *(reason("grant", about=grant) for grant in grants),
            *against,
        ]
        return Decision(
            True,
            self.holding.account,
            f"dataset/{self.wanted.operation}",
            self.holding.at,
            tuple(reasons),
            self.wanted.dataset,
            self.wanted.purpose,
            self.wanted.incident,
            tenants,
            tuple(columns),
            views,
            withheld,
            roles,
            tuple(grants),
            min(ends, default=None),
            any(each.is_break_glass for each in grants.values()),
            self.holding.access.digest,
        )

    def denied(self, reasons: Sequence[Reason], withheld: Mapping[str, str]) -> Decision:
        """Nothing may be seen."""
        wanted = self.wanted
        return Decision(
            False,
            self.holding.account,
            f"dataset/{wanted.operation}",
            self.holding.at,
            tuple(reasons) or (reason("nobody"),),
            wanted.dataset,
            wanted.purpose,
            wanted.incident,
            withheld=withheld,
            digest=self.holding.access.digest,
        )


def _against(withheld: Mapping[str, str]) -> list[Reason]:
    """One reason a rule, with the columns that it keeps."""
    rules = dict.fromkeys(withheld.values())
    return [reason(rule, [name for name, kept in withheld.items() if kept == rule]) for rule in rules]


def _pair(clashing: tuple[str, str] | None) -> str:
    return "" if clashing is None else " and ".join(dict.fromkeys(clashing))
