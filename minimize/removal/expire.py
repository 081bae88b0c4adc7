"""Expiry (`expire`): removes data past its retention and data that events concern."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from minimize.access.permissions import entries_in_scope, limited_result
from minimize.datasets.lifecycle_events import load_events
from minimize.errors import call_redacted
from minimize.keys import Keyring
from minimize.receipts import Receipt
from minimize.removal import Removal
from minimize.removal.expiry_plan import ResolvedExpiry, expiry_of_output
from minimize.removal.plan import (
    OpenDeadline,
    RemovalPlan,
)
from minimize.results import UNCHANGED, JsonResult, Line, Listing, Printable, json_member
from minimize.runs.execution import ProgressCallback
from minimize.runs.overrides import require_output_override
from minimize.runs.runner import no_progress
from minimize.runs.session import warn_of_older_copy
from minimize.stores import LocationLike, PathText
from minimize.text import count_noun
from minimize.times import parse_time
from minimize.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ExpiryResult(JsonResult):
    """The plan, and one receipt for each policy whose files were changed; no receipt if nothing was changed."""

    plan: RemovalPlan = field(metadata=json_member(merge=True))
    receipts: tuple[Receipt, ...] = ()
    sealed: int = field(default=0, metadata=json_member(omit_empty=True))
    """The number of published records of restricted subjects, which are sealed again."""

    def lines(self) -> Iterator[Line]:
        """The plan or its outcome, then the receipts."""
        if self.sealed:
            verb = "sealed" if self.receipts else "would be sealed"
            yield f"{count_noun(self.sealed, 'published record')} of restricted subjects {verb} again"
        if self.plan.due or not self.sealed:
            yield from (self.plan.outcome_text() if self.receipts else str(self.plan)).split("\n")
        yield from self.receipts
        if (self.plan.due or self.sealed) and not self.receipts:
            yield UNCHANGED


def expire(
    output: LocationLike,
    *,
    at: datetime | str | None = None,
    pipeline: PathText | None = None,
    events: PathText | None = None,
    keys: Keyring | PathText | None = None,
    ledger: PathText | None = None,
    tables: bool = False,
    yes: bool = False,
    allow_shrink: bool = False,
    progress: ProgressCallback = no_progress,
) -> ExpiryResult:
    """Removes data past its retention and data that events concern from an output; without `yes` only makes the plan.

    output        the output folder
    at            the reference time, timezone-aware; default: now
    pipeline      a pipeline instead of the one that the receipts name
    events        a file of events, in addition to those of the ledger
    keys, ledger  the keyring and the ledger
    tables        whether to remove all published tables, too
    allow_shrink  accepts a time that is far from that of the last receipt
    progress      receives the number of files done and of all files to rewrite

    Today's policy sets the retention. It counts from the oldest instant that a released event time may mean. Tables do not change
    when records are removed after events: they end with their retention. In an output that was restored from an older copy, the
    records of restricted subjects are sealed again.

    Raises PolicyError, KeyringError, OutputError, LedgerError (2), RefusedError (3). An implausible time is refused if data would
    be removed; the rest of the plan is then not executed.
    """
    with Workspace(ledger, output, pipeline, keys) as named:
        expiry = replace(resolve_expiry(named, at=at, events=events), removes_tables=tables)
        workspace = expiry.workspace
        ruling = workspace.showing(workspace.target)
        ruling.require("output/expire", dataset=workspace.job.pipeline)
        receipts: list[Receipt] = []
        seal, published = call_redacted(lambda: expiry.sealing().with_plan())
        sealed = sum(each.gated.get("restricted", 0) for each in published.due)
        planned_expiry, plan = call_redacted(expiry.with_plan)
        if not yes or not (plan.due or published.due):
            warn_of_older_copy(workspace)
            return ExpiryResult(plan, sealed=sealed)
        require_output_override(named)
        removal = Removal(workspace, planned_expiry.operation, at is not None, allow_shrink, progress)
        if published.due:
            replace(removal, operation=seal.operation).execute(seal.output, published, receipts.append)
            current_expiry = replace(expiry, output=replace(expiry.output, chain=workspace.load_receipts()))
            planned_expiry, plan = call_redacted(current_expiry.with_plan)
        replace(removal, operation=planned_expiry.operation).execute(planned_expiry.output, plan, receipts.append)
        return ExpiryResult(plan, tuple(receipts), sealed)


def show_open_items(
    output: LocationLike,
    *,
    at: datetime | str | None = None,
    pipeline: PathText | None = None,
    events: PathText | None = None,
    keys: Keyring | PathText | None = None,
    ledger: PathText | None = None,
) -> Printable:
    """The open deadlines of an output in the scope of the current actor. The exit code is 1 if one has passed.

    Takes arguments of `expire`, and raises its errors.
    """
    workspace = Workspace(ledger, output, pipeline, keys, shown=(output,))
    tenants = workspace.readable_tenants("event/read")
    deadlines = open_items(workspace, at=at, events=events)
    items = entries_in_scope(deadlines, tenants, lambda deadline: () if deadline.tenant is None else (deadline.tenant,))
    has_passed = any(each.overdue for each in items)
    return limited_result(Listing("open", items, "no open deadlines", exit_code=int(has_passed)), tenants)


def open_items(
    workspace: Workspace, *, at: datetime | str | None = None, events: PathText | None = None
) -> list[OpenDeadline]:
    """The open deadlines of an output: data due now or after events. Raises the errors of `expire`."""
    expiry, plan = call_redacted(lambda: resolve_expiry(workspace, at=at, events=events).with_plan())
    return call_redacted(lambda: expiry.open_deadlines(plan))


def resolve_expiry(
    workspace: Workspace, *, at: datetime | str | None = None, events: PathText | None = None
) -> ResolvedExpiry:
    """Finds and checks the inputs of an expiry. Changes nothing."""
    bound, output = workspace.open_output()
    from_file = () if events is None else load_events(Path(events))
    return expiry_of_output(bound, output, parse_time(at, "at") or bound.now, from_file)
