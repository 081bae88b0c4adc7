"""`minimize audit`: print, verify, export and truncate the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from minimize.cli.options import AUDIT_FILTERS, FILE, FOLDER, LEDGER, OPTIONS, authorize
from minimize.cli.verb import verb
from minimize.ledger.audit_event import EntryFilter
from minimize.results import Listing, Printable
from minimize.runs.audit_log import export_audit, log_entries, truncate_audit, verify_audit


@click.group(name="audit")
def audit_group() -> None:
    """Print, verify, export or truncate the audit log.

    The log has accounts, operations, times and results. It is append-only, signed and chained by digests.
    """


@verb(
    "log",
    *(*LEDGER, *AUDIT_FILTERS),
    click.Option(["--last"], type=click.IntRange(min=1), metavar="N", help="Only the last N entries."),
    group=audit_group,
    permission="audit/read",
)
def log_command(ledger: str | None, output: str | None, last: int | None, **filters: Any) -> Printable:
    """Print entries of the audit log, oldest first."""
    return Listing("entries", log_entries(ledger, EntryFilter(**filters), output=output, last=last), "no entries")


@verb(
    "verify",
    *LEDGER,
    click.Option(
        ["--receipts"],
        type=FOLDER,
        metavar="DIR",
        help="Compare with the receipts of an output folder, or of a folder of receipts.",
    ),
    click.Option(
        ["--head"],
        type=FILE,
        metavar="FILE",
        help="Compare with a stored head: the result of an earlier `audit verify --json`.",
    ),
    *("--keys", "--public-key"),
    group=audit_group,
    permission="audit/read",
)
def verify_command(**arguments: Any) -> Printable:
    """Verify the audit log.

    Checks every entry, the chain and the signatures, and compares with receipts or a stored head. Without --receipts or
    --head, removal of the last entries cannot be detected.
    """
    return verify_audit(**arguments)


@verb(
    "export",
    click.Argument(["file"], type=FILE),
    *(*LEDGER, *AUDIT_FILTERS),
    group=audit_group,
    permission="audit/export",
)
def export_command(file: str, ledger: str | None, output: str | None, **filters: Any) -> Printable:
    """Write entries to the new FILE, one JSON object per line."""
    return export_audit(ledger, file, EntryFilter(**filters), output=output)


@verb(
    "truncate",
    OPTIONS["--to"](help="Write the removed entries to this new file first."),
    *("--yes", *LEDGER, "--keys"),
    group=audit_group,
    quiet=True,
)
def truncate_command(now: datetime, yes: bool, **arguments: Any) -> Printable:
    """Remove entries that are older than one year. A signed checkpoint replaces them, so the rest can still be verified."""
    if yes:
        authorize("audit/truncate", arguments)
    return truncate_audit(at=now, yes=yes, **arguments)
