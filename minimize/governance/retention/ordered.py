"""The orders for one file of an output: today's retention, and the events, in the terms of the policy it was written under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final

import pyarrow as pa

from minimize.governance.retention.clock import Clock
from minimize.governance.retention.events import ALL_TIMES, ERASURE, Event
from minimize.governance.retention.forms import Column, pinned, rotations
from minimize.governance.retention.look import Orders
from minimize.governance.retention.personal import Reduced, owner_of, reduced
from minimize.governance.retention.rules import Rules, fields_of
from minimize.governance.retention.sure import is_shown
from minimize.governance.retention.tokens import Batches, recognized
from minimize.governance.retention.whose import Named, Until, Whose, by_event_time
from minimize.governance.retention.written import Written
from minimize.io.places import place_of
from minimize.io.stored import Stored, coded
from minimize.keys import Keyring, Kms, find_kms
from minimize.pointer import Pointer
from minimize.policy.model import Policy
from minimize.settings.rows import microseconds_of
from minimize.stores import Place, local

_DAYS: Final[Mapping[str, int]] = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}
"""Days from one instant of a period to one that is in the next, or still in the same."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an expiry was asked: of which output, by which policy, as of when, after which events.

    ages     whether what is past its retention goes, too; a deletion looks at events alone
    earlier  events that were carried out before: nobody is looked for because of them, but aggregates were counted without them
    read     per batch date when its records were read from their source
    spans    the retention of aggregates that have one of their own, by name
    """

    output: Place
    today: Policy
    at: datetime
    keys: Keyring = field(repr=False)
    events: tuple[Event, ...] = ()
    ages: bool = True
    earlier: tuple[Event, ...] = ()
    read: Mapping[str | None, datetime] = field(default_factory=dict, repr=False)
    spans: Mapping[str, timedelta] = field(default_factory=dict)

    def retention_of(self, name: str) -> timedelta | None:
        """How long an output is kept today."""
        return self.spans.get(name, self.today.retention)

    @property
    def kms(self) -> Kms:
        """Who keeps the master keys of files that are encrypted."""
        return find_kms(self.keys, local(self.output))

    def orders(self, written: Written, stored: Stored, name: str) -> Orders:
        """The orders for one file of an output."""
        born = _born(place_of(stored.path)[1])
        if name != "records":
            return _of_aggregate(self, written, name, born)
        then, schema = written.policy, stored.whole
        orders = Orders(then, self._rules(then, schema), self.at, Clock.of(then, schema), born)
        on = place_of(stored.path)[1]
        events = _reaching(self.happened, orders.clock, stored, partial(self.until, on=on))
        return _with_events(orders, stored, events, self) if events else orders

    def until(self, event: Event, on: str | None) -> int:
        """Up to which event time an event reaches in the records of a batch date, in microseconds since 1970.

        An erasure takes everything that was read before it, and of what was read later what happened up to its time plus the
        policy's `future`. Other events reach up to the time at which they happened.
        """
        if event.kind != ERASURE:
            return by_event_time(event)
        if on not in self.read or self.read[on] <= event.at:
            return ALL_TIMES
        return microseconds_of(event.at + self.today.future)

    def batches(self, stored: Stored) -> Batches:
        """The batches of a file, of some columns alone; texts come as dictionaries."""
        return lambda columns: coded(stored, self.output, self.kms, columns).batches(columns=columns)

    def unread(self, written: Written, path: str) -> Orders:
        """The orders for a file that cannot be read: its batch date tells how old it is."""
        rules = Rules(age=self.retention_of(place_of(path)[0]) if self.ages else None)
        return Orders(written.policy, rules, self.at, born=_born(place_of(path)[1]))

    def _rules(self, then: Policy, schema: pa.Schema) -> Rules:
        return Rules.of(then, self.today, schema) if self.ages else Rules(pointers=fields_of(then, schema))

    @property
    def happened(self) -> tuple[Event, ...]:
        """The events that are not yet to come."""
        return tuple(event for event in self.events if event.at <= self.at)


def _of_aggregate(asked: Asked, written: Written, name: str, born: int | None) -> Orders:
    """An aggregate's rows are as old as the oldest instant of their time's unit, else of their partition."""
    rules = Rules(age=asked.retention_of(name) if asked.ages else None)
    clock = Clock.of_groups(written.policy, dict(_times(written, name)))
    return Orders(written.policy, rules, asked.at, clock, born)


def _times(written: Written, name: str) -> Iterator[tuple[str, str | None]]:
    """The group columns of an aggregate that are event times, with their units."""
    groups: Mapping[str, Any] = (written.pipeline.get("aggregates") or {}).get(name, {}).get("group_by") or {}
    for column, each in groups.items():
        ((key, unit),) = each.items() if isinstance(each, dict) else ((each, None),)
        if written.policy.time is not None and Pointer.parse(str(key)) == Pointer.parse(written.policy.time):
            yield column, unit


def _reaching(events: Sequence[Event], clock: Clock | None, stored: Stored, until: Until) -> list[Event]:
    """The events that reach something in a file."""
    bounds = None if clock is None else clock.bounds(stored)
    return [event for event in events if bounds is None or bounds[0] <= until(event)]


def _with_events(orders: Orders, stored: Stored, events: Sequence[Event], asked: Asked) -> Orders:
    policy, pointers, keys = orders.policy, orders.rules.pointers, asked.keys
    until = partial(asked.until, on=place_of(stored.path)[1])
    tenant, subject = named_in(policy, orders.rules, orders.clock, stored, keys)
    plain = [event for event in events if event.named_by is None]
    found = recognized(plain, tenant, subject, asked.batches(stored), keys)
    erasing = [event for event in plain if event.kind != "became_personal"]
    handing = [event for event in plain if event.kind == "became_personal"]
    owner = owner_of(policy)
    touched = {} if owner is None else dict(_reduced(policy, pointers, owner))
    return replace(
        orders,
        erased=Whose.of(erasing, tenant, subject, found, until),
        handed=Whose.of(handing, tenant, subject, found) if touched else Whose(),
        reduced=touched,
        others=tuple(_by_others(orders, stored, events, asked)),
        owner=owner if owner is not None and owner in pointers and is_shown(policy.fields[owner]) else None,
    )


def _by_others(orders: Orders, stored: Stored, events: Sequence[Event], asked: Asked) -> Iterator[Whose]:
    """Those who are named by another field than the subject, field by field; nobody where a policy has no such field."""
    policy, keys = orders.policy, asked.keys
    for name in sorted({event.named_by for event in events if event.named_by is not None} & policy.fields.keys()):
        tenant, own = named_in(policy, orders.rules, orders.clock, stored, keys, name)
        mine = [event for event in events if event.named_by == name]
        found = recognized(mine, tenant, own, asked.batches(stored), keys)
        yield Whose.of(mine, tenant, own, found, partial(asked.until, on=place_of(stored.path)[1]))


def _reduced(policy: Policy, pointers: Mapping[str, Pointer], owner: str) -> Iterator[tuple[str, Reduced]]:
    for key in pointers:
        found = reduced(policy, key, owner)
        if found is not None:
            yield key, found


def named_in(
    policy: Policy, rules: Rules, clock: Clock | None, stored: Stored, keys: Keyring, by: str | None = None
) -> tuple[Named | None, Named | None]:
    """By which columns of a file tenants and subjects (or who is named `by` a field) are found; None where it has none."""

    def named(key: str | None) -> Named | None:
        there = key is not None and key in rules.pointers
        return column_of(policy, str(key), rules.pointers[str(key)], clock, stored, keys) if there else None

    return named(policy.tenant), named(policy.subject if by is None else by)


def column_of(policy: Policy, key: str, pointer: Pointer, clock: Clock | None, stored: Stored, keys: Keyring) -> Named:
    """The column of a field, and how somebody stands in it: by the key versions and the rotation periods of the file."""
    units = rotations(policy, key)
    times = tuple(_instants(clock, stored, units)) if units else ()
    return Named(pointer, Column(policy, key, pinned(keys, stored.whole, pointer), times))


def _instants(clock: Clock | None, stored: Stored, units: frozenset[str]) -> Iterator[datetime]:
    """Instants of every period that an event of the file may lie in."""
    extent = None if clock is None else clock.extent(stored)
    if extent is not None:
        first, last = (EPOCH + timedelta(microseconds=each) for each in extent)
        yield from periods(first, last, units)


def periods(first: datetime, last: datetime, units: frozenset[str]) -> Iterator[datetime]:
    """Instants of every period of these units from the first instant to the last."""
    step = timedelta(days=min(_DAYS[unit] for unit in units))
    while first < last + step:
        yield min(first, last)
        first += step


def _born(on: str | None) -> int | None:
    if on is None:
        return None
    day = date.fromisoformat(on)
    return microseconds_of(datetime(day.year, day.month, day.day, tzinfo=UTC))
