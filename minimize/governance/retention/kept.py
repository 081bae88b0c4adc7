"""Events that the ledger keeps, as an expiry takes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from minimize.canonical import canonical_text
from minimize.governance.retention.events import KINDS, Event, Kind
from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.tokens import secrets_of, tokens_of, versions_in

if TYPE_CHECKING:
    from minimize.ledger.happened import Happened

Forms = dict[str, tuple[str, ...]]


def kept_events(address: Address, keys: Keyring, given: Sequence[Event] = ()) -> tuple[Event, ...]:
    """The events of a ledger that count, without those that are given as well; none where there is no ledger.

    Raises LedgerError, and KeyringError where a token is of a version of the key that is not there.
    """
    from minimize.ledger.happened import recorded
    from minimize.ledger.ledger import open_ledger

    if not address.exists:
        return ()
    with open_ledger(address) as ledger:
        events = list(counting(recorded(ledger)))
    versions = versions_in(each.token for each in events if each.token is not None)
    secrets = {name: secrets_of(keys, versions, name) for name in {None, *(each.named_by for each in given)}}
    known = {name for each in given for name in _names(each, secrets[each.named_by])}
    return tuple(each for each in events if (each.tenant, each.kind, each.at, each.token) not in known)


def _names(given: Event, secrets: Mapping[int, bytes]) -> Iterator[tuple[str, Kind, datetime, str | None]]:
    """The names that an event which is given would have in the ledger; tokens of another field are others."""
    said, subject = (given.tenant, given.kind, given.at), given.subject
    if subject is None:
        yield (*said, None)
    else:
        for number, secret in secrets.items():
            yield from ((*said, token) for token in tokens_of(secret, number, given.tenant, subject))


def counting(rows: Iterable[Happened]) -> Iterator[Event]:
    """The events that were recorded and not taken back; all forms of a subject that were ever told count."""
    forms: dict[str, Forms] = {}
    last: dict[str, Happened] = {}
    for row in rows:
        last[row.id] = row
        forms.setdefault(row.id, {}).update(forms_in(row))
    for row in last.values():
        if row.state == "recorded" and row.kind in KINDS:
            tenant = canonical_text(row.tenant_id)
            yield Event(tenant, row.kind, row.at, token=row.subject, forms=forms[row.id], named_by=row.field)


def forms_in(row: Happened) -> Forms:
    """The tokens of a subject's forms, by the name of the way that leads there."""
    return {str(name): tuple(map(str, tokens)) for name, tokens in json.loads(row.forms).items()}
