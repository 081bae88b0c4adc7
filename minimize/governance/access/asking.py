"""Which file decides in a house, who acts in it, and the grants that its ledger has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minimize.errors import PolicyError
from minimize.governance.access.grants import Grants
from minimize.governance.access.load import find_access, load_access
from minimize.governance.access.model import Access, Account
from minimize.keys import Verifier
from minimize.ledger import Actor
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


def access_of(house: House) -> Access | None:
    """The access file of a house; None where none is configured. Raises PolicyError for one that is not there or has faults."""
    file = find_access(house.folder)
    return None if file is None else load_access(file)


def required_access(house: House) -> Access:
    """The same, where nothing can be done without one. Raises PolicyError."""
    found = access_of(house)
    if found is None:
        raise PolicyError("no access file is configured", hint="say `access: access.yaml` in minimize.yaml")
    return found


def account_of(actor: Actor) -> Account:
    """The account of whoever acts here. Nobody vouches for its groups but the file."""
    return Account(actor.user or "")


def load_grants(ledger: Ledger, verifier: Verifier) -> Grants:
    """The grants of an open ledger. Raises LedgerError, also where an act is not signed by a key that the verifier knows."""
    from minimize.ledger.grants import recorded

    return Grants(tuple(recorded(ledger, verifier)))
