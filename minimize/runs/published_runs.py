"""Published runs: the index in the ledger (list, show, rebuild), and signed receipts that record a decision, such as `void`.

A decision changes no files. A void run does not count, so that its dates can be run again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from minimize.access.permissions import common_tenants, entries_in_scope, limited_result
from minimize.datasets.pipelines import find_pipeline
from minimize.datasets.reader import load_receipts
from minimize.errors import ConfigurationError, LedgerError, OutputError
from minimize.keys import Keyring
from minimize.ledger.clock import CLOCK_SKEW
from minimize.ledger.runs import (
    IndexedOutput,
    output_locations,
    rebuild_output_index,
    select_later_runs,
    select_runs,
    select_runs_by_id,
)
from minimize.observability.destinations import Destinations
from minimize.output.folder import batch_date_of, ensure_identity, identity_of
from minimize.output.publish import OpenOutput, open_output
from minimize.receipts import Receipt, ReceiptKind, check_chain, sha256_text
from minimize.receipts.chain import VOIDABLE_KINDS
from minimize.records import PIPELINE_FILE, POLICY_FILE, RECEIPT_FILE, RUNS
from minimize.results import OMIT_IF_EMPTY, JsonResult, Line, Listing, Printable, json_member
from minimize.runs import receipt_builder
from minimize.runs.receipt_builder import RunContext
from minimize.runs.runner import no_progress
from minimize.runs.session import record_missed_receipts, record_published, resolve_output, run_session
from minimize.stores import Location, LocationLike, location_text, parse_output_location
from minimize.techniques.redact import has_hit
from minimize.text import count_noun
from minimize.times import time_text
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.runs import RunRow


@dataclass(frozen=True, slots=True)
class RebuiltIndex(JsonResult):
    """One output whose index of runs was rebuilt: the number of runs, and the number of those added to the audit log."""

    folder: str = field(metadata=json_member("output"))
    runs: int
    recorded: int = field(metadata=json_member(earlier="told"))

    def lines(self) -> Iterator[str]:
        """The numbers of runs."""
        yield f"{count_noun(self.runs, 'run')} of {self.folder}; {self.recorded:,} added to the audit log"


@dataclass(frozen=True, slots=True)
class PublishedRun(JsonResult):
    """One run in the index, and its receipt if it can be read on this host."""

    row: RunRow = field(metadata=json_member(merge=True))
    receipt: Receipt | None

    def lines(self) -> Iterator[Line]:
        """The run, its location, and a summary of its receipt."""
        yield from self.row.lines()
        yield f"  in {self.row.folder} on {self.row.host}, receipt {self.row.sequence} {self.row.digest}"
        yield self.receipt or "  the receipt cannot be read here"


DIFFERENCE_WARNING: Final = "The difference of both versions can show single people."
"""What those who permit another release of exact statistics are told."""


@dataclass(frozen=True, slots=True)
class VoidedRun(JsonResult):
    """The signed receipt that declares a run void."""

    receipt: Receipt = field(metadata=json_member(merge=True))
    days: tuple[str, ...] = field(default=(), metadata=OMIT_IF_EMPTY)
    """The days whose exact statistics may be published once more, if they are not the batch dates of the run."""

    def lines(self) -> Iterator[str]:
        """The run, and the dates to run again."""
        dates = ", ".join(self.receipt.dates) or "all"
        yield f"{self.receipt.voids} is void; run these dates again: {dates}  ({self.receipt.run_id})"
        if self.receipt.republish:
            next_run = (
                f"The next run of these dates publishes the exact statistics of {', '.join(self.days)} once more."
                if self.days
                else "The next run of a date publishes its exact statistics once more."
            )
            yield f"{next_run} {DIFFERENCE_WARNING}"


def days_of_exact_figures(run: Receipt) -> tuple[str, ...]:
    """The days whose exact statistics a run published, if they are others than its batch dates: a table that waits for late rows
    has the statistics of an earlier day."""
    exact = (each for each in run.outputs.values() if each.exact_of is not None)
    days = {batch_date_of(file.path) for output in exact for file in output.files}
    event_days = tuple(sorted(day for day in days if day))
    return () if event_days == tuple(sorted(run.dates)) else event_days


def show_runs(workspaces: Sequence[Workspace], *, pipeline: str | None = None) -> Printable:
    """The runs that `list_runs` finds in these workspaces, for the current actor.

    A run concerns all tenants of its input, so an account without all tenants sees no runs.
    """
    tenants = common_tenants([each.readable_tenants("run/read") for each in workspaces])
    rows = [row for workspace in workspaces for row in list_runs(workspace, pipeline=pipeline)]
    return limited_result(Listing("runs", entries_in_scope(rows, tenants, lambda _: ()), "no runs"), tenants)


def list_runs(workspace: Workspace, *, pipeline: str | None = None) -> list[RunRow]:
    """The published runs, oldest first: of one output, of one pipeline, or all in the ledger. Raises LedgerError.

    Void runs are marked if the receipts of their output can be read on this host.
    """
    with workspace.open_ledger() as ledger:
        identity = None if workspace.output is None else identity_of(workspace.target)
        return _mark_void(ledger.read(partial(select_runs, output=identity, pipeline=pipeline)))


def show_run(workspace: Workspace, run_id: str) -> PublishedRun:
    """One run, by the beginning of its id. Raises LedgerError, ConfigurationError."""
    workspace.require("run/read")
    output = workspace.output
    with workspace.open_ledger() as ledger:
        rows = ledger.read(partial(select_runs_by_id, run_id=run_id))
        others = ledger.read(partial(select_runs, output=rows[0].output)) if len(rows) == 1 else []
    if len(rows) != 1:
        runs = "no run" if not rows else f"{len(rows)} runs"
        message = f"the ledger has {runs} whose id begins with this text"
        raise ConfigurationError(message, hint="Run `minimize runs` to list the runs.")
    (row,) = (each for each in _mark_void(others, output) if each.run_id == rows[0].run_id)
    place = parse_output_location(output or row.folder) / RUNS / row.run_id / RECEIPT_FILE
    return PublishedRun(row, _read_receipt(place))


def request_time(ledger: Ledger, now: datetime) -> datetime:
    """The time of an event or request that states none: now, or that of the latest run in force if the clock is behind it.

    An erasure that is dated before a run would leave records that the run read. A run by a clock that was ahead counts until it
    is declared void.
    """
    later = ledger.read(partial(select_later_runs, when=now))
    of_outputs = [ledger.read(partial(select_runs, output=output)) for output in {run.output for run in later}]
    void = {(run.output, run.run_id) for rows in of_outputs for run in _mark_void(rows) if run.void}
    in_force = [run for run in later if (run.output, run.run_id) not in void]
    if not in_force:
        return now
    last = max(in_force, key=lambda run: min(run.at, run.finished))
    time = min(last.at, last.finished)
    if time - now > CLOCK_SKEW:
        log.warning(
            "the clock is behind the run %s: a request or event without a time gets the time of this run, %s. Check the clock."
            " If that run's clock was ahead, run `minimize runs void %s --output %s --reason TEXT`",
            last.run_id,
            time_text(time),
            last.run_id,
            last.folder,
            extra={"code": "W059"},
        )
    return time


def _mark_void(rows: Sequence[RunRow], output: LocationLike | None = None) -> list[RunRow]:
    """The rows, with those marked as void that a receipt of kind `void` names. `output` overrides the recorded folder of the
    output."""
    places = (
        (row.output, parse_output_location(output or row.folder) / RUNS / row.run_id)
        for row in rows
        if row.kind == "void"
    )
    receipts = ((identity, _read_receipt(place / RECEIPT_FILE)) for identity, place in places)
    voids = {(identity, receipt.voids) for identity, receipt in receipts if receipt is not None}
    return [replace(row, void=(row.output, row.run_id) in voids) for row in rows]


def rebuild_index(workspace: Workspace, now: datetime) -> list[RebuiltIndex]:
    """Rebuilds the index, for the current actor, who needs `run/read` for each of the shown outputs. See `index_outputs`."""
    for output in workspace.shown or (workspace.output,):
        replace(workspace, output=output, shown=()).require("run/read")
    return index_outputs(workspace, now)


def index_outputs(workspace: Workspace, now: datetime) -> list[RebuiltIndex]:
    """Rebuilds the index from the receipts of the shown outputs, or else of the outputs on this host that the ledger has.

    Creates a ledger if there is none. Receipts that its audit log does not have are added to it, and are checked from now on.
    Raises LedgerError, OutputError, KeyringError, and ConfigurationError if no output is known.
    """
    outputs, keyring = workspace.shown, workspace.keyring("audit log")
    with workspace.open_ledger(create=bool(outputs)) as ledger:
        folders = {resolve_output(output) for output in outputs} or _known_outputs(ledger)
        if not folders:
            raise ConfigurationError("the ledger has no output on this host", hint="Pass --output DIR.")
        return [_rebuild_output(ledger, folder, keyring, now) for folder in sorted(folders, key=location_text)]


def _known_outputs(ledger: Ledger) -> set[Location]:

    folders = (parse_output_location(place.folder) for place in ledger.read(output_locations) if place.is_here)
    return {folder for folder in folders if folder.is_dir()}


def _rebuild_output(ledger: Ledger, folder: Location, keyring: Keyring, now: datetime) -> RebuiltIndex:

    chain = load_receipts(folder)
    wrong = check_chain(chain, keyring)
    if wrong:
        message = f"the receipts in {folder} are not a chain signed with this keyring; none was recorded"
        raise LedgerError(message, findings=wrong)
    output = IndexedOutput(ensure_identity(folder), location_text(folder))
    recorded = ledger.write(
        partial(rebuild_output_index, output=output, chain=chain, signer=keyring, actor=ledger.actor(), now=now)
    )
    return RebuiltIndex(str(folder), len(chain), recorded)


def _read_receipt(path: Location) -> Receipt | None:
    try:
        return Receipt.from_json(path.read_bytes())
    except (OSError, ConfigurationError):
        return None


@dataclass(frozen=True, slots=True)
class OutputDecision:
    """The content of a receipt that records a decision."""

    about: Receipt
    """The receipt whose pipeline, purpose, policy and plan it names."""
    attachments: Mapping[str, bytes] = field(repr=False)
    """The files that are stored with it, by name."""
    records: Mapping[str, Any]
    """The other parts of the receipt."""


DecideOutput = Callable[["Ledger", OpenOutput, Sequence[Receipt]], OutputDecision | None]
"""Makes the decision about an output. Takes its ledger, the locked output and its receipts; None if there is nothing
to record."""


def record_decision(kind: ReceiptKind, workspace: Workspace, decide: DecideOutput) -> Receipt | None:
    """Publishes the signed receipt of a decision; None if there is nothing to record. Raises OutputError, LedgerError."""
    context = RunContext(kind, "local", workspace.clock(), no_progress, Destinations(None, None), clock=workspace.clock)
    with (
        run_session(workspace, context) as booking,
        open_output(workspace.target, create=False, lease=booking.head) as output,
    ):
        chain = output.receipts()
        decision = decide(booking.ledger, output, chain)
        if decision is None:
            booking.release()
            return None
        record_missed_receipts(booking, chain)
        with output.begin(booking.run_id) as staging:
            receipt = _decision_receipt(
                decision, chain[-1], context, workspace.clock(), run_id=booking.run_id, audit=booking.head()
            )
            signed = receipt.with_signature(workspace.keyring())
            staging.publish(signed, decision.attachments)
        record_published(booking, signed)
        return signed


def _decision_receipt(
    decision: OutputDecision, last: Receipt, context: RunContext, now: datetime, **more: Any
) -> Receipt:
    return Receipt(
        kind=context.kind,
        sequence=last.sequence + 1,
        previous=last.digest,
        pipeline=decision.about.pipeline,
        purpose=decision.about.purpose,
        engine=context.engine,
        at=context.started,
        started=context.started,
        finished=max(context.started, now),
        policy=decision.about.policy,
        plan=decision.about.plan,
        versions=receipt_builder.software_versions(),
        files={name: sha256_text(content) for name, content in decision.attachments.items()},
        origin=last.origin,
        region=last.region,
        **decision.records,
        **more,
    )


log = logging.getLogger("minimize")
MAX_REASON_LENGTH: Final = 500
"""Maximum number of characters of a reason."""


def void_run(workspace: Workspace, run: str, reason: str) -> VoidedRun:
    """Declares a run void, and records that decision in a signed receipt.

    Takes a workspace, whose output is by default the one that the ledger has for the run; the run's id or its beginning; and the
    reason. No file is deleted: the run's files stay in force until its dates are run again. The dates are pending and may be run
    as of an earlier time.

    Raises ConfigurationError if the run is unknown, already void, or of a kind that cannot be void; KeyringError, OutputError,
    LedgerError.
    """
    workspace.require("run/void")
    check_reason(reason)
    bound, receipt = find_voided_run(workspace, run)
    return record_void(bound, receipt, reason)


def find_voided_run(workspace: Workspace, run: str, *, republish: bool = False) -> tuple[Workspace, Receipt]:
    """The workspace of the output of a run that can be declared void, and its receipt. See `void_run` and `find_voidable`."""
    folder = workspace.target if workspace.output is not None else _find_output(workspace, run)
    receipt = find_voidable(load_receipts(folder), run, republish=republish)
    job = find_pipeline(folder, receipt, workspace.pipeline)
    bound = Workspace(workspace.ledger, folder, job, workspace.keys)
    bound.keyring("receipt")
    return bound, receipt


def record_void(workspace: Workspace, receipt: Receipt, reason: str, *, republish: bool = False) -> VoidedRun:
    """Publishes the receipt that declares a run void and, with `republish`, permits another release of its exact statistics."""

    def decide(_: Ledger, opened: OpenOutput, chain: Sequence[Receipt]) -> OutputDecision:
        about = find_voidable(chain, receipt.run_id, republish=republish)
        records: dict[str, Any] = {"dates": about.dates, "voids": about.run_id, "reason": reason.strip()}
        records |= {"republish": True} if republish else {}
        return OutputDecision(about, _stored_attachments(opened, about), records)

    signed = record_decision("void", workspace, decide)
    assert signed is not None
    log.info("the run %s is void", receipt.run_id, extra={"code": "I005", "run_id": signed.run_id})
    return VoidedRun(signed, days_of_exact_figures(receipt) if republish else ())


def check_reason(reason: str) -> None:
    """Raises ConfigurationError for a reason that is empty, too long, or may contain personal data, which receipts must not
    contain."""
    if not reason.strip() or len(reason) > MAX_REASON_LENGTH:
        raise ConfigurationError(f"a reason must have 1 to {MAX_REASON_LENGTH} characters", hint="Pass --reason TEXT.")
    if has_hit(reason):
        message = "the reason seems to contain personal data, which a receipt must not contain"
        raise ConfigurationError(message, hint="Give the number of a ticket instead.")


def find_voidable(chain: Sequence[Receipt], run: str, *, republish: bool = False) -> Receipt:
    """The one receipt of a run. Raises ConfigurationError if there is none, or if it cannot be declared void.

    With `republish`, it must have published exact statistics, and may be void already.
    """
    receipts = [receipt for receipt in chain if receipt.run_id.startswith(run)]
    if len(receipts) != 1 or not run:
        runs = "no run" if not receipts else f"{len(receipts)} runs"
        message = f"the output has {runs} whose id begins with this text"
        raise ConfigurationError(message, hint="Run `minimize runs` to list the runs.")
    if receipts[0].kind not in VOIDABLE_KINDS:
        kinds = ", ".join(sorted(VOIDABLE_KINDS))
        message = f"a run of kind {receipts[0].kind} cannot be declared void"
        raise ConfigurationError(message, hint=f"Choose a run of one of these kinds: {kinds}.")
    named_by = [receipt for receipt in chain if receipt.voids == receipts[0].run_id]
    if any(receipt.republish for receipt in named_by) or (named_by and not republish):
        raise ConfigurationError("the run is already void", hint="Run its dates again.")
    if republish and not has_exact_figures(receipts[0]):
        hint = "Name the run that published the exact table, or leave out --republish."
        raise ConfigurationError("the run published no exact statistics", hint=hint)
    return receipts[0]


def has_exact_figures(receipt: Receipt) -> bool:
    """Whether a run published statistics without noise."""
    tables = (output for name, output in receipt.outputs.items() if name != "records")
    return receipt.reads_source and any(output.noise is None and output.rows for output in tables)


def _find_output(workspace: Workspace, run: str) -> Location:
    """The output of a run according to the ledger."""

    with workspace.open_ledger() as ledger:
        folders = {row.folder for row in ledger.read(partial(select_runs_by_id, run_id=run))}
    if len(folders) != 1:
        hint = "Run `minimize runs` to list the runs, and pass --output DIR."
        count = len(folders)
        problem = f"the runs of {count} outputs start with `{run}`" if folders else f"no run starts with `{run}`"
        raise ConfigurationError(problem, hint=hint)
    return parse_output_location(folders.pop())


def _stored_attachments(output: OpenOutput, voided: Receipt) -> dict[str, bytes]:
    """The policy and pipeline of the void run."""
    files = {}
    for name, digest in ((POLICY_FILE, voided.policy.digest), (PIPELINE_FILE, voided.files.get(PIPELINE_FILE))):
        path = output.folder / RUNS / voided.run_id / name
        content = path.read_bytes() if path.is_file() else b""
        if sha256_text(content) != digest:
            message = f"{name} of {voided.run_id} is missing, or does not match its receipt"
            raise OutputError(message, hint="Run `minimize verify` for details.")
        files[name] = content
    return files
