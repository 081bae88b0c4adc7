"""`minimize audit`: print, verify, export and truncate the audit log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.options import authorize, quiet
from minimize.cli.printing import UNCHANGED_HINT, finding_lines
from minimize.ledger.audit_check import entry_json
from minimize.ledger.audit_log import EntryFilter
from minimize.runs.audit_log import check_audit, export_audit, log_entries, truncate_audit
from minimize.text import count_noun, single_line
from minimize.times import parse_time, seconds_text, utc_now

if TYPE_CHECKING:
    from minimize.ledger.audit_log import LogEntry


@click.group(name="audit")
def audit_group() -> None:
    """Print, verify, export or truncate the audit log.

    The log has accounts, operations, times and results. It is append-only, signed and chained by digests.
    """


@audit_group.command("log")
@options.ledger
@options.audit_filters
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N entries.")
@options.as_json
def log_command(ledger: str | None, output: str | None, last: int | None, as_json: bool, **filters: str | None) -> None:
    """Print entries of the audit log, oldest first."""
    authorize("audit/read", {"ledger": ledger, "output": output})
    found = log_entries(ledger, _entry_filter(**filters), output=output, last=last)
    body = {"entries": [entry_json(entry) for entry in found]}
    options.print_result(body, as_json, "\n".join(map(_entry_line, found)) or "no entries")


@audit_group.command("verify")
@options.ledger
@click.option(
    "--receipts",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Compare with the receipts of an output folder, or of a folder of receipts.",
)
@click.option(
    "--head",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Compare with a stored head: the result of an earlier `audit verify --json`.",
)
@options.keys
@click.option(
    "--public-key",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Verify with this public key (PEM) instead of a keyring.",
)
@options.as_json
def verify_command(
    ledger: str | None,
    output: str | None,
    receipts: str | None,
    head: str | None,
    keys: str | None,
    public_key: str | None,
    as_json: bool,
) -> int:
    """Verify the audit log.

    Checks every entry, the chain and the signatures, and compares with receipts or a stored head. Without --receipts or
    --head, removal of the last entries cannot be detected.
    """
    authorize("audit/read", {"ledger": ledger, "output": output, "keys": keys})
    checked = check_audit(ledger, output=output, receipts=receipts, head=head, keys=keys, public_key=public_key)
    word = "verified" if checked.ok else "not verified"
    entries = count_noun(checked.head.sequence, "entry", "entries")
    checkpoint = checked.checkpoint
    since = "" if checkpoint is None else f"; entries up to {checkpoint.head.sequence:,} are replaced by a checkpoint"
    verdict = f"{word}: {entries}, head {checked.head.digest or '(none)'}{since}"
    options.print_result(checked.to_json(), as_json, "\n".join([*finding_lines(checked.findings), verdict]))
    return 0 if checked.ok else 1


@audit_group.command("export")
@click.argument("file", type=click.Path(dir_okay=False))
@options.ledger
@options.audit_filters
@options.as_json
def export_command(file: str, ledger: str | None, output: str | None, as_json: bool, **filters: str | None) -> None:
    """Write entries to the new FILE, one JSON object per line."""
    authorize("audit/export", {"ledger": ledger, "output": output})
    count = export_audit(ledger, Path(file), _entry_filter(**filters), output=output)
    options.print_result(
        {"file": file, "entries": count}, as_json, f"wrote {count_noun(count, 'entry', 'entries')} to {file}"
    )


@audit_group.command("truncate")
@click.option(
    "--to",
    "export",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the removed entries to this new file first.",
)
@click.option("--yes", is_flag=True, help=options.APPLY_HELP)
@options.ledger
@options.keys
@quiet
@options.as_json
def truncate_command(
    export: str | None, yes: bool, ledger: str | None, output: str | None, keys: str | None, as_json: bool
) -> None:
    """Remove entries that are older than one year. A signed checkpoint replaces them, so the rest can still be verified."""
    now = utc_now()
    if yes:
        authorize("audit/truncate", {"ledger": ledger, "output": output, "keys": keys})
    file = None if export is None else Path(export)
    done = truncate_audit(ledger, now, output=output, keys=keys, export=file, yes=yes)
    if done.last is None:
        text = f"nothing to do: no entry is older than {seconds_text(done.before)}"
    else:
        entries = count_noun(done.entries, "entry", "entries")
        which = f"{entries} older than {seconds_text(done.before)}, up to entry {done.last.sequence:,}"
        text = f"removed {which}" if yes else f"would remove {which}\n{UNCHANGED_HINT} Pass --to FILE to keep a copy."
    options.print_result({**done.to_json(), "done": yes and done.last is not None}, as_json, text)


def _entry_filter(since: str | None, until: str | None, **filters: str | None) -> EntryFilter:
    return EntryFilter(since=parse_time(since), until=parse_time(until), **filters)


def _entry_line(entry: LogEntry) -> str:
    event: dict[str, Any] = json.loads(entry.event)
    who = single_line(event["actor"]["user"] or event["actor"]["application"])
    did = f"{event['activity']} {event['operation']}: {event['result']}"
    what = single_line(", ".join(f"{each['type']} {each['name']}" for each in event["resources"]))
    return f"{entry.sequence:>6}  {event['time'][:19]}Z  {who}  {did}  {what}".rstrip()
