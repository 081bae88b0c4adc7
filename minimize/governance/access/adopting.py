"""Adopting the access file: from the first time on a change of it counts only once somebody who may assign roles adopted it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from minimize.errors import AccessDenied, LedgerError, Reason
from minimize.governance.access.asking import account_of, in_force
from minimize.governance.access.deciding import permit
from minimize.governance.access.load import access_in, required_file
from minimize.governance.access.model import Access, Account
from minimize.governance.access.permissions import ASSIGN
from minimize.governance.access.reasons import reason
from minimize.governance.access.showing import assignment_lines, role_lines
from minimize.governance.access.telling import event_of
from minimize.ledger import actor_of
from minimize.switching import House


@dataclass(frozen=True, slots=True)
class Change:
    """What adopting a file changes: roles and assignments that come, and that go; None is changed where it counts already."""

    digest: str
    before: str | None
    comes: tuple[str, ...] = ()
    goes: tuple[str, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether the file does not count yet."""
        return self.digest != self.before

    def as_json(self) -> dict[str, Any]:
        """The change as `access adopt --json` prints it."""
        return {"digest": self.digest, "before": self.before, "comes": list(self.comes), "goes": list(self.goes)}


def adopt(house: House, at: datetime, *, yes: bool = False) -> Change:
    """Adopts the access file as it is now, by whoever acts here; without `yes` only says what that changes.

    Who adopts may assign roles under the file that counts until now (the first time: under the file itself), and gives nothing to
    their own person. Raises AccessDenied, PolicyError for a file with faults, LedgerError, KeyringError. The log is told in
    either case.
    """
    from minimize.ledger.adoptions import Adoption, last, record
    from minimize.ledger.audit import append

    file, keys, actor = required_file(house.folder), house.keyring(), actor_of()
    content = file.read_bytes()
    new = access_in(content, file)
    with house.opened(create=True) as ledger:
        counting, known = in_force(new, ledger, keys), last(ledger, keys)
        change = _change(None if known is None else counting, new, None if known is None else known.digest)
        if not yes or not change.is_needed:
            return change
        decision = permit(counting, account_of(actor), ASSIGN, at)
        event = event_of(decision, actor=actor, about=new.digest)
        against = _against(decision.reasons if not decision.allowed else (), counting, new, account_of(actor))
        if not against:
            adoption = Adoption(content.decode(), actor.user or "", at)
            if not record(ledger, adoption, change.before, event, keys):
                raise LedgerError("somebody else adopted a file in the meantime", hint="look at it, and adopt again")
            return change
        refused = replace(event, result="refused")
        ledger.write(lambda connection: append(connection, refused, keys))
    raise AccessDenied(f"{actor.user} may not adopt this file", reasons=against, hint=f"it takes `{ASSIGN}`")


def _change(before: Access | None, new: Access, digest: str | None) -> Change:
    old = set() if before is None else {*role_lines(before), *assignment_lines(before)}
    now = {*role_lines(new), *assignment_lines(new)}
    return Change(new.digest, digest, tuple(sorted(now - old)), tuple(sorted(old - now)))


def _against(reasons: Sequence[Reason], before: Access, new: Access, account: Account) -> tuple[Reason, ...]:
    """What keeps somebody from adopting a file: what denies it, or that it gives them more than they had."""
    gains = _held(new, account) - _held(before, account)
    return (*reasons, *((reason("not_separate", about="it gives a role to who adopts it"),) if gains else ()))


def _held(access: Access, account: Account) -> set[str]:
    """What a person holds: each role as it is, in its scope."""
    return {f"{role.model_dump(exclude={'line'})!r} {each.scope!r}" for each, role in access.held_by_person(account)}
