"""The gate before acts that were there before access was: who acts must be allowed to, where an access file is configured."""

from __future__ import annotations

from datetime import datetime

from minimize.errors import AccessDenied
from minimize.governance.access.asking import access_of, account_of
from minimize.governance.access.deciding import permit
from minimize.governance.access.telling import event_of
from minimize.governance.access.wanted import Decision
from minimize.ledger import actor_of
from minimize.switching import House


def gate(
    permission: str,
    house: House,
    at: datetime,
    *,
    tenant: str | None = None,
    dataset: str | None = None,
    about: str | None = None,
) -> Decision | None:
    """Lets whoever acts here (`MINIMIZE_ACTOR`) through, or raises; the audit log is told in either case.

    Takes the permission, where the house's things are, the time, and the tenant or dataset that it is about (neither: all of
    them); `about` names it in the log. Gives the decision; None where no access file is configured, and nobody is asked.
    Raises AccessDenied, PolicyError for an access file that is not there or has faults, LedgerError, KeyringError.
    """
    from minimize.ledger.audit import append

    access = access_of(house)
    if access is None:
        return None
    actor = actor_of()
    decision = permit(access, account_of(actor), permission, at, tenant=tenant, dataset=dataset)
    event, keys = event_of(decision, actor=actor, about=about or tenant), house.keyring()
    with house.opened(create=True) as ledger:
        ledger.write(lambda connection: append(connection, event, keys))
    if not decision.allowed:
        hint = f"minimize access why {actor.user} {permission}"
        raise AccessDenied(f"{actor.user} may not do this", reasons=decision.reasons, hint=hint)
    return decision
