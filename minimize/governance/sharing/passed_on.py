"""What was received from a third party and goes on to another: the consents to receive it are asked, too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimize.consent import ConsentPeriods, Consents
from minimize.errors import PolicyError
from minimize.governance.sharing.asked import Asked
from minimize.io.history import RUNS
from minimize.io.published import receipts
from minimize.job.sender import consents_of, gone, periods_of
from minimize.ledger.consents import recorded
from minimize.recipients import Recipient

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

Sent = tuple[str, str]
"""A third party, and the function by which it sent."""


def senders(data: Any) -> frozenset[Sent]:
    """Who sent the records of an output folder, or of a file in one, as its receipts say; nobody for data in memory."""
    if not isinstance(data, str | os.PathLike):
        return frozenset()
    path = Path(os.path.abspath(data))
    folder = next((each for each in (path, *path.parents) if (each / RUNS).is_dir()), None)
    chain = () if folder is None else receipts(folder)
    return frozenset((each.received.recipient, each.received.function) for each in chain if each.received is not None)


def agreed_to_receive(asked: Asked, sent: frozenset[Sent], ledger: Ledger) -> ConsentPeriods | None:
    """When tenants agreed to receive the records, whoever sent them; None for records of our own."""
    found = list(_periods(asked, sent, ledger))
    return reduce(ConsentPeriods.narrowed, found) if found else None


def _periods(asked: Asked, sent: frozenset[Sent], ledger: Ledger) -> Iterator[ConsentPeriods]:
    job = asked.job
    own = None if job is None else periods_of(job, consents_of(job, ledger), asked.at)
    if own is not None:
        yield own
    named = None if job is None else (job.source.recipient, job.source.function)
    for name, function in sorted(sent - {named}):
        consents = Consents(tuple(recorded(ledger, recipient=name, function=function)))
        fold = asked.policy.folding.tenant
        yield ConsentPeriods.of(consents, _recipient(asked, name), function, asked.at, fold=fold)


def _recipient(asked: Asked, name: str) -> Recipient:
    if name == asked.recipient.recipient:
        return asked.recipient
    try:
        return asked.party.recipients.named(name)
    except PolicyError:
        return gone(name)
