"""What must hold before any tenant is asked: the manifest, the contract, the list of subprocessors, the purpose."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from os import PathLike
from pathlib import Path

from minimize.errors import Reason
from minimize.policy.faults import did_you_mean
from minimize.recipients.folder import Recipients, find_recipients, load_recipients
from minimize.recipients.model import Direction, Function, Recipient
from minimize.recipients.refusals import reason


@dataclass(frozen=True, slots=True)
class Party:
    """Who is on the other side, for what, on which days: the day as of which it is asked, and today."""

    recipients: Recipients
    recipient: Recipient
    function: str
    direction: Direction
    days: tuple[date, ...]

    @property
    def manifest(self) -> Function | None:
        """What the manifest says of the function, in this direction."""
        found = self.recipient.function(self.function)
        return found if found is not None and found.direction == self.direction else None

    def against(self, existing: Collection[str]) -> Iterator[Reason]:
        """Every rule against anything going this way. `existing` names what is there of what functions require."""
        yield from self._manifest()
        yield from self._contract()
        if not all(self.recipients.listed(self.recipient, day) for day in self.days):
            hint = "an agent acts for us only while the list names it"
            yield reason("not_listed", f"{self.recipient.recipient} is not on the list of subprocessors", hint=hint)
        missing = [] if self.manifest is None else [name for name in self.manifest.requires if name not in existing]
        for name in missing:
            yield reason(
                "requires",
                f"{self.function} requires {name}",
                hint=f"once it is there: --having {name}, or existing=[…]",
            )

    def _manifest(self) -> Iterator[Reason]:
        name, manifest = self.recipient.recipient, self.recipient
        if not manifest.functions:
            yield reason("empty_manifest", f"the manifest of {name} is empty: nothing is shared with it")
        elif manifest.function(self.function) is None:
            hint = did_you_mean(self.function, manifest.functions)
            yield reason("not_in_manifest", f"the manifest of {name} has no function {self.function}", hint=hint)
        elif self.manifest is None:
            yield reason("direction", f"{self.function} of {name} is not {self.direction}")

    def _contract(self) -> Iterator[Reason]:
        contract, name = self.recipient.contract, self.recipient.recipient
        if contract is None:
            yield reason("no_contract", f"there is no contract with {name}", hint="no contract, no transmission")
            return
        if not all(contract.holds(day) for day in self.days):
            yield reason("contract_not_in_force", f"the contract {contract.reference} is not in force")
        if self.direction == "outbound" and not contract.permits_transmission:
            yield reason("no_transmission", f"the contract {contract.reference} permits no transmission")


def party(
    recipient: str | Recipient,
    function: str,
    direction: Direction,
    recipients: Recipients | str | PathLike[str] | None,
    folder: Path,
    whens: tuple[datetime, ...],
) -> Party:
    """The other side. Raises PolicyError for one that nobody knows."""
    known = (
        recipients if isinstance(recipients, Recipients) else load_recipients(find_recipients(recipients, start=folder))
    )
    who = recipient if isinstance(recipient, Recipient) else known.named(recipient)
    return Party(known, who, function, direction, tuple(dict.fromkeys(when.date() for when in whens)))


def purpose_reasons(asked: str | None, function: Function, listed: Sequence[str]) -> Iterator[Reason]:
    """Whether the purpose is the function's, and one of the policy's."""
    if asked is not None and asked != function.purpose:
        yield reason("purpose", f"{function.name} is for {function.purpose}, and not for {asked}")
    if function.purpose not in listed:
        hint = f"it lists {', '.join(listed)}"
        yield reason("purpose", f"the policy does not list the purpose {function.purpose}", hint=hint)
