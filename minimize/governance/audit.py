"""Commands over the audit log: list, check, export and truncate its entries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minimize.access.permissions import TenantSet, audit_entries_in_scope, limited_result
from minimize.errors import ConfigurationError, Finding, OutputError
from minimize.keys import PublicKeys
from minimize.ledger.audit_check import (
    EntryForm,
    ExternalHead,
    ListedEntries,
    check_whole_log,
    export_entries,
    find_entries,
    format_of_file,
    parse_columns,
)
from minimize.ledger.audit_event import EMPTY_LOG, LogHead, audit_finding
from minimize.ledger.audit_truncation import export_truncated_entries, plan_truncation, truncate_log
from minimize.receipts import Receipt
from minimize.records import RECEIPT_FILE
from minimize.results import JsonResult, Printable
from minimize.stores import Location, LocationLike, PathText, parse_output_location, relative_path
from minimize.stores.durable_files import write_private_file
from minimize.text import count_noun
from minimize.verification import verifier_for
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.audit_check import AuditCheckResult
    from minimize.ledger.audit_event import EntryFilter, LogEntry
    from minimize.ledger.audit_truncation import Truncation


@dataclass(frozen=True, slots=True)
class AuditExport(JsonResult):
    """The file to which entries were exported, and their number."""

    file: str
    entries: int

    def lines(self) -> Iterator[str]:
        """The number of entries, and the file."""
        yield f"wrote {count_noun(self.entries, 'entry', 'entries')} to {self.file}"


_RECEIPTS_HINT: Final = "Pass an output folder or a folder of receipts to --receipts."


def log_entries(workspace: Workspace, entry_filter: EntryFilter, *, last: int | None = None) -> list[LogEntry]:
    """The entries that match the filter, oldest first; with `last`, only the last so many. Raises LedgerError."""
    with workspace.open_ledger() as ledger:
        return find_entries(ledger, entry_filter, last)


def verify_audit(
    workspace: Workspace,
    *,
    receipts: LocationLike | None = None,
    head: PathText | None = None,
    public_key: PublicKeys | PathText | None = None,
) -> AuditCheckResult:
    """Checks the whole log.

    Takes a workspace, whose keyring verifies signatures unless a public key is passed; a folder that contains receipts at any
    depth; and a file with an external head. Without receipts and head, a warning states that the end of the log is not checked.
    Without an output, the folder of receipts decides which ledger is in effect. Raises LedgerError, ConfigurationError, and
    OutputError if a folder is passed that contains no receipt.
    """
    workspace.require("audit/read", changed_ledger=True)
    folder = workspace.output if workspace.output is not None else receipts
    verifier = verifier_for(folder or Path.cwd(), workspace.keys, public_key)
    kept = None if head is None else ExternalHead(_read_head(Path(head)), str(head))
    places = [] if receipts is None else list(_receipts_below(parse_output_location(receipts)))
    if receipts is not None and not places:
        raise OutputError(f"{receipts} and its subfolders contain no receipt", hint=_RECEIPTS_HINT)
    parsed = [(place, each) for place, each in places if isinstance(each, Receipt)]
    bound = workspace if folder == workspace.output else replace(workspace, output=folder)
    with bound.open_ledger() as ledger:
        result = check_whole_log(ledger, verifier, kept, parsed)
    unreadable = tuple(each for _, each in places if isinstance(each, Finding))
    return replace(result, findings=(*result.findings, *unreadable))


def show_entries(
    workspace: Workspace, entry_filter: EntryFilter, *, last: int | None = None, columns: str | None = None
) -> Printable:
    """The entries that match the filter and that the current actor may read, oldest first.

    Takes the number of the last entries to show (default: all), and names of columns with commas (default: whole entries).
    Raises AccessDenied, LedgerError, and ConfigurationError for an unknown column.
    """
    tenants = workspace.readable_tenants("audit/read", tenant=entry_filter.tenant)
    form = _entry_form(columns, tenants)
    entries = log_entries(workspace, audit_entries_in_scope(entry_filter, tenants), last=last)
    return limited_result(ListedEntries(entries, form), tenants)


def _entry_form(columns: str | None, tenants: TenantSet) -> EntryForm:
    return EntryForm(None if columns is None else parse_columns(columns), is_limited=not tenants.is_all)


def export_audit(
    workspace: Workspace, file: PathText, entry_filter: EntryFilter, *, columns: str | None = None
) -> Printable:
    """Writes the entries that `show_entries` shows to a new file that only its owner can read.

    It is CSV, JSON or NDJSON by its suffix. Raises the errors of `show_entries`, and OutputError if the file exists or cannot be
    created.
    """
    tenants = workspace.readable_tenants("audit/export", tenant=entry_filter.tenant)
    entry_filter, form = audit_entries_in_scope(entry_filter, tenants), _entry_form(columns, tenants)
    with workspace.open_ledger() as ledger:
        format_ = format_of_file(Path(file))
        count = write_private_file(Path(file), lambda out: export_entries(ledger, entry_filter, out, form, format_))
    return limited_result(AuditExport(str(file), count), tenants)


def truncate_audit(workspace: Workspace, at: datetime, *, to: PathText | None = None, yes: bool = False) -> Truncation:
    """Removes entries older than a year, up to a signed checkpoint. Without `yes` it only makes the plan.

    Takes the time, and a new file to which the entries are written first. Returns the entries that were removed, or would be.
    Raises KeyringError, LedgerError, and OutputError if the file exists.
    """
    workspace.require("audit/truncate")
    with workspace.open_ledger() as ledger:
        plan = plan_truncation(ledger, at)
        if not yes or plan.last is None:
            return plan
        keyring = workspace.keyring("checkpoint")
        if to is not None:
            write_private_file(Path(to), lambda out: export_truncated_entries(ledger, plan, out))
        return truncate_log(ledger, plan, ledger.actor(), at, keyring)


def _receipts_below(folder: Location) -> Iterator[tuple[str, Receipt | Finding]]:
    """Every receipt in or below a folder, with its path. A receipt that cannot be read is replaced by a finding."""
    if not folder.is_dir():
        raise OutputError(f"{folder}: the folder does not exist", hint=_RECEIPTS_HINT)
    for path in _receipt_paths(folder):
        place = str(relative_path(path, folder))
        try:
            yield place, Receipt.from_json(path.read_bytes())
        except (OutputError, OSError):
            yield place, audit_finding("H010", "cannot be read", file=place)


def _receipt_paths(folder: Location) -> list[Location]:
    return sorted(folder.rglob(RECEIPT_FILE), key=str)


def _read_head(file: Path) -> LogHead:
    """The head in a file: the output of `audit verify --json`, a receipt or an exported entry. Raises ConfigurationError."""
    try:
        parsed = json.loads(file.read_bytes())
    except (OSError, ValueError):
        parsed = None
    body = parsed.get("audit", parsed) if isinstance(parsed, dict) else {}
    sequence, digest = body.get("sequence"), body.get("head", body.get("digest"))
    if isinstance(sequence, int) and (isinstance(digest, str) or (digest is None and sequence == EMPTY_LOG.sequence)):
        return LogHead(sequence, digest)
    hint = "Pass a file with the output of `minimize audit verify --json`."
    raise ConfigurationError(f"{file} does not contain the head of an audit log", hint=hint)
