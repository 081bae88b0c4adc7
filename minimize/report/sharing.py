"""Sharing: recipients, what was sent to them under this policy, consents, and deletion of what was shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from minimize.errors import PolicyError
from minimize.governance.consent import ConsentStatus, list_consents
from minimize.governance.sharing import list_recalls
from minimize.governance.sharing.recalls import Recall
from minimize.ledger.disclosures import read_disclosures
from minimize.policy.describe import duration_text
from minimize.recipients import Contract, Function, Recipient, Recipients, find_recipients, load_recipients
from minimize.report.context import ReportContext
from minimize.report.facts import FunctionFacts, RecipientFacts
from minimize.report.rounded_counts import RoundedCount

if TYPE_CHECKING:
    from minimize.ledger.disclosures import Disclosure


@dataclass(frozen=True, slots=True)
class SharingHistory:
    """What the ledger tells of sharing."""

    acts: tuple[Disclosure, ...] = field(repr=False)
    consents: tuple[ConsentStatus, ...] = field(repr=False)
    recalls: tuple[Recall, ...] = field(repr=False)

    def for_function(self, recipient: str, function: str) -> SharingHistory:
        """The same for one function."""
        mine = (recipient, function)
        return SharingHistory(
            tuple(each for each in self.acts if (each.recipient, each.function) == mine),
            tuple(each for each in self.consents if (each.act.recipient, each.act.function) == mine),
            tuple(each for each in self.recalls if (each.recipient, each.function) == mine),
        )


def sharing_facts(context: ReportContext) -> tuple[RecipientFacts, ...] | None:
    """The recipients of the house; None where it has none. Raises PolicyError where their list has faults."""
    folder = _recipients_folder(context)
    if folder is None:
        return None
    book = context.attempt("what was shared, and who agreed", lambda: _sharing_history(context, folder))
    return tuple(_recipient_facts(context, folder, book))


def _recipients_folder(context: ReportContext) -> Recipients | None:
    try:
        place = find_recipients(context.request.recipients, start=context.workspace.folder)
    except PolicyError:
        if context.request.recipients is not None:
            raise
        return None
    return load_recipients(place)


def _sharing_history(context: ReportContext, folder: Recipients) -> SharingHistory:
    """Acts of sharing under this output's policy alone; consents and recalls are of the whole house."""
    workspace, at, name = context.workspace, context.request.at, context.newest.policy.name
    with workspace.open_ledger() as ledger:
        acts = [each for each in read_disclosures(ledger) if each.body["policy"]["name"] == name]
    mine = {each.disclosure for each in acts}
    recalls = [each for each in list_recalls(workspace, folder, at, all_=True) if each.disclosure in mine]
    return SharingHistory(tuple(acts), tuple(list_consents(workspace, at, recipients=folder.folder)), tuple(recalls))


def _recipient_facts(
    context: ReportContext, folder: Recipients, book: SharingHistory | None
) -> Iterator[RecipientFacts]:
    on = context.request.at.date()
    for name in folder.names():
        found = context.attempt(f"what goes to {name}", partial(folder.load, name))
        if found is not None:
            functions = tuple(_function_facts(found, each, book) for each in (*found.outbound, *found.inbound))
            may_act = folder.is_listed(found, on) and (found.contract is not None and found.contract.holds(on))
            yield RecipientFacts(name, found.standing, _contract_text(found.contract), may_act, functions)


def _function_facts(recipient: Recipient, function: Function, book: SharingHistory | None) -> FunctionFacts:
    head = (function.name, function.direction, function.purpose, len(function.shared))
    if book is None:
        return FunctionFacts(*head, None, None, None, None, None, {})
    mine = book.for_function(recipient.recipient, function.name)
    holding = sum(each.holds is True for each in mine.consents)
    return FunctionFacts(
        *head,
        holding,
        len(mine.consents) - holding,
        len(mine.acts),
        RoundedCount.total(RoundedCount.rounded(act.rows) for act in mine.acts),
        _last_time(mine.acts),
        dict(sorted(Counter(_recall_state(each) for each in mine.recalls).items())),
    )


def _last_time(acts: Sequence[Disclosure]) -> datetime | None:
    return max((act.recorded_at for act in acts), default=None)


def _recall_state(recall: Recall) -> str:
    return "overdue" if recall.overdue else recall.state


def _contract_text(contract: Contract | None) -> str:
    if contract is None:
        return "no contract"
    until = f" until {contract.until}" if contract.until else ""
    kept = f", kept there for {duration_text(contract.retention)}" if contract.retention else ""
    allowed = "" if contract.permits_transmission else ", permits no transmission"
    return f"{contract.reference}, from {contract.from_}{until}{kept}{allowed}"
