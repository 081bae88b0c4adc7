"""Published runs in the ledger: the events of a publication, whether the receipts and the log agree, and the index of runs.

Releases of dates, by source: which figures with noise other outputs of the same source have released; and acts that permit
one more release of exact figures.

The index follows the receipts, as that of runs does. Without it, another pipeline or output could release the figures of a date
again, with new noise that can be averaged with the first.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal, get_args

from minimize.checkpoints import checkpoint
from minimize.keys import Verifier
from minimize.keys.cryptography import Signer
from minimize.ledger.act_log import ActLog, check_head
from minimize.ledger.acts import ActKind, AuditForm
from minimize.ledger.audit_event import (
    PUBLICATION_OPERATIONS,
    REBUILD,
    RECOVER,
    Actor,
    AuditActivity,
    AuditEvent,
    EntryFilter,
    LogEntry,
    LogHead,
    PlainValue,
    PropertyChange,
    Resource,
    entry_digest,
    entry_event,
    is_entry_signed,
    received_event,
    run_activity,
)
from minimize.ledger.audit_log import append_event, entries_of_run, find_entry, proven_checkpoint, read_entries
from minimize.ledger.database import Connection, Row, like_pattern
from minimize.ledger.kinds import LEDGER_ADOPTION, AdoptedOutput
from minimize.ledger.schema import ledger_identity
from minimize.receipts import Receipt, ReceiptKind, ReceiptRowCounts
from minimize.receipts.shown_counts import rows_text
from minimize.results import json_object


@dataclass(frozen=True, slots=True)
class Republication:
    """A step towards one more release of the exact figures of a run: requested, then confirmed by a second person."""

    run: str
    output: str
    state: str
    reason: str
    by: str
    recorded_at: datetime

    @property
    def is_confirmed(self) -> bool:
        """Whether a second person confirmed the request."""
        return self.state == CONFIRMED


EXACT: Final = "exact"
REQUESTED: Final = "requested"
CONFIRMED: Final = "confirmed"
REPUBLICATION: Final = ActKind(
    "republication",
    Republication,
    key="{0.run}",
    actor="by",
    audit=AuditForm(
        AuditActivity("republication", component="job", category="run"),
        type="run",
        id="runs/{0.run}",
        name="{0.run}",
        correlation="{0.run}",
        properties=lambda step: {"state": step.state},
    ),
)


def index_releases(connection: Connection, output: str, receipts: Iterable[Receipt]) -> None:
    """Adds the releases of receipts to the index. Those of a receipt that is known are replaced."""
    for receipt in receipts:
        connection.execute(
            "DELETE FROM releases WHERE output = :output AND run_id = :run_id", output=output, run_id=receipt.run_id
        )
        run = {"output": output, "run_id": receipt.run_id}
        for source, date, mark in sorted(set(_releases_of(receipt))):
            connection.insert("releases", {**run, "source": source, "date": date, "mark": mark})


def _releases_of(receipt: Receipt) -> Iterator[tuple[str, str, str]]:
    """Source, date and mark of each release; of exact figures, `EXACT` instead of a mark."""
    for written in receipt.outputs.values():
        if written.noise is not None:
            for date, release in (written.releases or {}).items():
                yield written.noise.source, date, release.mark
        elif written.exact_of is not None and written.files:
            for date in written.days or receipt.dates:
                yield written.exact_of, date, EXACT


def remove_releases(connection: Connection, output: str) -> None:
    """Removes the releases of an output from the index."""
    connection.execute("DELETE FROM releases WHERE output = :output", output=output)


@dataclass(slots=True)
class OtherReleases:
    """Releases of one date by other outputs of a source, in their order."""

    marks: list[str] = field(default_factory=list, repr=False)
    """The marks of all releases: figures that are published already can be published again."""
    counted: list[str] = field(default_factory=list, repr=False)
    """The marks of the releases that leave fewer releases."""
    exact: bool = False
    """Whether one of the outputs has exact figures of the date."""


def other_releases(
    connection: Connection, source: str, output: str, pipeline: str, runs: Collection[str]
) -> dict[str, OtherReleases]:
    """By date, the releases of a source by other outputs than that of a pipeline, and by its runs whose receipts it lacks.

    Takes the runs of its receipts. An output that was restored from an older copy lacks later ones; their releases count.
    A pipeline is planned for a date if it was in the ledger before the date was first released. The first release of each planned
    pipeline is free, so that several of them have one release each. A pipeline that came later begins with what the date has had.
    """
    began = _beginnings(connection)
    releases_by_date: dict[str, OtherReleases] = {}
    first: dict[str, datetime] = {}
    released = set[tuple[str, str]]()
    for row in connection.rows(
        "SELECT releases.*, runs.pipeline, runs.finished FROM releases, runs WHERE releases.source = :source"
        " AND runs.output = releases.output AND runs.run_id = releases.run_id ORDER BY runs.finished, releases.mark",
        source=source,
    ):
        date, releasing_pipeline = row["date"], row["pipeline"]
        is_first_of_date = date not in first
        first.setdefault(date, row["finished"])
        is_planned = pipeline in began and began[pipeline] <= first[date]
        is_free = (
            (date, releasing_pipeline) not in released
            and releasing_pipeline != pipeline
            and began[releasing_pipeline] <= first[date]
        )
        released.add((date, releasing_pipeline))
        is_own = row["output"] == output
        if is_own and row["run_id"] in runs:
            continue
        others = releases_by_date.setdefault(date, OtherReleases())
        counts = is_own or not is_free or (is_first_of_date and not is_planned)
        if row["mark"] == EXACT:
            others.exact = True
            continue
        for marks in (others.marks, others.counted) if counts else (others.marks,):
            if row["mark"] not in marks:
                marks.append(row["mark"])
    for date, others in releases_by_date.items():
        if (date, pipeline) not in released and pipeline in began and began[pipeline] <= first[date]:
            others.counted.clear()
    return releases_by_date


def _beginnings(connection: Connection) -> dict[str, datetime]:
    """The time of the first run of each pipeline."""
    rows = connection.rows("SELECT pipeline, min(finished) AS finished FROM runs GROUP BY pipeline")
    return {row["pipeline"]: row["finished"] for row in rows}


AgreementState = Literal["told", "behind", "unknown", "cut", "other"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last receipt that the log records: its number in its output, its digest, and the entry."""

    sequence: int
    digest: str
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class LogAgreement:
    """Comparison of the receipts of an output with the log."""

    state: AgreementState
    """The last receipt is recorded (`told`), the last ones are not recorded yet (`behind`), or none is recorded (`unknown`).
    Otherwise, the log records a later receipt, which is missing here (`cut`), or receipts name entries that this log lacks
    (`other`)."""
    unrecorded: tuple[Receipt, ...] = ()
    """The receipts that the log does not record."""
    anchor: Anchor | None = None
    """The last receipt that the log records."""

    @property
    def disagrees(self) -> bool:
        """Whether receipts or entries were lost."""
        return self.state in ("cut", "other")


def find_anchor(connection: Connection, output: str) -> Anchor | None:
    """The last receipt of an output that the log records."""
    last = connection.value(
        # an expression in place of the column: an entry that was left out of an index is found in the table
        "SELECT sequence FROM audit WHERE resource || '' = :output AND operation IN :operations"
        " ORDER BY sequence DESC LIMIT 1",
        output=output,
        operations=PUBLICATION_OPERATIONS,
    )
    entry = None if last is None else find_entry(connection, last)
    if entry is None:
        return None
    published = _published_receipt(entry_event(entry))
    return Anchor(published["sequence"], published["receipt"], entry)


def compare_receipts(
    connection: Connection, output: str, chain: Sequence[Receipt], verifier: Verifier | None
) -> LogAgreement:
    """Compares the receipts of an output, by sequence, with the log."""
    anchor = find_anchor(connection, output)
    digests = [receipt.digest for receipt in chain]
    if anchor is not None and anchor.digest not in digests:
        return LogAgreement("cut", anchor=anchor)
    untold = tuple(chain if anchor is None else chain[digests.index(anchor.digest) + 1 :])
    if not all(is_head_in_log(connection, receipt, verifier) for receipt in untold):
        return LogAgreement("other", untold, anchor)
    state: AgreementState = "unknown" if anchor is None else "behind" if untold else "told"
    return LogAgreement(state, untold, anchor)


def missing_receipts(connection: Connection, output: str, chain: Sequence[Receipt]) -> dict[str, int]:
    """The receipts that the index or the log records for an output, and that its chain lacks: their numbers, by run id.

    The chain may have other receipts under these numbers. A rebuilt index records the receipts that the output had then; what was
    recorded earlier no longer counts.
    """
    recorded: dict[str, tuple[str, int]] = {}
    for entry in read_entries(connection, EntryFilter(resource=output)):
        event = entry_event(entry)
        if event["operation"] == REBUILD:
            recorded.clear()
        if event["operation"] in PUBLICATION_OPERATIONS:
            published = _published_receipt(event)
            recorded[published["receipt"]] = (event["correlation_id"], published["sequence"])
    recorded |= {run.digest: (run.run_id, run.sequence) for run in select_runs(connection, output)}
    known = {receipt.digest for receipt in chain}
    return dict(receipt for digest, receipt in recorded.items() if digest not in known)


def _published_receipt(event: Mapping[str, Any]) -> dict[str, Any]:
    """The digest and the number of the receipt that an event records."""
    return {change["name"]: change["new"] for change in event["resources"][0]["changed_properties"]}


def was_published_by_rules(connection: Connection, output: str) -> bool:
    """Whether access rules gave the account of a publication of this output a permission."""
    events = (entry_event(entry) for entry in read_entries(connection, EntryFilter(resource=output)))
    return any(event["operation"] in PUBLICATION_OPERATIONS and event["actor"]["permissions"] for event in events)


def find_recorded_output(connection: Connection, receipts: Sequence[Receipt]) -> str | None:
    """The output for which the log records one of these receipts, latest first; None if it records none."""
    for receipt in reversed(receipts):
        for entry in entries_of_run(connection, receipt.run_id):
            event = entry_event(entry)
            if event["operation"] in PUBLICATION_OPERATIONS:
                return str(event["resources"][0]["id"])
    return None


def record_publication(
    connection: Connection,
    operation: str,
    output: str,
    receipt: Receipt,
    *,
    actor: Actor,
    now: datetime,
    signer: Signer,
) -> None:
    """Records the events of a receipt, and the adoption of this ledger if the receipt declares it."""
    acts, head = ActLog(connection), None
    if receipt.adopts is not None:
        check_head(connection, signer)
        why = receipt.adopts
        adopted = AdoptedOutput(output, why.reason, why.before, receipt.digest, now, actor.user or "")
        if receipt.digest not in {each.receipt for each in acts.find(LEDGER_ADOPTION, key=output)}:
            head = acts.append([LEDGER_ADOPTION.act(adopted)], signer)
    for event in publication_events(operation, output, receipt, actor=actor, now=now):
        append_event(connection, event, signer, acts=head)


def publication_events(
    operation: str, output: str, receipt: Receipt, *, actor: Actor, now: datetime
) -> list[AuditEvent]:
    """The events of a receipt: its publication, and the data received from a third party."""
    published, received = publication_event(operation, output, receipt, actor=actor, now=now), receipt.received
    if received is None:
        return [published]
    document: dict[str, PlainValue] = {
        "recipient": received.recipient,
        "function": received.function,
        "rows": receipt.published_rows,
        "rows_without_consent": receipt.gated_by.consent or 0,
        "receipt": receipt.digest,
    }
    names = (received.recipient, received.function)
    return [published, received_event(*names, document, actor=actor, now=now, run_id=receipt.run_id)]


def publication_event(operation: str, output: str, receipt: Receipt, *, actor: Actor, now: datetime) -> AuditEvent:
    """The event of the publication of a receipt."""
    number = receipt.sequence
    changes = (
        PropertyChange("receipt", receipt.previous, receipt.digest),
        PropertyChange("sequence", number - 1 if number > 1 else None, number),
        *([PropertyChange("allowed", None, ", ".join(receipt.allowed))] if receipt.allowed else []),
    )
    resource = Resource(receipt.pipeline, "output", output, changes)
    return run_activity(receipt.kind).event(operation, actor, now, resource, correlation_id=receipt.run_id)


def is_head_in_log(connection: Connection, receipt: Receipt, verifier: Verifier | None) -> bool:
    """Whether the log has the entry that a receipt names as its head, or removed it up to a proven checkpoint.

    True for a receipt that names none.
    """
    if receipt.audit is None:
        return True
    entry = find_entry(connection, receipt.audit.sequence)
    if entry is not None:
        return entry.digest == receipt.audit.head
    checkpoint = proven_checkpoint(connection, verifier)
    if checkpoint is None or receipt.audit.sequence > checkpoint.head.sequence:
        return False
    return receipt.audit.sequence < checkpoint.head.sequence or receipt.audit.head == checkpoint.head.digest


def ledger_difference(connection: Connection, receipt: Receipt, verifier: Verifier | None) -> str:
    """The difference between the ledger and the one that a receipt names, in words; empty if there is none."""
    if receipt.audit is None:
        return ""
    if receipt.audit.ledger is None:
        missing = (
            "does not have the audit entry that the last receipt of this output names: it is another or a new ledger"
        )
        return "" if is_head_in_log(connection, receipt, verifier) else missing
    if ledger_identity(connection) != receipt.audit.ledger:
        return "is not the ledger that the receipts of this output name"
    if not is_head_in_log(connection, receipt, verifier):
        return "lacks the audit entry that the last receipt of this output names. It is an older copy"
    return ""


def is_anchor_signed(anchor: Anchor, verifier: Verifier) -> bool:
    """Whether the entry of an anchor matches its digest and is signed by a known key."""
    entry = anchor.entry
    before = LogHead(entry.sequence - 1, entry.previous)
    is_intact = entry_digest(before, entry_event(entry), entry.acts) == entry.digest
    return is_intact and is_entry_signed(entry, verifier)


@dataclass(frozen=True, slots=True)
class OutputLocation:
    """The last known location of an output."""

    output: str
    pipeline: str
    folder: str
    host: str

    @property
    def is_here(self) -> bool:
        """Whether the location is on this host."""
        return self.host == socket.gethostname()

    @property
    def is_reachable(self) -> bool:
        """Whether this host can open the output: it is on a local disk or in an object store."""
        return self.is_here or "://" in self.folder


@dataclass(frozen=True, slots=True)
class RunRow:
    """One published run in the index."""

    run_id: str
    output: str
    folder: str
    host: str
    sequence: int
    kind: str
    pipeline: str
    purpose: str
    engine: str
    dates: tuple[str, ...]
    at: datetime
    started: datetime
    finished: datetime
    read: int
    written: int | None
    gated: int | None
    quarantined: int | None
    suppressed: int | None
    deduplicated: int | None
    digest: str
    void: bool = False
    """Whether a later receipt declares the run void. The index does not store it (see `list_runs`)."""

    def to_json(self) -> dict[str, Any]:
        """The row as the JSON object that `runs --json` prints."""
        body = json_object(self)
        counts = {each.name: body.pop(each.name) for each in fields(ReceiptRowCounts)}
        return body | {"rows": {name: count for name, count in counts.items() if count is not None}}

    def lines(self) -> Iterator[str]:
        """The run, its dates and its rows."""
        dates = ", ".join(self.dates) or "all"
        if len(self.dates) > 3:
            dates = f"{self.dates[0]} … {self.dates[-1]} ({len(self.dates)})"
        counts = f"{rows_text(self.read, sealed=self.written is None)} read"
        counts += "" if self.written is None else f", {self.written:,} written, {self.quarantined or 0:,} quarantined"
        yield f"{self.run_id}  {self.pipeline}  {self.kind}  {dates}  {counts}{'  void' if self.void else ''}"


def record_location(connection: Connection, output: str, pipeline: str, folder: str) -> None:
    """Records the location of an output."""
    row = {"output": output, "pipeline": pipeline, "folder": folder, "host": socket.gethostname()}
    change = "UPDATE outputs SET pipeline = :pipeline, folder = :folder, host = :host WHERE output = :output"
    if connection.execute(change, **row) == 0:
        connection.insert("outputs", row)


def index_receipts(connection: Connection, output: str, receipts: Iterable[Receipt]) -> None:
    """Adds receipts of an output to the index. Existing rows are replaced."""
    for receipt in receipts:
        connection.execute(
            "DELETE FROM runs WHERE output = :output AND run_id = :run_id", output=output, run_id=receipt.run_id
        )
        connection.insert("runs", {"output": output, **_receipt_values(receipt)})
        index_releases(connection, output, [receipt])
        checkpoint("run.indexed")


def remove_runs(connection: Connection, output: str) -> None:
    """Removes all runs of an output from the index."""
    connection.execute("DELETE FROM runs WHERE output = :output", output=output)
    remove_releases(connection, output)


def output_locations(connection: Connection) -> list[OutputLocation]:
    """The locations of all outputs in the ledger."""
    return [OutputLocation(**row) for row in connection.rows("SELECT * FROM outputs ORDER BY folder")]


def find_location(connection: Connection, output: str) -> OutputLocation | None:
    """The last known location of an output."""
    return next((place for place in output_locations(connection) if place.output == output), None)


@dataclass(frozen=True, slots=True)
class RecordedOutput:
    """An output whose publications the audit log records: its identity, its pipeline, the first and last entry of its runs."""

    output: str
    pipeline: str
    first: int
    last: int

    def replaces(self, output: RecordedOutput) -> bool:
        """Whether the same pipeline wrote to it, and only after its last run into another output."""
        return self.pipeline == output.pipeline and self.first > output.last


def recorded_outputs(connection: Connection, *, trusts_indexes: bool = True) -> Iterator[RecordedOutput]:
    """The outputs of all publications in the audit log, whose entries are signed. The index of outputs is not signed.

    Without `trusts_indexes`, every entry is read, because an attacker can leave an entry out of the database's indexes. The
    index `ix_audit_resource` has all columns of the other query, which takes 20 ms for 100,000 entries.
    """
    columns = ("resource", "activity") if trusts_indexes else ("resource || ''", "activity || ''")
    query = "SELECT {0} AS output, min(sequence) AS first, max(sequence) AS last FROM audit WHERE {1} IN :kinds GROUP BY {0}"
    for row in connection.rows(query.format(*columns), kinds=get_args(ReceiptKind)):
        entry = find_entry(connection, row["last"])
        event = None if entry is None else entry_event(entry)
        if event is not None and event["operation"] not in PUBLICATION_OPERATIONS:  # the last run failed
            anchor = find_anchor(connection, row["output"])
            event = None if anchor is None else entry_event(anchor.entry)
        if event is not None:
            yield RecordedOutput(pipeline=str(event["resources"][0]["name"]), **row)


def select_runs(connection: Connection, output: str | None = None, pipeline: str | None = None) -> list[RunRow]:
    """The runs of an output (by sequence), of a pipeline, or all, oldest first."""
    values = {name: value for name, value in (("output", output), ("pipeline", pipeline)) if value is not None}
    order = "finished, sequence" if output is None else "sequence"
    return _find_runs(connection, [f"runs.{name} = :{name}" for name in values], order, values)


def select_later_runs(connection: Connection, when: datetime) -> list[RunRow]:
    """The runs that were as of a later time and were finished later."""
    return _find_runs(connection, ["at > :when", "finished > :when"], "finished", {"when": when})


def select_runs_by_id(connection: Connection, run_id: str) -> list[RunRow]:
    """The runs whose id starts with this text."""
    starts = ["run_id LIKE :start ESCAPE '/'"]
    return _find_runs(connection, starts, "run_id", {"start": f"{like_pattern(run_id)}%"})


def _find_runs(connection: Connection, conditions: Sequence[str], order: str, values: Row) -> list[RunRow]:
    where = " AND ".join(("runs.output = outputs.output", *conditions))
    query = f"SELECT runs.*, folder, host FROM runs, outputs WHERE {where} ORDER BY {order}"  # noqa: S608
    return [RunRow(**_run_values(row)) for row in connection.rows(query, **values)]


_SEALED: Final = -1
"""In the index, a count that the receipt does not show."""


def _run_values(row: Row) -> dict[str, Any]:
    counts = {each.name: row[each.name] for each in fields(ReceiptRowCounts)}
    shown = {name: None if count == _SEALED else count for name, count in counts.items()}
    return {**row, **shown, "dates": tuple(json.loads(row["dates"]))}


def _receipt_values(receipt: Receipt) -> dict[str, Any]:
    names = ("run_id", "sequence", "kind", "pipeline", "purpose", "engine", "at", "started", "finished", "digest")
    values = {name: getattr(receipt, name) for name in names}
    counts = {each.name: receipt.rows.by_result.get(each.name, _SEALED) for each in fields(ReceiptRowCounts)}
    return {**values, "dates": json.dumps(list(receipt.dates)), **counts}


@dataclass(frozen=True, slots=True)
class IndexedOutput:
    """An output: its identity and its folder."""

    identity: str
    folder: str


def rebuild_output_index(
    connection: Connection,
    output: IndexedOutput,
    chain: Sequence[Receipt],
    signer: Signer,
    actor: Actor,
    now: datetime,
) -> int:
    """Indexes a chain of receipts. Returns the number of receipts that were recorded in the log.

    These are: receipts that the log lacked, receipts that name entries of another log, and the last one if recorded ones are
    missing.
    """
    connection.lock()
    missing = missing_receipts(connection, output.identity, chain)
    remove_runs(connection, output.identity)
    if not chain:
        return 0
    record_location(connection, output.identity, chain[-1].pipeline, output.folder)
    index_receipts(connection, output.identity, chain)
    unrecorded = compare_receipts(connection, output.identity, chain, signer).unrecorded
    events = [(RECOVER, receipt) for receipt in unrecorded if is_head_in_log(connection, receipt, signer)]
    events += [(REBUILD, receipt) for receipt in chain if _is_in_another_log(connection, receipt, signer)]
    # The last entry names the last receipt, from which the chain is compared with the log.
    is_reset = bool(missing) or any(operation == REBUILD for operation, _ in events)
    events += [(REBUILD, chain[-1])] if is_reset and events[-1:] != [(REBUILD, chain[-1])] else []
    for operation, receipt in events:
        record_publication(connection, operation, output.identity, receipt, actor=actor, now=now, signer=signer)
    return len(events)


def _is_in_another_log(connection: Connection, receipt: Receipt, verifier: Verifier) -> bool:
    """Whether a receipt names an entry of another log and is not yet recorded again in this one."""
    recorded = [entry_event(entry)["operation"] for entry in entries_of_run(connection, receipt.run_id)]
    return REBUILD not in recorded and not is_head_in_log(connection, receipt, verifier)
