"""Settings set, one by one, and shown."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from minimize.canonical import canonical_id, canonical_text
from minimize.errors import RefusedError
from minimize.job.collecting import LEDGER
from minimize.keys import Keyring
from minimize.ledger import Actor, Change, Event, Resource, actor_of
from minimize.ledger.tokens import known_token, secrets_of, subject_token, versions_in
from minimize.policy.pipeline import Pipeline
from minimize.receipt import time_text
from minimize.settings import SettingRow
from minimize.switching.house import House
from minimize.switching.words import check_subject, check_words

if TYPE_CHECKING:
    from minimize.ledger.settings import Recorded

log = logging.getLogger("minimize")

LOCATION: Final = "location"
"""The feature that `locate start` turns on for one device."""
Allowed = Callable[[Actor, Resource], None]
"""Whether somebody may change a setting: raises RefusedError where not."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A setting that somebody wants: whose, which, what, by which holder, since when (now where nothing is said)."""

    tenant: str
    setting: str
    value: str
    holder: str = "admin"
    subject: str | None = None
    valid_from: datetime | None = None


def set_setting(wish: Wish, house: House, now: datetime, *, allowed: Allowed | None = None) -> str:
    """Records a setting, and tells the audit log of it.

    Gives what was in force by the same holder before, `nothing` where that said nothing. Raises PolicyError for words that the
    pipeline's policy does not know, LedgerError, KeyringError, and what `allowed` raises. Raises RefusedError for a subject's
    own `on` of a feature that the pipeline's policy decides `per_subject`: `locate start` has a permission of its own.
    """
    from minimize.ledger.settings import Recorded, record, recorded

    check_words(wish.tenant, wish.setting, wish.value, wish.holder, house.job)
    check_subject(wish.subject)
    _check_own_on(wish, house.job)
    wish = replace(wish, tenant=canonical_text(wish.tenant))
    keys = house.keyring()
    with house.opened(create=True) as ledger:
        rows = recorded(ledger)
        token = None if wish.subject is None else token_among(rows, keys, wish.tenant, wish.subject)
        row = Recorded(wish.tenant, token, wish.setting, wish.value, wish.holder, wish.valid_from or now, now)
        before = _before(rows, row)
        resource = _resource(row, before)
        actor = actor_of()
        if allowed is not None:
            allowed(actor, resource)
        record(ledger, [row], event_of("set", actor, now, resource), keys)
    if house.job is not None:
        warn_of_other_settings(house.job)
    return before or "nothing"


def warn_of_other_settings(job: Pipeline) -> None:
    """Warns if runs of the pipeline do not follow what was recorded, because it does not read its settings from the ledger."""
    if job.settings != LEDGER:
        message = "the pipeline %s does not read its settings from the ledger: a run follows this change with --settings ledger%s"
        file = ", and then ignores its settings file: import that first (minimize settings import FILE)"
        log.warning(message, job.pipeline, file if job.settings else "", extra={"code": "W036"})


def shown(
    house: House, now: datetime, *, tenant: str | None = None, setting: str | None = None, history: bool = False
) -> list[SettingRow]:
    """The settings in force (of the rows of each tenant, subject, setting and holder the one that counts now), or all rows.

    Those of one tenant, or one setting, where they are named. Subjects are tokens.
    """
    from minimize.ledger.settings import recorded

    tenant = canonical_id(tenant)
    with house.opened() as ledger:
        rows = recorded(ledger)
    mine = [row for row in rows if tenant in (None, row.tenant_id) and setting in (None, row.setting)]
    chosen = sorted(mine if history else _in_force(mine, now), key=lambda row: (_whose(row), row.valid_from))
    return [SettingRow(**asdict(row), line=None) for row in chosen]


def token_among(rows: Sequence[Recorded], keys: Keyring, tenant: str, subject: str) -> str:
    """The token of a subject: the one that rows have of it, else a new one.

    So what is said of a subject after the key was rotated stands beside what was said before. Raises KeyringError where a version
    that some were made with is not in the keyring.
    """
    known = {row.subject for row in rows if row.tenant_id == tenant and row.subject}
    found = known_token(secrets_of(keys, versions_in(known)), tenant, subject, known)
    return subject_token(keys, tenant, subject) if found is None else found


def event_of(operation: str, actor: Actor, now: datetime, resource: Resource) -> Event:
    """What the audit log is told of a change."""
    return Event(
        component="settings",
        category="configuration",
        activity="settings",
        operation=operation,
        actor=actor,
        time=now,
        resources=(resource,),
    )


def _check_own_on(wish: Wish, job: Pipeline | None) -> None:
    """Raises RefusedError for a subject's own `on` of a feature that is `per_subject`."""
    switch = None if job is None else job.policy.switch(wish.setting)
    if switch is not None and switch.per_subject and wish.subject is not None and wish.value == "on":
        message = f"`{wish.setting}` is `per_subject`: `settings set` does not turn it on for one subject"
        is_location = wish.setting == LOCATION
        raise RefusedError(message, hint="minimize locate start" if is_location else "minimize settings import FILE")


def _before(rows: Sequence[Recorded], new: Recorded) -> str | None:
    """The value of the same holder that counted until now."""
    same = [row for row in rows if _whose(row) == _whose(new)]
    return next((row.value for row in _in_force(same, new.recorded_at)), None)


def _in_force(rows: Sequence[Recorded], now: datetime) -> Iterator[Recorded]:
    latest: dict[tuple[str, ...], Recorded] = {}
    for row in sorted(rows, key=lambda row: (row.valid_from, row.recorded_at)):
        if row.valid_from <= now and row.recorded_at <= now:
            latest[_whose(row)] = row
    yield from latest.values()


def _whose(row: Recorded) -> tuple[str, ...]:
    return row.tenant_id, row.setting, row.subject or "", row.holder


def _resource(row: Recorded, before: str | None) -> Resource:
    place = f"settings/{row.tenant_id}/{row.setting}" + (f"/{row.subject}" if row.subject else "")
    said = Change("valid_from", None, time_text(row.valid_from))
    return Resource(row.setting, "setting", place, (Change(row.holder, before, row.value), said))
