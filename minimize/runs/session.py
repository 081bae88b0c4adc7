"""The session of a run in the ledger: it holds the lease on the output and records the run before and after publication.

Receipts are authoritative: if the ledger cannot be written after publication, the next run of the output records it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from minimize.checkpoints import checkpoint
from minimize.datasets.ledger_check import check_open_ledger
from minimize.errors import INTERNAL_ERROR, LedgerError, MinimizeError, RefusedError
from minimize.ledger.leases import LeaseClock, LeaseTiming, SessionRun, start_session
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
from minimize.receipts import Receipt, new_run_id
from minimize.runs.receipt_builder import RunContext
from minimize.stores import (
    Location,
    LocationLike,
    ObjectPath,
    is_same_location,
    location_text,
    parse_output_location,
)
from minimize.workspace import Workspace

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


@contextmanager
def run_session(workspace: Workspace, context: RunContext, *, fence: Location | None = None) -> Iterator[RunSession]:
    """The run in the ledger, until the block ends. A ledger is created if there is none and no receipt of the output names one.

    `fence` is a folder from which the output must be separate.

    Raises LedgerError if the ledger cannot be used (E206), or another run holds the lease on the output (E207). Raises
    RefusedError if the ledger (E303) or the keyring (E310) is not that of the receipts of the output, unless the run adopts the
    ledger.
    """
    folder = resolve_output(workspace.target)
    check_apart(folder, fence)
    check_free(folder)
    if context.kind != "adopt":
        workspace.check_target()
    keys, name = workspace.keyring(), workspace.job.pipeline
    with workspace.open_ledger(create=True) as ledger:
        checkpoint("run.opened")
        make_output_folder(folder)
        run = SessionRun(
            run_id=new_run_id(context.started),
            kind=context.kind,
            pipeline=name,
            output=_output_identity(ledger, folder, name),
            folder=location_text(folder),
            actor=ledger.actor(),
        )
        session = start_session(ledger, run, keys, pace=LeaseTiming(), clock=LeaseClock())
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


def warn_of_older_copy(workspace: Workspace) -> None:
    """Logs a warning if a command that changes nothing finds an output whose last recorded receipt is missing."""
    output = workspace.target
    if not (workspace.address.exists and has_runs(output)):
        return
    chain, identity = read_receipts(output), identity_of(output)
    with workspace.open_ledger() as ledger:
        if (
            identity is not None
            and ledger.read(partial(compare_receipts, output=identity, chain=chain, verifier=None)).state == "cut"
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
    if (
        place is None
        or not place.is_here
        or is_same_location(recorded_folder := parse_output_location(place.folder), folder)
    ):
        return identity
    if identity_of(recorded_folder) != identity:
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
