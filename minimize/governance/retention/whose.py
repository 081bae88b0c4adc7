"""Whose rows must go, or be treated as those of a personal device, and up to which event time: events beside a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.canonical import canonical
from minimize.governance.retention.clock import UNKNOWN, Bools, Moments
from minimize.governance.retention.events import Event
from minimize.nested import leaf, rows_of
from minimize.pointer import Pointer
from minimize.settings.columns import index
from minimize.settings.rows import microseconds_of

Codes = npt.NDArray[np.int64]
NOBODY = -1


Until = Callable[[Event], int]
"""Up to which event time an event reaches in a file, in microseconds since 1970."""


def by_event_time(event: Event) -> int:
    """An event reaches up to the time at which it happened."""
    return microseconds_of(event.at)


Pair = tuple[str, str]
"""A value and its tenant."""


class Forms(Protocol):
    """How somebody stands in a column."""

    @property
    def names(self) -> frozenset[str] | None:
        """The names of the ways in which values come to stand there; None where that depends on what is not known."""
        ...

    @property
    def is_injective(self) -> bool:
        """Whether two values of a tenant never have the same form there."""
        ...

    def forms(self, value: str, tenant: str) -> frozenset[str] | None:
        """Every form in which a value may stand there; None where that depends on what is not known."""
        ...

    def several(self, pairs: Sequence[Pair]) -> list[frozenset[str]] | None:
        """The same of several values with their tenants, at once."""
        ...


@dataclass(frozen=True, slots=True)
class Named:
    """A column by which somebody is found: where it stands, and how."""

    pointer: Pointer
    column: Forms


@dataclass(frozen=True, slots=True)
class Found:
    """The forms in which a subject of the ledger was recognized in a file.

    whole   whether it would have been in whatever form it stands there
    """

    forms: frozenset[str] = field(default=frozenset(), repr=False)
    whole: bool = False


NOTHING: Final = Found()


@dataclass(frozen=True, slots=True)
class Whose:
    """Events as a file shows those whom they are about.

    wide    the forms of tenants with an event of their own, and until when
    own     per form of a subject the tenants' forms that it may stand under (None: any), and until when
    lost    events of which nobody can be found in this file
    unsure  events of the ledger whose subject may stand in this file in a form that it does not know
    named   events about somebody who may stand in this file
    """

    tenant: Pointer | None = None
    subject: Pointer | None = None
    wide: Mapping[str, int] = field(default_factory=dict, repr=False)
    own: Mapping[tuple[str, str | None], int] = field(default_factory=dict, repr=False)
    lost: tuple[Event, ...] = ()
    unsure: tuple[Event, ...] = ()
    named: tuple[Event, ...] = ()

    @classmethod
    def of(
        cls,
        events: Sequence[Event],
        tenant: Named | None,
        subject: Named | None,
        recognized: Mapping[Event, Found] = MappingProxyType({}),
        until: Until = by_event_time,
    ) -> Whose:
        """The events of one kind of effect, for one file. Takes what was recognized there of those that the ledger tells of, and
        up to which event time each reaches."""
        wide: dict[str, int] = {}
        own: dict[tuple[str, str | None], int] = {}
        forms = _Forms.of(events, tenant, subject)
        pairs = {event: forms.found(event, recognized) for event in events}
        for event, found in pairs.items():
            at = until(event)
            for form, of in found or ():
                if event.is_of_subject:
                    own[form, of] = max(at, own.get((form, of), UNKNOWN))
                else:
                    wide[form] = max(at, wide.get(form, UNKNOWN))
        places = [None if each is None else each.pointer for each in (tenant, subject)]
        lost = tuple(event for event, found in pairs.items() if found is None)
        unsure = tuple(event for event, each in recognized.items() if event in pairs and not each.whole)
        return cls(places[0], places[1], wide, own, lost, unsure, tuple(each for each in events if pairs[each]))

    @property
    def values(self) -> list[str]:
        """The subjects' forms, as an index is asked for them."""
        return sorted({form for form, _ in self.own})

    @property
    def tenants(self) -> list[str]:
        """The tenants' forms that matter; the last place stands for all others."""
        return sorted({*self.wide, *(of for _, of in self.own if of is not None)})

    def concerns(self, batch: pa.RecordBatch, oldest: Moments) -> Bools:
        """The rows that an event is about: those that may have happened before it."""
        found = np.zeros(batch.num_rows, np.bool_)
        if self.wide:
            names = sorted(self.wide)
            until = np.array([*(self.wide[name] for name in names), UNKNOWN], np.int64)
            until = until[self._codes(batch, self.tenant, names)]
            found |= (until != UNKNOWN) & (oldest <= until)
        if self.own:
            rows, until = self._own_until(batch)
            found[rows] |= (until != UNKNOWN) & (oldest[rows] <= until)
        return found

    def _own_until(self, batch: pa.RecordBatch) -> tuple[Codes, Moments]:
        """The rows of those who are named, and until when an event reaches. The loop runs over their distinct pairs."""
        values, names = self.values, self.tenants
        subjects = self._codes(batch, self.subject, values)
        rows = np.flatnonzero(subjects != NOBODY)
        beside = batch.select([] if self.tenant is None else [self.tenant.top]).take(pa.array(rows))
        tenants = self._codes(beside, self.tenant, names)
        pairs, places = np.unique(np.stack([subjects[rows], tenants]), axis=1, return_inverse=True)
        found = [self._until(values[subject], names, tenant) for subject, tenant in pairs.T.tolist()]
        return rows, np.array(found, np.int64)[places.reshape(-1)]

    def _until(self, form: str, names: Sequence[str], tenant: int) -> int:
        of = names[tenant] if tenant != NOBODY else ""
        return max(self.own.get((form, None), UNKNOWN), self.own.get((form, of), UNKNOWN))

    def _codes(self, batch: pa.RecordBatch, place: Pointer | None, names: Sequence[str]) -> Codes:
        if place is None or not names:
            return np.full(batch.num_rows, NOBODY)
        found = leaf(batch, place)
        codes = index(canonical(found.values), pa.array(names, pa.string()))
        if not place.stars:
            return codes
        rows = np.full(batch.num_rows, NOBODY)
        np.maximum.at(rows, rows_of(found, batch.num_rows), codes)
        return rows


Standing = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class _Forms:
    """The forms of everybody whom events are about, each worked out once.

    under  per tenant the forms in which it stands; None where the file does not show it
    own    per subject and tenant the forms in which it stands; None where a file cannot show them
    """

    under: Mapping[str, frozenset[str] | None] = field(repr=False)
    own: Mapping[Pair, frozenset[str]] | None = field(repr=False)
    shows: bool

    @classmethod
    def of(cls, events: Sequence[Event], tenant: Named | None, subject: Named | None) -> _Forms:
        """Those of events in one file."""
        names = dict.fromkeys(event.tenant for event in events)
        several = None if tenant is None else tenant.column.several([(name, name) for name in names])
        under = dict.fromkeys(names) if several is None else dict(zip(names, several, strict=True))
        pairs = list(dict.fromkeys((each.subject, each.tenant) for each in events if each.subject is not None))
        found = None if subject is None else subject.column.several(pairs)
        return cls(under, None if found is None else dict(zip(pairs, found, strict=True)), subject is not None)

    def found(self, event: Event, recognized: Mapping[Event, Found]) -> Standing | None:
        """The forms of whom an event is about, subjects with those of their tenant; None where a file cannot show them."""
        if not event.is_of_subject:
            forms = self.under[event.tenant]
            return None if forms is None else [(form, None) for form in sorted(forms)]
        if not self.shows:
            return None
        if event.subject is None:
            return list(self._pairs(recognized.get(event, NOTHING).forms, event.tenant))
        return None if self.own is None else list(self._pairs(self.own[event.subject, event.tenant], event.tenant))

    def _pairs(self, forms: frozenset[str], tenant: str) -> Iterator[tuple[str, str | None]]:
        """A subject's forms with those of its tenant; where the file does not show tenants, those of any."""
        under = self.under[tenant]
        for form in sorted(forms):
            if under is None:
                yield form, None
            else:
                yield from ((form, of) for of in sorted(under))
