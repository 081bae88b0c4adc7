"""Which files in force hold something that is due, and how much of it: by statistics, by index, by the columns that decide."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from minimize.governance.retention.clock import limit
from minimize.governance.retention.events import Event
from minimize.governance.retention.look import Orders
from minimize.governance.retention.ordered import Asked
from minimize.governance.retention.remains import Judging, counted
from minimize.governance.retention.rules import wanted
from minimize.governance.retention.settled import settled
from minimize.governance.retention.whose import Whose
from minimize.governance.retention.written import Written
from minimize.io.index.seek import find
from minimize.io.places import place_of
from minimize.io.stored import Stored, coded, open_stored
from minimize.policy.condition import Condition, read_by
from minimize.receipt import OutputFile
from minimize.stage import Counts

RECORDS: Final = "records"
A_DAY: Final = 86_400_000_000
"""In microseconds."""


@dataclass(frozen=True, slots=True)
class Due:
    """One file that was looked at, and what of it is due.

    whole   nothing of it may stay: it goes unread
    gated   rows that go, by reason
    values  values that go or change in rows that stay, by field
    """

    file: OutputFile
    written: Written
    orders: Judging = field(repr=False)
    whole: bool = False
    gated: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The output that it belongs to."""
        return place_of(self.file.path)[0]

    @property
    def date(self) -> str | None:
        """Its partition."""
        return place_of(self.file.path)[1]

    @property
    def is_due(self) -> bool:
        """Whether anything is."""
        return bool(self.gated or self.values)

    @property
    def is_handed(self) -> bool:
        """Whether values go because a device became personal."""
        return bool(self.values.keys() & self._of_owners)

    def names(self, event: Event) -> bool:
        """Whether something goes that may go because of this event."""
        orders = self.orders
        return (
            (self.gated.get("erased", 0) > 0 or self.is_handed) and isinstance(orders, Orders) and orders.names(event)
        )

    @property
    def is_aged(self) -> bool:
        """Whether anything goes because of its age."""
        return bool(self.gated.get("retention") or self.values.keys() - self._of_owners)

    @property
    def is_changed(self) -> bool:
        """Whether anything goes for another reason than its age."""
        others = any(count for reason, count in self.gated.items() if reason != "retention")
        return others or self.is_handed or (bool(self.values) and not isinstance(self.orders, Orders))

    @property
    def _of_owners(self) -> set[str | None]:
        return {*self.orders.reduced, self.orders.owner} if isinstance(self.orders, Orders) else set()

    @property
    def rows(self) -> int:
        """How many rows go."""
        return sum(self.gated.values())


def look(asked: Asked, written: Written, file: OutputFile) -> Due:
    """What of a file is due. Raises OutputError where it is damaged."""
    if file.sketches is not None and not file.rows and (due := look_closed(asked, written, file)) is not None:
        return due  # an empty table has no times, but its sketches have a date
    stored = open_stored(asked.output, file.path, asked.kms)
    orders = asked.orders(written, stored, place_of(file.path)[0])
    if _is_past(orders, stored):
        return Due(file, written, orders, True, {"retention": file.rows})
    if not _can_be_past(orders, stored) and not _can_be_named(asked, orders, file):
        return Due(file, written, orders)
    known = settled(orders, stored, _bounds(orders, stored))
    if known is not None:
        return Due(file, written, orders, values=known)
    columns = deciding(orders, stored.whole)
    counts = counts_of(orders, coded(stored, asked.output, asked.kms, columns), columns)
    values = {key: each.gated + each.changed for key, each in counts.fields.items() if each.gated + each.changed}
    whole = 0 < file.rows == sum(counts.gated.values())
    return Due(file, written, orders, whole, counts.gated, {} if whole else values)


def look_closed(asked: Asked, written: Written, file: OutputFile) -> Due | None:
    """A file that cannot be read, its keys destroyed, or sketches: due once their batch date is past its retention; else None."""
    orders = asked.unread(written, file.path)
    age, born = orders.rules.age, orders.born
    if age is None or born is None or born + A_DAY > limit(orders.at, age):
        return None
    return Due(file, written, orders, True, {"retention": file.rows})


def _is_past(orders: Orders, stored: Stored) -> bool:
    """Whether the youngest event is past its retention."""
    bounds, age = _bounds(orders, stored), orders.rules.age
    return (
        bounds is not None
        and age is not None
        and bounds[1] <= limit(orders.at, age)
        and stored.file.metadata.num_rows > 0
    )


def _can_be_past(orders: Orders, stored: Stored) -> bool:
    bounds, shortest = _bounds(orders, stored), orders.rules.shortest
    if shortest is None or not orders.knows_times or not stored.file.metadata.num_rows:
        return False
    return bounds is None or bounds[0] <= limit(orders.at, shortest)


def _bounds(orders: Orders, stored: Stored) -> tuple[int, int] | None:
    if orders.clock is not None:
        return orders.clock.bounds(stored)
    return None if orders.born is None else (orders.born, orders.born)


def _can_be_named(asked: Asked, orders: Orders, file: OutputFile) -> bool:
    if any(whose.own for whose in orders.others):
        return True  # an index knows subjects alone
    return any(_may_hold(asked, whose, file) for whose in (orders.erased, orders.handed))


def _may_hold(asked: Asked, whose: Whose, file: OutputFile) -> bool:
    if whose.wide or not whose.own:
        return bool(whose.wide)
    return bool(find(asked.output, [file], whose.values, asked.keys))


def counts_of(judging: Judging, stored: Stored, columns: Collection[str] | None) -> Counts:
    """What goes of a file, by reading these columns alone; all where none are named."""
    total = Counts()
    for batch in stored.batches(columns=columns):
        verdict = judging(batch)
        total += counted(batch, verdict, verdict.stays(batch.num_rows), judging.pointers)
    return total


def deciding(orders: Orders, schema: pa.Schema) -> list[str]:
    """The columns that decide what is due, and those that can be."""
    pointers = orders.rules.pointers
    keys = {rule.key for rule in orders.rules.fields} | set(_asked_for(orders))
    found = {pointers[key].top for key in keys if key in pointers}
    found |= set() if orders.clock is None else {orders.clock.pointer.top}
    for whose in orders.everybody:
        found |= {place.top for place in (whose.tenant, whose.subject) if place is not None}
    return [name for name in schema.names if name in found]


def _asked_for(orders: Orders) -> Iterator[str]:
    """Fields that conditions ask for, and those that change with the owner."""
    conditions: Sequence[Condition] = [
        *orders.rules.records,
        *(each for rule in orders.rules.fields for each in rule.conditions),
        *(each for key in orders.reduced for each in wanted(orders.policy.fields[key])),
    ]
    yield from (field for each in conditions for field in read_by(each))
    yield from orders.reduced
    if orders.owner is not None:
        yield orders.owner
