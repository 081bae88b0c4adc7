"""Another release of exact statistics (`runs void RUN --republish`): two persons permit it, by acts in the ledger.

The first person requests it. When a second person runs the same command, the run becomes void, and the next run of its dates
publishes their exact statistics once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from minimize.errors import RefusedError
from minimize.identifiers import canonical_account
from minimize.ledger import current_actor
from minimize.ledger.acts import ActReader, Decision
from minimize.ledger.runs import CONFIRMED, REPUBLICATION, REQUESTED, Republication
from minimize.receipts import Receipt
from minimize.results import OMIT_IF_EMPTY, JsonResult, Line
from minimize.runs.published_runs import (
    DIFFERENCE_WARNING,
    VoidedRun,
    check_reason,
    days_of_exact_figures,
    find_voided_run,
    record_void,
)
from minimize.stores import location_text
from minimize.workspace import Workspace


@dataclass(frozen=True, slots=True)
class RequestedRepublication(JsonResult):
    """A request for another release, which waits for a second person."""

    run: str
    dates: tuple[str, ...]
    """The batch dates of the run."""
    days: tuple[str, ...] = field(default=(), metadata=OMIT_IF_EMPTY)
    """The days whose exact statistics it published, if they are others."""

    def lines(self) -> Iterator[Line]:
        """The run, what the second person must do, and what the release can show."""
        days = ", ".join(self.days or self.dates)
        batch = f" (by a run of {', '.join(self.dates)})" if self.days else ""
        yield f"no effect yet: another person must run this command to permit one more release of {days}{batch}"
        yield DIFFERENCE_WARNING


def republish_run(workspace: Workspace, run: str, reason: str, now: datetime) -> RequestedRepublication | VoidedRun:
    """Requests one more release of the exact statistics of a run or, as the second person, permits it and declares the run void.

    Takes the same as `void_run`, and the current time. Raises RefusedError (R026) for the person who requested it, and the errors
    of `void_run`; ConfigurationError if the run published no exact statistics.
    """
    workspace.require("run/void")
    check_reason(reason)
    bound, receipt = find_voided_run(workspace, run, republish=True)
    bound.check_ledger()
    step = _record_step(bound.showing(bound.target), receipt, reason.strip(), now)
    if not step.is_confirmed:
        return RequestedRepublication(receipt.run_id, receipt.dates, days_of_exact_figures(receipt))
    return record_void(bound, receipt, reason, republish=True)


def _record_step(workspace: Workspace, receipt: Receipt, reason: str, now: datetime) -> Republication:
    """The request, or its confirmation by a second person. A confirmation that has no receipt yet is not recorded again."""
    account, access = current_actor().user or "", workspace.access
    request = Republication(receipt.run_id, location_text(workspace.target), REQUESTED, reason, account, now)

    def decide(acts: ActReader) -> Decision[list[Republication]]:
        before = acts.find(REPUBLICATION, key=receipt.run_id)
        if not before:
            return REPUBLICATION.decision("request", request)
        if before[-1].is_confirmed:
            return Decision(before[-1:])
        requested_by = canonical_account(before[-1].by)
        if account == requested_by or (access is not None and not access.are_separate(account, requested_by)):
            message = "another release of exact statistics needs a second person"
            hint = "Ask another person, in other groups than the one who requested it, to run this command."
            raise RefusedError(message, code="R026", hint=hint)
        return REPUBLICATION.decision("confirm", replace(request, state=CONFIRMED))

    with workspace.open_ledger(signs=True) as ledger:
        return ledger.record(decide)[0]
