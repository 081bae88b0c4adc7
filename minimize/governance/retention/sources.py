"""The dates of an output whose source still stands as their receipts tell, so that they can be run anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from typing import Any, Final

import pyarrow.compute as pc

from minimize.errors import ConfigurationError
from minimize.governance.retention.counting import tells_of_few
from minimize.governance.retention.written import Reading, Written
from minimize.job.dates import Wanted
from minimize.job.given import Given, found_files, resolve, veil
from minimize.job.origin import place_of
from minimize.job.pending import READING, digests, last_inputs
from minimize.keys import Keyring
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Origin, Receipt
from minimize.settings import SettingsRows
from minimize.stores import Place

TAKING: Final = ("expire", "retract", "correct", "delete")


@dataclass(frozen=True, slots=True)
class Standing:
    """One date that can be run anew; `is_pending` where that may give something else than it gave before."""

    date: str | None
    given: Given = field(repr=False)
    is_pending: bool


def standing_sources(
    job: Pipeline,
    folder: Place,
    chain: Sequence[Receipt],
    at: datetime,
    source: str | PathLike[str] | None,
    settings: Any,
    keys: Keyring,
    ledger: str | PathLike[str] | None,
) -> dict[str | None, Standing]:
    """By date, those that can be run anew, and of which no aggregate would change so that the difference tells of few.

    Raises what `run` raises about policy, settings and keys.
    """
    found: dict[str | None, Standing] = {}
    reading = Reading(job.policy.purposes)
    for on in _standing(job, folder, chain, source, keys):
        given = resolve(
            job,
            wanted=Wanted.of(on),
            at=at,
            input=source,
            settings=settings,
            output=folder,
            keys=keys,
            ledger=ledger,
        )
        last = _last(chain, on)
        if not given.nothing and last is not None:
            pending = _may_differ(given, last)
            if not pending or not tells_of_few(Written(folder, last, reading), given, on):
                found[on] = Standing(on, given, pending)
    return found


def source_of(
    job: Pipeline,
    folder: Place,
    chain: Sequence[Receipt],
    on: str | None,
    at: datetime,
    keys: Keyring,
    ledger: str | PathLike[str] | None,
) -> tuple[Receipt, Given] | None:
    """The receipt that read a date, and a run that finds its source as that had it; None where that does not stand.

    Records that were taken after events since do not matter: whoever asks knows the events.
    """
    last, origin = _last(chain, on), (chain[-1].origin or Origin())
    source = place_of(folder, origin.input)
    if last is None or on not in set(_standing(job, folder, chain, source, keys, after_events=True)):
        return None
    given = resolve(
        job,
        wanted=Wanted.of(on),
        at=at,
        input=source,
        settings=place_of(folder, origin.settings),
        output=folder,
        keys=keys,
        ledger=ledger,
    )
    return None if given.nothing else (last, given)


def _standing(
    job: Pipeline,
    folder: Place,
    chain: Sequence[Receipt],
    source: str | PathLike[str] | None,
    keys: Keyring,
    *,
    after_events: bool = False,
) -> Iterator[str | None]:
    """Dates whose files have the digests of their last receipt, and of which nothing was taken since, but after events."""
    shown = veil(job, keys)
    for day, before in last_inputs(chain, shown).items():
        on = None if day is None else day.isoformat()
        if before and not _was_taken(chain, on, but_events=after_events):
            try:
                files = found_files(job, source, day)
            except ConfigurationError:
                continue
            if digests(files.files.get(day, ()), files.root, shown) == before:
                yield on


def lost_records(chain: Sequence[Receipt], on: str | None) -> bool:
    """Whether records of a date went after events since it was read."""
    return any(_took_records(each) for each in _taking(chain, on))


def _was_taken(chain: Sequence[Receipt], on: str | None, *, but_events: bool) -> bool:
    """Whether a run of this date would bring back what was taken for another reason than its age (and after events)."""
    return any(
        any(field.changed for field in each.fields.values())
        or (_took_records(each) and not (but_events and each.kind == "expire"))
        for each in _taking(chain, on)
    )


def _taking(chain: Sequence[Receipt], on: str | None) -> Iterator[Receipt]:
    last = _last(chain, on)
    later = (each for each in chain if last is not None and each.sequence > last.sequence)
    yield from (each for each in later if each.kind in TAKING and _is_of(each, on))


def _took_records(receipt: Receipt) -> bool:
    return receipt.gated_by.erased > 0 or bool(receipt.stays)


def _last(chain: Sequence[Receipt], on: str | None) -> Receipt | None:
    """The last receipt that read a date from its source."""
    reading = [each for each in chain if (each.kind in READING or each.from_ == "source") and _is_of(each, on)]
    return reading[-1] if reading else None


def _is_of(receipt: Receipt, on: str | None) -> bool:
    return on in receipt.dates if on is not None else not receipt.dates


def _may_differ(given: Given, last: Receipt) -> bool:
    """Whether policy or settings are others, or a setting changed with time alone."""
    digest = None if given.settings is None else given.settings.digest
    before = None if last.settings is None else last.settings.digest
    if (given.plan.digest, digest, given.plan.policy.digest) != (last.plan.digest, before, last.policy.digest):
        return True
    return given.settings is not None and _changed_between(given.settings, last.at, given.at)


def _changed_between(rows: SettingsRows, first: datetime, last: datetime) -> bool:
    """Whether a row came into force in between."""
    table = rows.table
    for name in ("valid_from", "recorded_at"):
        after = pc.and_(pc.greater(table[name], first), pc.less_equal(table[name], last))
        if pc.any(after).as_py():
            return True
    return False
