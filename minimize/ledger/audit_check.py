"""Check of the audit log, alone and against receipts or a head that is stored elsewhere; listing and export of entries.

Entries of the audit log as rows of named columns, and as NDJSON, JSON or CSV.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TextIO

from minimize.errors import ConfigurationError, Finding, VerificationError
from minimize.keys import Verifier
from minimize.ledger.act_log import PAGE_SIZE, ActLog
from minimize.ledger.audit_event import (
    EMPTY_LOG,
    REBUILD,
    Checkpoint,
    EntryFilter,
    LogEntry,
    LogHead,
    audit_finding,
    entry_digest,
    entry_event,
    head_json,
    is_entry_signed,
    utc_text,
)
from minimize.ledger.audit_log import (
    check_checkpoint,
    entries_of_run,
    find_entry,
    indexed_columns,
    is_truncated,
    last_checkpoint,
    latest_entries,
    log_head,
    read_entries,
)
from minimize.ledger.database import Connection, Row
from minimize.ledger.ledger import Ledger
from minimize.ledger.runs import output_locations, recorded_outputs
from minimize.ledger.schema import SCHEMA_HINT, SchemaDifference, is_damaged, ledger_identity, schema_differences
from minimize.receipts import AuditHead, Receipt, canonical_json
from minimize.results import Line, json_value
from minimize.text import count_noun, did_you_mean, without_formula

ENTRY_COLUMNS: Final[Mapping[str, Callable[[Mapping[str, Any]], str | None]]] = MappingProxyType(
    {
        "time": lambda event: event["time"],
        "actor": lambda event: event["actor"]["user"],
        "application": lambda event: event["actor"]["application"],
        "address": lambda event: event["actor"]["ip"],
        "permissions": lambda event: " ".join(event["actor"]["permissions"]),
        "category": lambda event: event["category"],
        "component": lambda event: event["component"],
        "activity": lambda event: event["activity"],
        "operation": lambda event: event["operation"],
        "result": lambda event: event["result"],
        "tenant": lambda event: event.get("tenant"),
        "resource": lambda event: " ".join(each["id"] for each in event["resources"]),
        "correlation": lambda event: event["correlation_id"],
        "id": lambda event: event["id"],
    }
)
"""The columns by name, each computed from an event."""
EntryFormat = Literal["ndjson", "json", "csv"]


def parse_columns(text: str) -> tuple[str, ...]:
    """The names of columns, separated by commas. Raises ConfigurationError for an unknown one."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in ENTRY_COLUMNS:
            hint = did_you_mean(name, ENTRY_COLUMNS) or f"Choose from {', '.join(ENTRY_COLUMNS)}."
            raise ConfigurationError(f"unknown column `{name}` of the audit log", hint=hint)
    return names


@dataclass(frozen=True, slots=True)
class EntryForm:
    """The form of listed entries."""

    columns: tuple[str, ...] | None = None
    """Only these columns; without them, whole entries."""
    is_limited: bool = False
    """Whether the reader sees the entries of some tenants only. Then an entry has no number, signature and link to the entry
    before it, because these would show how many other entries there are. Its digest identifies it."""

    def json_of(self, entry: LogEntry) -> dict[str, Any]:
        """The entry as JSON."""
        if self.columns is not None:
            return dict(zip(self.columns, self.row_of(entry), strict=True))
        return {"digest": entry.digest, "event": entry_event(entry)} if self.is_limited else entry.to_json()

    def row_of(self, entry: LogEntry) -> list[str | None]:
        """The columns of the entry; all of them if none are chosen."""
        event = entry_event(entry)
        return [ENTRY_COLUMNS[name](event) for name in self.columns or ENTRY_COLUMNS]

    def lines_of(self, entry: LogEntry) -> Iterator[str]:
        """The entry as text."""
        number = f"{entry.sequence:>6}  "
        return (line.removeprefix(number) if self.is_limited else line for line in entry.lines())

    def write(self, entries: Iterable[LogEntry], out: TextIO, format_: EntryFormat) -> int:
        """Writes entries. Returns their number."""
        count = 0
        if format_ == "csv":
            rows = csv.writer(out, lineterminator="\n")
            rows.writerow(self.columns or ENTRY_COLUMNS)
        for count, entry in enumerate(entries, start=1):
            if format_ == "csv":
                rows.writerow(None if cell is None else without_formula(cell) for cell in self.row_of(entry))
            else:
                before = "" if format_ == "ndjson" else "[\n" if count == 1 else ",\n"
                out.write(before + json.dumps(self.json_of(entry), ensure_ascii=False))
                out.write("\n" if format_ == "ndjson" else "")
        if format_ == "json":
            out.write("\n]\n" if count else "[]\n")
        return count


WHOLE_ENTRIES: Final = EntryForm()


def format_of_file(file: Path) -> EntryFormat:
    """The format of a file by its suffix: .csv, .json, or else NDJSON."""
    formats: Mapping[str, EntryFormat] = {".csv": "csv", ".json": "json"}
    return formats.get(file.suffix.lower(), "ndjson")


@dataclass(frozen=True, slots=True)
class ListedEntries:
    """Entries of the audit log in a form, as the result of a command."""

    entries: Sequence[LogEntry]
    form: EntryForm

    def to_json(self) -> dict[str, Any]:
        """The entries under their name."""
        return {"entries": [self.form.json_of(each) for each in self.entries]}

    def lines(self) -> Iterable[Line]:
        """The chosen columns separated by tabs, below their names, else a line for each entry."""
        if not self.entries:
            return ["no entries"]
        if self.form.columns is None:
            return [line for entry in self.entries for line in self.form.lines_of(entry)]
        rows = (tuple(cell or "" for cell in self.form.row_of(each)) for each in self.entries)
        return [self.form.columns, *rows]


_DAMAGE_HINT: Final = (
    "Restore a backup, then run `minimize runs --rebuild` to add newer receipts."
    " `sqlite3 FILE 'pragma integrity_check'` lists the faults."
)


@dataclass(frozen=True, slots=True)
class ExternalHead:
    """A head that is stored outside the log, and its place."""

    head: LogHead
    place: str


def check_log(connection: Connection, verifier: Verifier) -> Iterator[Finding]:
    """H001 to H005, H013, H015, H016: every entry against its digest, its neighbour, its signature and its columns.

    If the oldest entries were removed, the chain starts at the checkpoint, which is checked too.
    """
    checkpoint = last_checkpoint(connection)
    before = EMPTY_LOG if checkpoint is None else checkpoint.head
    if checkpoint is not None:
        yield from check_checkpoint(connection, checkpoint, verifier)
    for row in _all_rows(connection):
        entry = LogEntry.from_row(row)
        yield from _check_order(entry, before)
        yield from _check_content(entry, row)
        if not is_entry_signed(entry, verifier):
            yield audit_finding("H004", "is not signed by a known key", file=_entry_place(entry))
        before = entry.head


def check_database(connection: Connection, differences: Sequence[SchemaDifference]) -> Iterator[Finding]:
    """H021, H022: the differences from the tables, indexes and triggers that minimize creates, and damage of the file."""
    for difference in differences:
        yield audit_finding("H021", str(difference), file="schema", hint=SCHEMA_HINT)
    if is_damaged(connection):
        yield audit_finding("H022", "is damaged", file="database", hint=_DAMAGE_HINT)


def check_locations(connection: Connection) -> Iterator[Finding]:
    """H023: every output of the log has a row in the index of outputs, which is not signed. Searches need it."""
    located = {each.output for each in output_locations(connection)}
    for output in recorded_outputs(connection, trusts_indexes=False):
        if output.output not in located:
            message = f"has no folder of the output {output.output} of {output.pipeline}, so searches miss it"
            yield audit_finding("H023", message, file="outputs", hint="Run `minimize runs --rebuild --output DIR`.")


def check_external_head(connection: Connection, external_head: ExternalHead) -> Iterator[Finding]:
    """H006, H007, H014: compares the log with an external head."""
    entry, checkpoint = find_entry(connection, external_head.head.sequence), last_checkpoint(connection)
    if external_head.head == EMPTY_LOG or (checkpoint is not None and external_head.head == checkpoint.head):
        return
    if is_truncated(external_head.head, checkpoint):
        yield audit_finding(
            "H014",
            f"names entry {external_head.head.sequence}, which was removed after a year",
            file=external_head.place,
        )
    elif entry is None:
        ends = log_head(connection).sequence
        message = f"names entry {external_head.head.sequence}, but the log has only {ends} entries"
        hint = "The log was cut short or restored from an older copy. Restore the latest backup."
        yield audit_finding("H006", message, file=external_head.place, hint=hint)
    elif entry.digest != external_head.head.digest:
        yield audit_finding(
            "H007",
            f"names another digest for entry {external_head.head.sequence} than the log",
            file=external_head.place,
        )


def check_receipts(
    connection: Connection, receipts: Iterable[tuple[str, Receipt]], verifier: Verifier
) -> Iterator[Finding]:
    """H006 to H008, H010 to H012: compares the log with receipts, each with its place.

    The heads that receipts named before their output adopted this ledger belong to another log, or to a lost part of this one.
    """
    named = list(receipts)
    earlier = _receipts_before_adoption(connection, [receipt for _, receipt in named], verifier)
    uncompared = 0
    for place, receipt in named:
        if not _is_receipt_signed(receipt, verifier):
            yield audit_finding("H010", "is not signed by a known key", file=place)
        elif receipt.audit is None:
            yield audit_finding("H011", "names no head of an audit log", file=place)
        else:
            wrong = list(check_external_head(connection, ExternalHead(_named_head(receipt.audit), place)))
            if not wrong:
                yield from _check_recorded(connection, receipt, place)
            elif _is_recorded_again(connection, receipt):
                message = "names an entry of an earlier log; this log records the receipt again"
                yield audit_finding("H012", message, file=place)
            elif earlier and receipt.digest in earlier:
                uncompared += 1
            else:
                yield from wrong
    if uncompared:
        verb = "names an entry" if uncompared == 1 else "name entries"
        message = f"{count_noun(uncompared, 'receipt')} {verb} of a log that was in use before this one was adopted"
        yield audit_finding("H012", f"{message}, and cannot confirm this log")


def _receipts_before_adoption(
    connection: Connection, receipts: Sequence[Receipt], verifier: Verifier
) -> frozenset[str]:
    """The digests of the receipts before an adoption of this ledger. The head that the adoption names must be in the log."""
    adoptions = [
        receipt
        for receipt in receipts
        if receipt.audit is not None
        and receipt.adopts is not None
        and receipt.audit.ledger == ledger_identity(connection)
        and find_entry(connection, receipt.audit.sequence) is not None
        and not any(check_external_head(connection, ExternalHead(_named_head(receipt.audit), "")))
        and _is_receipt_signed(receipt, verifier)
    ]
    previous = {receipt.digest: receipt.previous for receipt in receipts} if adoptions else {}
    digests: set[str] = set()
    for adoption in adoptions:
        before = adoption.previous
        while before is not None and before not in digests:
            digests.add(before)
            before = previous.get(before)
    return frozenset(digests)


def _named_head(audit: AuditHead) -> LogHead:
    return LogHead(audit.sequence, audit.head)


def unanchored_finding() -> Finding:
    """H009: the finding if the log was compared with nothing outside it."""
    hint = "Pass --receipts DIR, or --head FILE with a head that was stored outside the ledger."
    return audit_finding(
        "H009", "only the existing entries were checked; removal of the last entries cannot be excluded", hint=hint
    )


def published_receipt(event: dict[str, Any]) -> str | None:
    """The digest of the receipt that an event records."""
    changes = (change for resource in event["resources"] for change in resource["changed_properties"])
    return next((change["new"] for change in changes if change["name"] == "receipt"), None)


def _is_recorded_again(connection: Connection, receipt: Receipt) -> bool:
    """Whether a rebuilt index recorded a receipt of an earlier log in this one."""
    events = map(entry_event, entries_of_run(connection, receipt.run_id))
    return receipt.digest in (published_receipt(event) for event in events if event["operation"] == REBUILD)


def _check_recorded(connection: Connection, receipt: Receipt, place: str) -> Iterator[Finding]:
    recorded = [published_receipt(entry_event(entry)) for entry in entries_of_run(connection, receipt.run_id)]
    digests = [digest for digest in recorded if digest is not None]
    if not digests:
        yield audit_finding(
            "H008", "is not recorded in the log", file=place, hint="Run the pipeline again; the next run records it."
        )
    elif receipt.digest not in digests:
        yield audit_finding("H007", "differs from the receipt that the log records for this run", file=place)


def _is_receipt_signed(receipt: Receipt, verifier: Verifier) -> bool:
    try:
        receipt.verify(verifier)
    except VerificationError:
        return False
    return True


def _check_order(entry: LogEntry, before: LogHead) -> Iterator[Finding]:
    if entry.sequence != before.sequence + 1:
        yield audit_finding("H002", f"is in the place of entry {before.sequence + 1}", file=_entry_place(entry))
    if entry.previous != before.digest:
        yield audit_finding("H003", "does not carry the digest of the entry before it", file=_entry_place(entry))


def _check_content(entry: LogEntry, row: Row) -> Iterator[Finding]:
    event = _canonical_event(entry.event)
    if event is None or entry_digest(LogHead(entry.sequence - 1, entry.previous), event, entry.acts) != entry.digest:
        yield audit_finding("H001", "does not match its digest", file=_entry_place(entry))
        return
    columns = {**indexed_columns(event), "time": event["time"]}
    if any(_column_value(row, name) != value for name, value in columns.items()):
        yield audit_finding("H005", "has a search column that differs from its event", file=_entry_place(entry))


def _column_value(row: Row, name: str) -> Any:
    value = row[name]
    return utc_text(value) if name == "time" else value


def _canonical_event(text: str) -> dict[str, Any] | None:
    """The event of a text in canonical form; None for any other text."""
    try:
        event = json.loads(text)
        return event if isinstance(event, dict) and canonical_json(event).decode() == text else None
    except (ValueError, RecursionError):
        return None


def _all_rows(connection: Connection) -> Iterator[Row]:
    start, query = -(2**63), "SELECT * FROM audit WHERE sequence >= :start ORDER BY sequence LIMIT :count"
    while page := connection.rows(query, start=start, count=PAGE_SIZE):
        yield from page
        start = page[-1]["sequence"] + 1


def _entry_place(entry: LogEntry) -> str:
    return f"audit/{entry.sequence}"


@dataclass(frozen=True, slots=True)
class AuditCheckResult:
    """Result of a check of the log: the findings, the head of the log, its checkpoint if it has one, and the number of acts."""

    head: LogHead
    findings: tuple[Finding, ...]
    checkpoint: Checkpoint | None = None
    acts: int = 0

    @property
    def ok(self) -> bool:
        """Whether there are no errors. Warnings are permitted."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0 if there are no errors, else 1."""
        return 0 if self.ok else 1

    def to_json(self) -> dict[str, Any]:
        """The object that `audit verify --json` prints. Stored outside the ledger, it can be passed to `--head`."""
        body = {**head_json(self.head), "acts": self.acts, "findings": json_value(self.findings)}
        truncated_head = None if self.checkpoint is None else self.checkpoint.head
        return {"ok": self.ok, **body, **({} if truncated_head is None else {"checkpoint": head_json(truncated_head)})}

    def lines(self) -> Iterator[Line]:
        """The findings, and whether the log is verified."""
        yield from self.findings
        since = (
            ""
            if self.checkpoint is None
            else f"; entries up to {self.checkpoint.head.sequence:,} are replaced by a checkpoint"
        )
        numbers = f"{count_noun(self.head.sequence, 'entry', 'entries')} and {count_noun(self.acts, 'act')}"
        entries = f"{numbers}, head {self.head.digest or '(none)'}"
        yield f"{'verified' if self.ok else 'not verified'}: {entries}{since}"


def find_entries(ledger: Ledger, filter_: EntryFilter, last: int | None = None) -> list[LogEntry]:
    """The entries that match a filter, oldest first. With a number, only the last ones."""

    def work(connection: Connection) -> list[LogEntry]:
        return list(read_entries(connection, filter_)) if last is None else latest_entries(connection, filter_, last)

    return ledger.read(work)


def check_whole_log(
    ledger: Ledger,
    verifier: Verifier,
    external_head: ExternalHead | None = None,
    receipts: Sequence[tuple[str, Receipt]] = (),
) -> AuditCheckResult:
    """Checks the database and the whole log: by itself, against an external head, and against receipts, each with its place."""

    def work(connection: Connection) -> AuditCheckResult:
        differences = schema_differences(connection)
        findings = list(check_database(connection, differences))
        if any(difference.prevents_reading for difference in differences):
            return AuditCheckResult(EMPTY_LOG, tuple(findings))
        findings += check_log(connection, verifier)
        findings += check_locations(connection)
        findings += ActLog(connection).check(read_entries(connection), verifier)
        findings += [] if external_head is None else check_external_head(connection, external_head)
        findings += check_receipts(connection, receipts, verifier)
        if external_head is None and not any(receipt.audit is not None for _, receipt in receipts):
            findings.append(unanchored_finding())
        checkpoint, acts = last_checkpoint(connection), ActLog(connection).head().sequence
        return AuditCheckResult(log_head(connection), tuple(findings), checkpoint, acts)

    return ledger.read(work)


def export_entries(
    ledger: Ledger, filter_: EntryFilter, out: TextIO, form: EntryForm = WHOLE_ENTRIES, format_: EntryFormat = "ndjson"
) -> int:
    """Writes the entries that match a filter. Returns their number."""
    return ledger.read(lambda connection: form.write(read_entries(connection, filter_), out, format_))
