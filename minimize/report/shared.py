"""Sharing: the third parties of the house, what went to them under this policy, who agreed, and what was called back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from minimize.errors import PolicyError
from minimize.governance.consent import Shown, shown
from minimize.governance.sharing import recalls_of
from minimize.governance.sharing.recall import Recall
from minimize.policy.words import duration
from minimize.recipients import Contract, Function, Recipient, Recipients, find_recipients, load_recipients
from minimize.report.facts import FunctionFacts, RecipientFacts
from minimize.report.rounding import Count
from minimize.report.standing import Standing

if TYPE_CHECKING:
    from minimize.ledger.disclosures import Disclosure


@dataclass(frozen=True, slots=True)
class Book:
    """What the ledger tells of sharing."""

    acts: tuple[Disclosure, ...] = field(repr=False)
    consents: tuple[Shown, ...] = field(repr=False)
    recalls: tuple[Recall, ...] = field(repr=False)

    def of(self, recipient: str, function: str) -> Book:
        """The same for one function."""
        mine = (recipient, function)
        return Book(
            tuple(each for each in self.acts if (each.recipient, each.function) == mine),
            tuple(each for each in self.consents if (each.act.recipient, each.act.function) == mine),
            tuple(each for each in self.recalls if (each.recipient, each.function) == mine),
        )


def sharing_of(standing: Standing) -> tuple[RecipientFacts, ...] | None:
    """The recipients of the house; None where it has none. Raises PolicyError where their list has faults."""
    folder = _folder(standing)
    if folder is None:
        return None
    book = standing.try_to("what was shared, and who agreed", lambda: _book(standing, folder))
    return tuple(_recipients(standing, folder, book))


def _folder(standing: Standing) -> Recipients | None:
    try:
        place = find_recipients(standing.asked.recipients, start=standing.house.folder)
    except PolicyError:
        if standing.asked.recipients is not None:
            raise
        return None
    return load_recipients(place)


def _book(standing: Standing, folder: Recipients) -> Book:
    """Acts of sharing under this output's policy alone; consents and recalls are of the whole house."""
    from minimize.ledger.disclosures import disclosures

    house, at, name = standing.house, standing.asked.at, standing.newest.policy.name
    with house.opened() as ledger:
        acts = [each for each in disclosures(ledger) if each.body["policy"]["name"] == name]
    mine = {each.disclosure for each in acts}
    recalls = [each for each in recalls_of(house, folder, at, all_=True) if each.disclosure in mine]
    return Book(tuple(acts), tuple(shown(house, at, recipients=folder.folder)), tuple(recalls))


def _recipients(standing: Standing, folder: Recipients, book: Book | None) -> Iterator[RecipientFacts]:
    on = standing.asked.at.date()
    for name in folder.names():
        found = standing.try_to(f"what goes to {name}", partial(folder.named, name))
        if found is not None:
            functions = tuple(_function(found, each, book) for each in (*found.outbound, *found.inbound))
            may_act = folder.listed(found, on) and (found.contract is not None and found.contract.holds(on))
            yield RecipientFacts(name, found.standing, _contract(found.contract), may_act, functions)


def _function(recipient: Recipient, function: Function, book: Book | None) -> FunctionFacts:
    head = (function.name, function.direction, function.purpose, len(function.shared))
    if book is None:
        return FunctionFacts(*head, None, None, None, None, None, {})
    mine = book.of(recipient.recipient, function.name)
    holding = sum(each.holds is True for each in mine.consents)
    return FunctionFacts(
        *head,
        holding,
        len(mine.consents) - holding,
        len(mine.acts),
        Count.total(Count.of(act.rows) for act in mine.acts),
        _last(mine.acts),
        dict(sorted(Counter(_state(each) for each in mine.recalls).items())),
    )


def _last(acts: Sequence[Disclosure]) -> datetime | None:
    return max((act.recorded_at for act in acts), default=None)


def _state(recall: Recall) -> str:
    return "overdue" if recall.overdue else recall.state


def _contract(contract: Contract | None) -> str:
    if contract is None:
        return "no contract"
    until = f" until {contract.until}" if contract.until else ""
    kept = f", kept there for {duration(contract.retention)}" if contract.retention else ""
    allowed = "" if contract.permits_transmission else ", permits no transmission"
    return f"{contract.reference}, from {contract.from_}{until}{kept}{allowed}"
