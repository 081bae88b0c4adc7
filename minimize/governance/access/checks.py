"""What must hold between the parts of an access file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from minimize.governance.access.conflicts import clash
from minimize.governance.access.model import Access, Account
from minimize.policy.faults import Faults, did_you_mean
from minimize.policy.yaml import Node


def check(access: Access, root: Node, faults: Faults) -> None:
    """Takes down every fault between its parts."""
    _people(access, root, faults)
    _groups(access, faults)
    _conflicts(access, faults)
    _times(access, root, faults)


def users_of(access: Access) -> Iterator[str]:
    """Every account that the file names, once."""
    named = [user for each in access.assignments for user in each.users]
    grouped = [user for users in access.groups.values() for user in users or ()]
    owned = [user for users in access.people.values() for user in users]
    yield from dict.fromkeys((*named, *grouped, *owned))


def _people(access: Access, root: Node, faults: Faults) -> None:
    owners: dict[str, str] = {}
    for person, accounts in access.people.items():
        for account in accounts:
            if owners.setdefault(account, person) != person:
                line = root.at(("people", person)).line
                hint = f"it is of {owners[account]}"
                faults.add("U008", f"the account `{account}` is of two people", line=line, key=person, hint=hint)


def _groups(access: Access, faults: Faults) -> None:
    for each in access.assignments:
        for group in each.groups:
            if group not in access.groups:
                hint = did_you_mean(group, access.groups) or "declare it under `groups:`, with its users or `external`"
                faults.add("U005", f"the group `{group}` is not declared", line=each.line, key=each.role, hint=hint)


def _conflicts(access: Access, faults: Faults) -> None:
    told: set[str] = set()
    for user in users_of(access):
        held = list(access.held_by_person(Account(user)))
        clashing = clash((role for _, role in held), access.conflicts)
        person = access.person(user)
        if clashing is not None and person not in told:
            told.add(person)
            names = " and ".join(dict.fromkeys(clashing))
            line = max((each.line or 0 for each, role in held if role.name in clashing), default=0) or None
            faults.add("U007", f"`{person}` has roles that conflict: {names}", line=line, key=clashing[0])


def _times(access: Access, root: Node, faults: Faults) -> None:
    rules, line = access.grants, root.at(("grants",)).line
    wrong = {
        "`default` is longer than `maximum`": rules.default > rules.maximum,
        "`unanswered` is longer than 4 days": rules.unanswered > timedelta(days=4),
        "break-glass lasts longer than what is approved": rules.break_glass.maximum > rules.maximum,
    }
    for message, is_so in wrong.items():
        if is_so:
            faults.add("U010", message, line=line)
