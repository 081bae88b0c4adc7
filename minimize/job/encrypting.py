"""The encryption of a run's outputs: made once for each, its master keys asked for before anything is read."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from minimize.encryption import ByCategory
from minimize.errors import LedgerError
from minimize.keys import Keyring, Kms
from minimize.keys.masters import is_master
from minimize.ledger import Event, Resource, actor_of
from minimize.plan import Plan
from minimize.plan.encrypted import encrypt_of

if TYPE_CHECKING:
    from minimize.ledger.booking import Booking

log = logging.getLogger("minimize")


def encryption_of(plan: Plan, name: str, kms: Kms) -> ByCategory | None:
    """How the files of an output are encrypted; None where they stand in the clear."""
    encrypt = encrypt_of(plan, name)
    if encrypt.by == "none":
        return None
    found = ByCategory.of_schema(kms, plan.outputs[name].schema, encrypt.per)
    return found if found.names else None


def check_masters(plan: Plan, kms: Kms) -> None:
    """Asks for the master keys that are not a tenant's own. Raises KeyringError where one is missing or destroyed."""
    for name in plan.outputs:
        encryption = encryption_of(plan, name, kms)
        if encryption is not None:
            encryption.check()


def tell_made(booking: Booking, keyring: Keyring, since: datetime) -> None:
    """Tells the audit log of master keys that the run has made in the keyring, because its files wanted them."""
    from minimize.ledger.audit import append

    lines = Keyring.load(keyring.path).listing()
    made = [f"{line.name}/{line.version}" for line in lines if is_master(line.name) and line.created >= since]
    if not made:
        return
    event = Event(
        component="keys",
        category="configuration",
        activity="keys",
        operation="make",
        actor=actor_of(),
        time=since,
        correlation_id=booking.run_id,
        resources=tuple(Resource(each, "master key", f"keys/{each}") for each in made),
    )
    try:
        booking.ledger.write(lambda connection: append(connection, event, keyring))
    except LedgerError as error:
        log.warning(
            "master keys were made, and the ledger could not be told: %s", error.message, extra={"code": "W016"}
        )
