"""Which event days a run closes, and whether every batch that may hold their rows is as it was.

An aggregate with `late: 2d` publishes an event day once, with the batch that comes two days after it: then all its rows are
in. The batches in between are its window. A batch that was run before must still be what its receipt says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from minimize.aggregates.days import Lateness
from minimize.job.dates import Day
from minimize.job.given import Given
from minimize.job.pending import Arrival, arrival, digests, last_inputs
from minimize.receipt import Output, Receipt
from minimize.receipt.void import counting


@dataclass(frozen=True, slots=True)
class Window:
    """One event day of one aggregate, and the batches that may hold its rows.

    wrong  what is wrong with it, and with which batch; empty where nothing is
    """

    name: str
    day: date
    batches: tuple[date, ...]
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What earlier receipts say of an aggregate that waits.

    published  per event day that was published the rows that each batch had of it
    open       event days that could not be published
    spread     per batch the rows that it had of each event day
    """

    published: Mapping[date, Mapping[date, int]]
    open: frozenset[date]
    spread: Mapping[date, Mapping[date, int]]

    @classmethod
    def of(cls, chain: Sequence[Receipt], name: str) -> Told:
        """What the receipts say, the later over the earlier."""
        published: dict[date, Mapping[date, int]] = {}
        spread: dict[date, Mapping[date, int]] = {}
        asked: set[date] = set()
        for output in _outputs(chain, name):
            published |= {_date(day): _counts(rows) for day, rows in (output.days or {}).items()}
            spread |= {_date(batch): _counts(rows) for batch, rows in (output.event_days or {}).items()}
            asked |= {_date(day) for day in output.unpublished or {}}
        return cls(published, frozenset(asked - published.keys()), spread)


@dataclass(frozen=True, slots=True)
class Closing:
    """What a run closes: looks at the receipts so far and at the files that are there."""

    given: Given
    chain: Sequence[Receipt]
    before: Mapping[Day, Mapping[str, str]]

    @classmethod
    def of(cls, given: Given, chain: Sequence[Receipt]) -> Closing:
        """What a run closes after these receipts."""
        return cls(given, chain, last_inputs(chain, given.shown))

    def windows(self, name: str, late: Lateness) -> tuple[Window, ...]:
        """The event days of an aggregate that this run decides about, with what stands against each."""
        told = Told.of(counting(self.chain), name)
        due = {day for batch in self.batches for day in self._due(batch, late.days)} - told.published.keys()
        again = [window for window in self._windows(name, told, late, told.open - due) if not window.wrong]
        return (*self._windows(name, told, late, due), *again)

    @property
    def batches(self) -> list[date]:
        """The batch dates of this run."""
        return [when for when in self.given.sources if when is not None]

    def _due(self, batch: date, days: int) -> Iterator[date]:
        """The event days whose windows end with this batch, or ended since the batch before it."""
        before = max((when for when in self._known() if when < batch), default=batch - timedelta(1))
        return (batch - timedelta(days + back) for back in range((batch - before).days))

    def _known(self) -> set[date]:
        return {when for when in (*self.before, *self.batches) if when is not None}

    def _windows(self, name: str, told: Told, late: Lateness, due: set[date] | frozenset[date]) -> Iterator[Window]:
        for day in sorted(due):
            batches = [when for when in self._around(day, late) if self._may_hold(when, day, told)]
            faults = (self._fault(when) for when in batches)
            wrong = next((fault for fault in faults if fault), "")
            yield Window(name, day, tuple(when for when in batches if self._is_there(when)), wrong)

    def _around(self, day: date, late: Lateness) -> list[date]:
        return [day + timedelta(offset) for offset in range(-late.early, late.days + 1)]

    def _may_hold(self, when: date, day: date, told: Told) -> bool:
        """Batches before the day hold rows of it only where clocks ran ahead, which their receipts tell."""
        return when >= day or when in self.given.sources or bool(told.spread.get(when, {}).get(day))

    def _is_there(self, when: date) -> bool:
        return bool(self.given.found.files.get(when))

    def _fault(self, when: date) -> str:
        """What is wrong with a batch that is not run now: its files are not those of its receipt."""
        if when in self.given.sources:
            return ""
        reason = next((each.reason for each in self.given.skipped if each.day == when), None)
        if reason is not None:
            return f"{when}: {reason}"
        before = self.before.get(when)
        state = "same" if before is None else self._arrival(when, before).state
        return "" if state == "same" else f"{when}: {state}"

    def _arrival(self, when: date, before: Mapping[str, str]) -> Arrival:
        found = self.given.found
        return arrival(digests(found.files.get(when, ()), found.root, self.given.shown), before)


def _outputs(chain: Sequence[Receipt], name: str) -> Iterator[Output]:
    for receipt in sorted(chain, key=lambda receipt: receipt.sequence):
        if name in receipt.outputs:
            yield receipt.outputs[name]


def _counts(rows: Mapping[str, int]) -> dict[date, int]:
    return {_date(day): count for day, count in rows.items()}


def _date(text: str) -> date:
    return date.fromisoformat(text)
