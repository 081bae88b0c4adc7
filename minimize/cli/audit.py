"""`minimize audit`: the log of who did what, which only grows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.allowing import may
from minimize.cli.findings import show
from minimize.cli.lines import on_one_line
from minimize.cli.quiet import quiet
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.ledger.audit import Wanted
    from minimize.ledger.chain import Entry


@click.group(name="audit")
def command() -> None:
    """The audit log: who did what, when, and how it ended; hash-chained, signed, append-only."""


@command.command("log")
@options.ledger
@options.filters
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="The last N of them.")
@options.as_json
def log(ledger: str | None, output: str | None, last: int | None, as_json: bool, **filters: str | None) -> None:
    """Print the entries, oldest first."""
    from minimize.auditing import log_entries
    from minimize.ledger.asked import as_json as of_entry

    may("audit/read", {"ledger": ledger, "output": output})
    found = log_entries(ledger, _wanted(**filters), output=output, last=last)
    if as_json:
        click.echo(json.dumps({"entries": [of_entry(entry) for entry in found]}, indent=2))
    else:
        click.echo("\n".join(map(_line, found)) or "no entries")


@command.command("verify")
@options.ledger
@click.option(
    "--receipts", type=click.Path(file_okay=False), metavar="DIR", help="An output folder, or a folder of receipts."
)
@click.option(
    "--head", type=click.Path(dir_okay=False), metavar="FILE", help="A head that was kept: an earlier --json."
)
@options.keys
@click.option("--public-key", type=click.Path(dir_okay=False), metavar="FILE", help="A public key (PEM) instead.")
@options.as_json
def verify(
    ledger: str | None,
    output: str | None,
    receipts: str | None,
    head: str | None,
    keys: str | None,
    public_key: str | None,
    as_json: bool,
) -> int:
    """Check that the log is whole: every entry, the chain, the signatures, and what receipts or a kept head say of it.

    Without --receipts and --head nothing tells whether its end was cut off.
    """
    from minimize.auditing import check_audit

    may("audit/read", {"ledger": ledger, "output": output, "keys": keys})
    checked = check_audit(ledger, output=output, receipts=receipts, head=head, keys=keys, public_key=public_key)
    if as_json:
        click.echo(json.dumps(checked.as_json(), indent=2))
    else:
        show(checked.findings)
        word = "verified" if checked.ok else "not verified"
        gone = checked.checkpoint
        since = "" if gone is None else f"; up to entry {gone.head.sequence:,} they are gone, by a checkpoint"
        click.echo(
            f"{word}: {counted(checked.head.sequence, 'entry', 'entries')}, head {checked.head.digest or '(none)'}{since}"
        )
    return 0 if checked.ok else 1


@command.command("export")
@click.argument("file", type=click.Path(dir_okay=False))
@options.ledger
@options.filters
@options.as_json
def export(file: str, ledger: str | None, output: str | None, as_json: bool, **filters: str | None) -> None:
    """Write the entries to the new FILE, one JSON object a line."""
    from minimize.auditing import export_audit

    may("audit/export", {"ledger": ledger, "output": output})
    count = export_audit(ledger, Path(file), _wanted(**filters), output=output)
    options.show({"file": file, "entries": count}, as_json, f"wrote {counted(count, 'entry', 'entries')} to {file}")


@command.command("truncate")
@click.option(
    "--export", type=click.Path(dir_okay=False), metavar="FILE", help="Write them to this new file before they go."
)
@click.option("--yes", is_flag=True, help="Do it. Without it the plan is shown, and nothing is changed.")
@options.ledger
@options.keys
@quiet
@options.as_json
def truncate(
    export: str | None, yes: bool, ledger: str | None, output: str | None, keys: str | None, as_json: bool
) -> None:
    """Let entries go that are older than a year. A signed checkpoint stays, so that the rest can still be verified."""
    from minimize.auditing import truncate_audit

    now = datetime.now(UTC)
    if yes:
        may("audit/truncate", {"ledger": ledger, "output": output, "keys": keys})
    file = None if export is None else Path(export)
    done = truncate_audit(ledger, now, output=output, keys=keys, export=file, yes=yes)
    if done.last is None:
        text = f"nothing to do: no entry is from before {done.before:%Y-%m-%dT%H:%M:%SZ}"
    else:
        gone = counted(done.entries, "entry", "entries")
        which = f"{gone} from before {done.before:%Y-%m-%dT%H:%M:%SZ}, up to entry {done.last.sequence:,}"
        text = (
            f"gone: {which}"
            if yes
            else f"{which}, would go\nnothing was changed: --yes does it (--export FILE keeps them)"
        )
    options.show({**done.as_json(), "done": yes and done.last is not None}, as_json, text)


def _wanted(since: str | None, until: str | None, **filters: str | None) -> Wanted:
    from minimize.ledger.audit import Wanted
    from minimize.times import moment

    return Wanted(since=moment(since), until=moment(until), **filters)


def _line(entry: Entry) -> str:
    event: dict[str, Any] = json.loads(entry.event)
    who = on_one_line(event["actor"]["user"] or event["actor"]["application"])
    did = f"{event['activity']} {event['operation']}: {event['result']}"
    what = on_one_line(", ".join(f"{each['type']} {each['name']}" for each in event["resources"]))
    return f"{entry.sequence:>6}  {event['time'][:19]}Z  {who}  {did}  {what}".rstrip()
