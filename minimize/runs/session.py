"""The session of a run in the ledger: it holds the lease on the output and records the run before and after publication.

Receipts are authoritative: if the ledger cannot be written after publication, the next run of the output records it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from minimize.datasets.ledger_check import check_open_ledger, check_output_ledger
from minimize.errors import INTERNAL_ERROR, LedgerError, MinimizeError, RefusedError
from minimize.keys import Keyring
from minimize.ledger import current_actor, find_ledger
from minimize.ledger.leases import LeaseClock, LeaseTiming, SessionRun, start_session
from minimize.ledger.ledger import open_ledger
from minimize.ledger.runs import compare_receipts, find_location, record_location
from minimize.output.folder import (
    check_apart,
    check_free,
    ensure_identity,
    has_runs,
    identity_of,
    make_output_folder,
    new_identity,
    read_receipts,
)
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, new_run_id
from minimize.runs.receipt_builder import RunContext
from minimize.stores import (
    Location,
    LocationLike,
    ObjectPath,
    PathText,
    is_same_location,
    location_text,
    parse_output_location,
)

if TYPE_CHECKING:
    from minimize.ledger.leases import RunSession
    from minimize.ledger.ledger import Ledger

log = logging.getLogger("minimize")
_DISAGREEMENTS: Final[Mapping[str, str]] = {
    "cut": "the ledger has later receipts of this output: they were removed from it, or the output is an older copy. Run"
    " `minimize expire OUTPUT --yes`, which deletes and seals records again, and `minimize subject status`, which names the"
    " corrections to repeat",
    "other": "receipts of this output name entries that the audit log does not have: the ledger is new or an older copy",
}


class OutputChange(Protocol):
    """A change to an output as the ledger needs it: its pipeline, folder and keys."""

    @property
    def pipeline(self) -> Pipeline:
        """The name of the output's pipeline."""
        ...

    @property
    def output(self) -> Location:
        """The output folder."""
        ...

    @property
    def fence(self) -> Location | None:
        """The folder from which the output must be separate."""
        ...

    @property
    def keys(self) -> Keyring:
        """The keyring that signs."""
        ...


@dataclass(frozen=True, slots=True)
class DecidedOutput:
    """An output whose new receipt only records a decision."""

    pipeline: Pipeline
    output: Location
    keys: Keyring = field(repr=False)
    fence: Location | None = None


@contextmanager
def run_session(change: OutputChange, context: RunContext) -> Iterator[RunSession]:
    """The run in the ledger, until the block ends. A ledger is created if there is none and no receipt of the output names one.

    Raises LedgerError if the ledger cannot be used (E206), or another run holds the lease on the output (E207). Raises
    RefusedError if the ledger (E303) or the keyring (E310) is not that of the receipts of the output, unless the run adopts the
    ledger.
    """

    folder = resolve_output(change.output)
    check_apart(folder, change.fence)
    check_free(folder)
    address = find_ledger(context.ledger, start=change.pipeline.folder, output=folder)
    if context.kind != "adopt":
        check_output_ledger(folder, change.pipeline.folder, context.ledger, change.keys)
    with open_ledger(address, create=True, verifier=change.keys) as ledger:
        make_output_folder(folder)
        name, output = change.pipeline.pipeline, _output_identity(ledger, folder, change.pipeline.pipeline)
        run = SessionRun(
            run_id=new_run_id(context.started),
            kind=context.kind,
            pipeline=name,
            output=output,
            folder=location_text(folder),
            actor=current_actor(),
        )
        session = start_session(ledger, run, change.keys, pace=LeaseTiming(), clock=LeaseClock())
        with session.heartbeat():
            try:
                yield session
            except BaseException as error:
                _record_failure(session, error)
                raise


def record_missed_receipts(session: RunSession, chain: Sequence[Receipt]) -> None:
    """Records receipts that a crash left out of the ledger. If receipts and audit log disagree, this is logged and
    recorded, too."""
    if [receipt.sequence for receipt in chain] != [*range(1, len(chain) + 1)]:
        message = "receipts of this output are missing or duplicated: run `minimize verify` for details"
        log.warning(message, extra={"code": "W025", "run_id": session.run_id})
    if session.run.kind != "adopt":
        check_open_ledger(session.ledger, chain)
    state = session.catch_up(chain).state
    if state in _DISAGREEMENTS:
        log.warning(_DISAGREEMENTS[state], extra={"code": "W017", "run_id": session.run_id})


def warn_of_older_copy(output: Location, start: Path, ledger: PathText | None) -> None:
    """Logs a warning if a command that changes nothing finds an output whose last recorded receipt is missing.

    Takes the output folder, the folder of its pipeline, and the ledger that was passed.
    """
    address = find_ledger(ledger, start=start, output=output)
    if not (address.exists and has_runs(output)):
        return
    chain, identity = read_receipts(output), identity_of(output)
    with open_ledger(address) as book:
        if (
            identity is not None
            and book.read(partial(compare_receipts, output=identity, chain=chain, verifier=None)).state == "cut"
        ):
            log.warning(_DISAGREEMENTS["cut"], extra={"code": "W017"})


def record_published(session: RunSession, receipt: Receipt) -> None:
    """Records the published receipt in the ledger. If that fails, a warning is logged, and the next run records it."""
    try:
        session.record_published(receipt)
    except LedgerError as error:
        message = "published, but the ledger could not record it: %s; the next run of this output records it"
        log.warning(message, error.message, extra={"code": "W016", "run_id": receipt.run_id})


def _output_identity(ledger: Ledger, folder: Location, pipeline: str) -> str:
    """The identity of an output folder. A copy of a folder that still exists gets its own identity."""

    identity = ensure_identity(folder)
    place = ledger.read(partial(find_location, output=identity))
    if place is None or not place.is_here or is_same_location(other := parse_output_location(place.folder), folder):
        return identity
    if identity_of(other) != identity:
        return identity
    log.warning("the output is a copy of %s; it gets its own identity", place.folder, extra={"code": "W018"})
    new = new_identity()
    ledger.write(partial(record_location, output=new, pipeline=pipeline, folder=location_text(folder)))
    return ensure_identity(folder, other_than=identity, new=new)


def resolve_output(output: LocationLike) -> Location:
    """The absolute path of an output, without symbolic links."""
    place = parse_output_location(output)
    return place if isinstance(place, ObjectPath) else place.resolve()


def _record_failure(session: RunSession, error: BaseException) -> None:
    code = error.code if isinstance(error, MinimizeError) else INTERNAL_ERROR
    with contextlib.suppress(LedgerError):
        session.record_failed("refused" if isinstance(error, RefusedError) else "failure", code)
