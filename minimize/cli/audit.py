"""`minimize audit`: print, verify, export and truncate the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import click

from minimize.cli.options import AUDIT_FILTERS, FILE, FOLDER, LEDGER, OPTIONS
from minimize.cli.verb import examples, verb
from minimize.governance.audit import export_audit, show_entries, truncate_audit, verify_audit
from minimize.ledger.audit_check import ENTRY_COLUMNS
from minimize.ledger.audit_event import EntryFilter
from minimize.results import Printable
from minimize.workspace import Workspace


@click.group(name="audit")
def audit_group() -> None:
    """Print, verify, export or truncate the audit log.

    The log has accounts, operations, times and results. It is append-only, signed and chained by digests.
    """


_COLUMNS: Final = click.Option(
    ["--columns"],
    metavar="A,B",
    help=f"Only these columns: {', '.join(ENTRY_COLUMNS)}. [default: whole entries; in CSV all columns]",
)


@examples("minimize audit log --activity run --since 2026-11-01")
@verb(
    "log",
    *(*LEDGER, *AUDIT_FILTERS),
    click.Option(["--last"], type=click.IntRange(min=1), metavar="N", help="Only the last N entries."),
    _COLUMNS,
    group=audit_group,
)
def log_command(workspace: Workspace, last: int | None, columns: str | None, **filters: Any) -> Printable:
    """Print entries of the audit log, oldest first.

    An account without all tenants sees entries that concern one tenant alone, if it is in its scope. They have no number and no
    signature, because these would show how many other entries there are.
    """
    return show_entries(workspace, EntryFilter(**filters), last=last, columns=columns)


@examples("minimize audit verify --receipts out/device_telemetry")
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
    quiet=True,
)
def verify_command(workspace: Workspace, **arguments: Any) -> Printable:
    """Verify the audit log.

    Checks every entry, the chain and the signatures, and compares with receipts or a stored head. Without --receipts or
    --head, removal of the last entries cannot be detected.
    """
    return verify_audit(workspace, **arguments)


@examples("minimize audit export audit.ndjson --since 2026-11-01")
@verb(
    "export",
    click.Argument(["file"], type=FILE),
    *(*LEDGER, *AUDIT_FILTERS),
    _COLUMNS,
    group=audit_group,
)
def export_command(workspace: Workspace, file: str, columns: str | None, **filters: Any) -> Printable:
    """Write entries to the new FILE: .csv, .json, or else one JSON object per line.

    An account without all tenants exports what `audit log` shows it.
    """
    return export_audit(workspace, file, EntryFilter(**filters), columns=columns)


@examples("minimize audit truncate --to old.ndjson --yes")
@verb(
    "truncate",
    OPTIONS["--to"](help="Write the removed entries to this new file first."),
    *("--yes", *LEDGER, "--keys"),
    group=audit_group,
    quiet=True,
)
def truncate_command(workspace: Workspace, now: datetime, yes: bool, to: str | None) -> Printable:
    """Remove entries that are older than one year. A signed checkpoint replaces them, so the rest can still be verified."""
    return truncate_audit(workspace, now, to=to, yes=yes)
