"""Which file decides in a house, who acts in it, and the grants that its ledger has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minimize.governance.access.grants import Grants
from minimize.governance.access.load import access_in, find_access, load_access, required_file
from minimize.governance.access.model import Access, Account
from minimize.keys import Verifier
from minimize.ledger import Actor
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


def access_of(house: House) -> Access | None:
    """What the access file of a house says; None where none is configured. Once one was adopted, the one that was adopted last.

    Raises PolicyError for a file that is not there or has faults; where one was adopted, LedgerError and KeyringError.
    """
    return None if find_access(house.folder) is None else required_access(house)


def required_access(house: House) -> Access:
    """The same, where nothing can be done without one. Raises PolicyError."""
    from minimize.ledger.adoptions import count

    access = load_access(required_file(house.folder))
    if not house.address.exists:
        return access
    with house.opened() as ledger:
        return in_force(access, ledger, house.keyring()) if count(ledger) else access


def in_force(access: Access, ledger: Ledger, verifier: Verifier) -> Access:
    """What counts by an open ledger: the file as it is, while nothing was adopted; else what was adopted last.

    Raises LedgerError for an adoption that is not signed by a key that the verifier knows.
    """
    from minimize.ledger.adoptions import last

    adopted = last(ledger, verifier)
    if adopted is None or adopted.digest == access.digest:
        return access
    return access_in(adopted.content.encode(), access.path or "access.yaml")


def account_of(actor: Actor) -> Account:
    """The account of whoever acts here. Nobody vouches for its groups but the file."""
    return Account(actor.user or "")


def load_grants(ledger: Ledger, verifier: Verifier) -> Grants:
    """The grants of an open ledger. Raises LedgerError, also where an act is not signed by a key that the verifier knows."""
    from minimize.ledger.grants import recorded

    return Grants(tuple(recorded(ledger, verifier)))
