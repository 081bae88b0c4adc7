"""The shrink guard: a date of which far fewer rows are left than at its last receipt is not published.

A date is left alone if fewer than half of the rows are read. It is also left alone if quarantine or retention explains the loss
of more than half, the plan is unchanged (a comment in the policy changes none), and the run's time is implausible: a clock that
is ahead empties dates. A date without a receipt is left alone if retention takes half or more of its rows at an implausible
time. An expiry at an implausible time is refused. Rows gated by settings, conditions or erasure are no loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from minimize.engines.base import Outcome
from minimize.errors import RefusedError
from minimize.io.history import RUNS
from minimize.io.places import place_of
from minimize.io.publish import RECORDS
from minimize.job.dates import SKEW, Day
from minimize.job.given import Given, text_of
from minimize.job.pending import Skipped, reads
from minimize.receipt import Receipt
from minimize.receipt.void import VOIDABLE, counting
from minimize.stores import Place, Remote

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

Clock = Callable[[], datetime | None]
"""The time of a clock other than this machine's; None if there is none."""
GAP: Final = timedelta(days=7)
"""How far after the last receipt a run may be, if no other clock can be asked."""
CODE: Final = "E102"
_ALLOW: Final = "--allow-shrink (allow_shrink=True) publishes it all the same"


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows of one date: how many were read, and how many of these neither quarantine nor retention took."""

    read: int
    kept: int

    @classmethod
    def of(cls, outcome: Outcome) -> Kept:
        """The rows of a date that was moved."""
        lost = outcome.rejects.total() + outcome.counts.gated.get("retention", 0)
        return cls(outcome.read, outcome.read - lost)

    @classmethod
    def before(cls, receipt: Receipt, when: Day) -> Kept:
        """The rows of a date at its last receipt.

        A receipt of several dates counts retention over all of them: the date then kept at least so many.
        """
        retention = receipt.gated_by.retention
        if len(receipt.dates) < 2:
            return cls(receipt.rows.read, receipt.rows.read - receipt.rows.quarantined - retention)
        date = text_of(when)
        read = sum(each.rows for each in receipt.inputs if each.date == date)
        rejected = sum(file.rows for file in receipt.quarantine.files if place_of(file.path)[1] == date)
        records = receipt.outputs[RECORDS].files if RECORDS in receipt.outputs else ()
        written = sum(file.rows for file in records if place_of(file.path)[1] == date)
        return cls(read, max(read - rejected - retention, written))


def check_shrinking(
    given: Given, outcomes: Mapping[Day, Outcome], chain: Sequence[Receipt], clock: Clock
) -> list[Skipped]:
    """The dates that the guard does not let pass. Asks the clock only if rows were lost to quarantine or retention."""
    found = []
    for when, outcome in outcomes.items():
        last = next((each for each in reversed(counting(chain)) if reads(each) and _is_of(each, when)), None)
        skipped = (
            _checked_first(given, when, outcome, chain, clock)
            if last is None
            else _checked(given, when, Kept.of(outcome), last, chain, clock)
        )
        if skipped is not None:
            found.append(skipped)
    return found


def check_expiry(at: datetime, chain: Sequence[Receipt], clock: Clock) -> None:
    """Raises RefusedError (E304) if the time of an expiry that would remove something is implausible."""
    doubt = doubt_of(at, chain, clock)
    if doubt:
        hint = "is the clock right? --allow-shrink (allow_shrink=True) removes it all the same"
        raise RefusedError(f"nothing was removed: the time is {doubt}", code="E304", hint=hint)


def _checked_first(given: Given, when: Day, outcome: Outcome, chain: Sequence[Receipt], clock: Clock) -> Skipped | None:
    """A date that has no receipt yet: nothing is lost by waiting, and a wrong clock would publish it without its rows."""
    gone = outcome.counts.gated.get("retention", 0)
    if not gone or 2 * gone < outcome.read:
        return None
    doubt = doubt_of(given.at, chain, clock)
    if not doubt:
        return None
    message = f"retention would take {gone:,} of {outcome.read:,} rows of a date without a receipt, and the run's time is {doubt}"
    return Skipped(when, "implausible_time", CODE, message, f"is the clock right? {_ALLOW}")


def _checked(
    given: Given, when: Day, now: Kept, last: Receipt, chain: Sequence[Receipt], clock: Clock
) -> Skipped | None:
    before = Kept.before(last, when)
    if 2 * now.read < before.read:
        message = f"only {now.read:,} rows were read, after {before.read:,} at its last receipt ({last.run_id})"
        hint = f"bring back what is missing; {_ALLOW}"
        return Skipped(when, "fewer_rows", CODE, message, hint)
    if 2 * now.kept >= before.kept or given.plan.digest != last.plan.digest:
        return None
    doubt = doubt_of(given.at, chain, clock)
    if not doubt:
        return None
    message = (
        f"quarantine and retention would leave {now.kept:,} of {now.read:,} rows, after {before.kept:,} at its last receipt "
        f"({last.run_id}), and the run's time is {doubt}"
    )
    hint = f"is the clock right? `minimize runs void RUN` takes back a run by a wrong clock; {_ALLOW}"
    return Skipped(when, "implausible_time", CODE, message, hint)


def doubt_of(at: datetime, chain: Sequence[Receipt], clock: Clock) -> str:
    """Why the time of a run or expiry is implausible; empty if it is not, or if the output has no receipt of either."""
    newest = next((each for each in reversed(counting(chain)) if each.kind in VOIDABLE), None)
    if newest is None:
        return ""
    other = clock()
    if other is not None:
        return "more than 5 minutes from the database's or store's" if abs(at - other) > SKEW else ""
    return "more than 7 days after the last receipt" if at > newest.at + GAP else ""


def _is_of(receipt: Receipt, when: Day) -> bool:
    return not receipt.dates if when is None else when.isoformat() in receipt.dates


def clock_beside(ledger: Ledger, output: Place, started: datetime) -> Clock:
    """The clock of the ledger's server, else of the output's object store, as it was when the run started."""

    def asked() -> datetime | None:
        found = _of_server(ledger) or _of_store(output)
        return None if found is None else found - (datetime.now(UTC) - started)

    return asked


def _of_server(ledger: Ledger) -> datetime | None:
    from minimize.ledger.engine import server_time

    return ledger.read(server_time)


def _of_store(output: Place) -> datetime | None:
    """The time that the store gives an object that is put there to be asked. None if the output is a folder."""
    if not isinstance(output, Remote):
        return None
    probe = output / RUNS / ".clock"
    probe.write_bytes(b"clock")
    try:
        return probe.changed()
    finally:
        probe.unlink()
