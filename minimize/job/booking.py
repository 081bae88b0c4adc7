"""A run stands in the ledger: it holds the lease on its output, and is told of before and after.

Receipts are the truth: where the ledger cannot be told after publication, the next run of the output tells it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from minimize.errors import INTERNAL, LedgerError, MinimizeError, RefusedError
from minimize.io.identity import identified, identity_of, new_identity
from minimize.io.places import check_apart, check_free
from minimize.io.publish import make_output
from minimize.job.ledgers import check_ledger_of, check_open_ledger
from minimize.job.told import How
from minimize.keys import Keyring
from minimize.ledger import actor_of, find_ledger
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt, new_run_id
from minimize.stores import Anywhere, Place, Remote, output_at, within, written

if TYPE_CHECKING:
    from minimize.ledger.booking import Booking
    from minimize.ledger.ledger import Ledger

log = logging.getLogger("minimize")
_DISAGREE: Final[Mapping[str, str]] = {
    "cut": "the ledger tells of later receipts of this output, which are not here: they were removed, or it is an older copy",
    "other": "receipts of this output name entries that the audit log does not have: the ledger is new, or an older copy",
}


class Changing(Protocol):
    """A change to an output, as far as the ledger wants to know: of which pipeline, where, by whose keys."""

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline that the output is of."""
        ...

    @property
    def output(self) -> Place:
        """The output folder."""
        ...

    @property
    def fence(self) -> Place | None:
        """The folder that the output must stay away from."""
        ...

    @property
    def keys(self) -> Keyring:
        """The keyring that signs."""
        ...


@dataclass(frozen=True, slots=True)
class ChangedOutput:
    """An output of which a receipt is written that only records a decision."""

    pipeline: Pipeline
    output: Place
    keys: Keyring = field(repr=False)
    fence: Place | None = None


@contextmanager
def booked(given: Changing, how: How) -> Iterator[Booking]:
    """The run in the ledger, while its block lasts. A ledger is made if there is none and no receipt of the output names one.

    Raises LedgerError if it cannot be used (E206), or another run holds the output (E207), and RefusedError (E303) if it is not
    the ledger that the receipts of the output name, unless the run adopts it.
    """
    from minimize.ledger.booking import Run, book
    from minimize.ledger.leases import Clock, Pace
    from minimize.ledger.ledger import open_ledger

    folder = lying(given.output)
    check_apart(folder, given.fence)
    check_free(folder)
    address = find_ledger(how.ledger, start=given.pipeline.folder, output=folder)
    if how.kind != "adopt":
        check_ledger_of(folder, given.pipeline.folder, how.ledger)
    with open_ledger(address, create=True) as ledger:
        make_output(folder)
        name, output = given.pipeline.pipeline, _identity(ledger, folder, given.pipeline.pipeline)
        run = Run(new_run_id(how.started), how.kind, name, output, written(folder), actor_of())
        booking = book(ledger, run, given.keys, pace=Pace(), clock=Clock())
        with booking.beating():
            try:
                yield booking
            except BaseException as error:
                _failed(booking, error)
                raise


def catch_up(booking: Booking, chain: Sequence[Receipt]) -> None:
    """What a crash left untold is told now; where receipts and log disagree, that is said and told, too."""
    if [receipt.sequence for receipt in chain] != [*range(1, len(chain) + 1)]:
        message = "receipts of this output are missing, or stand there twice: `minimize verify` says where"
        log.warning(message, extra={"code": "W025", "run_id": booking.run_id})
    if booking.run.kind != "adopt":
        check_open_ledger(booking.ledger, chain)
    state = booking.catch_up(chain).state
    if state in _DISAGREE:
        log.warning(_DISAGREE[state], extra={"code": "W017", "run_id": booking.run_id})


def told(booking: Booking, receipt: Receipt) -> None:
    """Tells the ledger of what was published; where it cannot be told, that is said, and the next run does it."""
    try:
        booking.published(receipt)
    except LedgerError as error:
        message = "published, and the ledger could not be told: %s; the next run of this output tells it"
        log.warning(message, error.message, extra={"code": "W016", "run_id": receipt.run_id})


def _identity(ledger: Ledger, folder: Place, pipeline: str) -> str:
    """The identity of an output folder. One that was copied while the other is still there gets its own."""
    from minimize.ledger.runs import place_of, place_output

    identity = identified(folder)
    place = ledger.read(partial(place_of, output=identity))
    if place is None or not place.is_here or is_same(other := output_at(place.folder), folder):
        return identity
    if identity_of(other) != identity:
        return identity
    log.warning("the output is a copy of %s, and gets an identity of its own", place.folder, extra={"code": "W018"})
    new = new_identity()
    ledger.write(partial(place_output, output=new, pipeline=pipeline, folder=written(folder)))
    return identified(folder, other_than=identity, new=new)


def lying(output: Anywhere) -> Place:
    """Where an output lies, whatever the current folder, without links."""
    place = output_at(output)
    return place if isinstance(place, Remote) else place.resolve()


def is_same(one: Place, other: Place) -> bool:
    """Whether both are the same folder."""
    if isinstance(one, Path) and isinstance(other, Path):
        return one.exists() and os.path.samefile(one, other)
    return within(one, other) and within(other, one)


def _failed(booking: Booking, error: BaseException) -> None:
    code = error.code if isinstance(error, MinimizeError) else INTERNAL
    with contextlib.suppress(LedgerError):
        booking.failed("refused" if isinstance(error, RefusedError) else "failure", code)
