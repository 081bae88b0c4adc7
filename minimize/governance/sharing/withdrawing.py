"""A withdrawal has two sides: nothing is shared here any more, and the recipient is told to delete; both or neither.

An end of a consent and the recall that follows from it are one write of the ledger. What was sent before is in the list; what
is about to be sent finds the consent ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from minimize.consent.states import ENDING
from minimize.consent.terms import terms_from
from minimize.errors import PolicyError
from minimize.governance.consent import Wish, act, expire
from minimize.governance.consent.acting import PathLike
from minimize.governance.sharing.recall import Recall, recall_of
from minimize.governance.sharing.recalling import event_of_recall
from minimize.ledger import actor_of
from minimize.recipients import Contract, Recipient, find_recipients, load_recipients
from minimize.switching import Allowed, House

if TYPE_CHECKING:
    from minimize.ledger.consents import Act
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.recalls import Recalling


@dataclass(frozen=True, slots=True)
class Ended:
    """Acts that ended consents, what their recipients have to delete, and what else ends it there."""

    acts: Sequence[Act]
    recalls: Sequence[Recall]
    ending: str = ""

    @property
    def is_received(self) -> bool:
        """Whether one of the consents was to what a third party sends: what was received is stored until a retraction."""
        return any(terms_from(act.terms).direction == "inbound" for act in self.acts)


def withdraw(
    wish: Wish,
    house: House,
    now: datetime,
    *,
    verb: Literal["withdraw", "refuse"] = "withdraw",
    recipients: PathLike | None = None,
    allowed: Allowed | None = None,
) -> Ended:
    """Ends a tenant's consent, and takes down that the recipient is told to delete what it got of the tenant by it.

    A withdrawal that holds from a later time calls back when that time has come. Raises what `act` raises.
    """
    known = _recipient(wish.recipient, house, recipients)
    calling = _Calling(now, None if known is None else known.contract)
    done = act(verb, wish, house, now, recipients=recipients, allowed=allowed, also=calling)
    return Ended((done,), calling.recalls, "" if known is None else known.ending)


def expire_consents(house: House, now: datetime) -> Ended:
    """Marks as expired what has run out by now, and takes down that recipients are told to delete what they got by it."""
    calling = _Calling(now, None)
    return Ended(expire(house, now, also=calling), calling.recalls)


@dataclass(frozen=True, slots=True)
class _Calling:
    """Asked where acts were recorded, in the same transaction; remembers what is called back."""

    now: datetime
    contract: Contract | None
    recalls: list[Recall] = field(default_factory=list)

    def __call__(self, ledger: Ledger, acts: Sequence[Act]) -> Iterator[Recalling]:
        """What is called back, by recipient."""
        from minimize.ledger.recalls import Recalled, Recalling, recalls

        actor, told = actor_of(), {(step.disclosure, step.tenant_id) for step in recalls(ledger)}
        self.recalls[:] = [each for act in acts for each in self._of(ledger, act) if _place(each) not in told]
        for name in dict.fromkeys(each.recipient for each in self.recalls):
            steps = [
                Recalled(each.disclosure, each.tenant, name, each.cause, "requested", self.now, actor.user or "")
                for each in self.recalls
                if each.recipient == name
            ]
            yield Recalling(steps, event_of_recall(name, "requested", len(steps), actor, self.now))

    def _of(self, ledger: Ledger, ending: Act) -> Iterator[Recall]:
        """What is in the ledger by now was sent before, whatever the clocks said."""
        from minimize.ledger.disclosures import disclosures, tenants_of

        for sent in disclosures(ledger, recipient=ending.recipient):
            if sent.function == ending.function and ending.state in ENDING and ending.valid_from <= self.now:
                for share in tenants_of(ledger, sent.disclosure, ending.tenant_id):
                    yield recall_of(
                        sent,
                        share,
                        ending.state,
                        "requested",
                        requested_at=self.now,
                        contract=self.contract,
                        now=self.now,
                    )


def _place(recall: Recall) -> tuple[str, str]:
    return recall.disclosure, recall.tenant


def _recipient(name: str, house: House, recipients: PathLike | None) -> Recipient | None:
    """The recipient as its file has it; to withdraw needs no file."""
    try:
        return load_recipients(find_recipients(recipients, start=house.folder)).named(name)
    except PolicyError:
        return None
