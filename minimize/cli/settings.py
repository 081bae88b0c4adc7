"""`minimize settings`: who turned which feature on or off, when."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from minimize.cli import options
from minimize.cli.allowing import may
from minimize.cli.lines import on_one_line
from minimize.cli.when import TIME
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.settings import SettingRow
    from minimize.switching import House, Moment, Why


log = logging.getLogger("minimize")
_NO_POLICY: Final = "no policy was asked who may turn it on, and which levels there are: say --pipeline"
_UNCHECKED: Final = "no policy was asked whether it has this feature or level, and who may turn it on: say --pipeline"
_PER_SUBJECT: Final = "it is collected only if the tenant's setting and the subject's own (--subject) are both on"
_RAN_OUT: Final = "; it has run out, because a subject's own `on` counts for 24 hours"


@click.group(name="settings")
def command() -> None:
    """Collection settings in the ledger: bitemporal, for a tenant or one subject of it; every change is audited.

    A pipeline follows them that says `settings: ledger`.
    """


@command.command("set")
@click.argument("tenant", type=options.ID)
@click.argument("setting")
@click.argument("value")
@click.option("--holder", default="admin", show_default=True, help="Who holds the switch: admin, user or developer.")
@click.option(
    "--subject",
    type=options.ID,
    metavar="S",
    help="One subject of the tenant; it stands in the ledger as a keyed token.",
)
@click.option(
    "--from",
    "valid_from",
    type=TIME,
    metavar="TIME",
    help="Valid from this time (ISO 8601); now where nothing is said.",
)
@options.house
@options.as_json
def set_(
    tenant: str,
    setting: str,
    value: str,
    holder: str,
    subject: str | None,
    valid_from: str | None,
    as_json: bool,
    **places: Any,
) -> None:
    """Set SETTING of TENANT to VALUE: a feature to on or off, `level` to one of the policy's levels.

    With --pipeline the words are held against its policy. Without it a misspelt feature is recorded, with a warning.
    """
    from minimize.switching import Wish, set_setting
    from minimize.times import moment

    may("settings/set", places, tenant)
    wish = Wish(tenant, setting, value, holder, subject, moment(valid_from))
    before = set_setting(wish, _house(**places), _now())
    if places["pipeline"] is None:
        log.warning(_UNCHECKED, extra={"code": "W019"})
    whose = f"a subject of {on_one_line(tenant)}" if subject else on_one_line(tenant)
    body = {"tenant": tenant, "setting": setting, "holder": holder, "old": before, "new": value}
    options.show(body, as_json, f"{setting} of {whose}, held by {holder}: {value} (before: {before})")


@command.command("show")
@click.option("--tenant", type=options.ID, metavar="T", help="Of this tenant alone.")
@click.option("--setting", metavar="NAME", help="This feature, or `level`, alone.")
@click.option("--at", type=TIME, metavar="TIME", help="As they were in force at this time (ISO 8601), not now.")
@click.option("--history", is_flag=True, help="Every row, not only those in force.")
@options.house
@options.as_json
def show(tenant: str | None, setting: str | None, at: str | None, history: bool, as_json: bool, **places: Any) -> None:
    """Print the settings that are in force. Subjects are shown as tokens."""
    from minimize.switching import shown
    from minimize.times import moment

    when = moment(at) or _now()
    rows = shown(_house(**places), when, tenant=tenant, setting=setting, history=history)
    options.show({"settings": [_plain(row) for row in rows]}, as_json, _lines(rows) or "no settings")


@command.command("why")
@click.argument("tenant", type=options.ID)
@click.argument("feature")
@click.argument("at", type=TIME)
@click.option("--subject", type=options.ID, metavar="S", help="For one subject of the tenant.")
@click.option("--run-at", type=TIME, metavar="TIME", help="As a run at this time decides (ISO 8601), not one now.")
@click.option("--settings", type=click.Path(), metavar="PATH", help="These settings, CSV or Parquet.")
@options.house
@options.as_json
def why(
    tenant: str,
    feature: str,
    at: str,
    subject: str | None,
    run_at: str | None,
    settings: str | None,
    as_json: bool,
    **places: Any,
) -> None:
    """Say whether FEATURE (or a level) of TENANT is collected for an event AT a time, and which rows decide.

    The settings are those given, else the pipeline's, else the ledger's. Levels, and who may turn a feature on, are the
    policy's: say --pipeline.
    """
    from minimize.switching import why as decided
    from minimize.times import moment

    event = moment(at)
    if event is None:
        raise click.UsageError("AT is a time")
    run = moment(run_at) or _now()
    if places["pipeline"] is None:
        log.warning(_NO_POLICY, extra={"code": "W019"})
    found = decided(tenant, feature, event, _house(**places), run=run, subject=subject, settings=settings)
    options.show(found.as_json(), as_json, _told(found))


@command.command("import")
@click.argument("file", type=click.Path())
@options.house
@options.as_json
def import_(file: str, as_json: bool, **places: Any) -> None:
    """Bring the rows of FILE (CSV or Parquet) into the ledger, with the times at which they were recorded."""
    from minimize.switching import import_settings

    may("settings/set", places)
    count = import_settings(file, _house(**places), _now())
    options.show({"file": file, "new": count}, as_json, f"{count:,} rows of {file} were new")


@command.command("export")
@click.argument("file", type=click.Path(dir_okay=False))
@options.house
@options.as_json
def export(file: str, as_json: bool, **places: Any) -> None:
    """Write all rows of the ledger to the new CSV FILE. Subjects stay tokens: only `import` takes them back."""
    from minimize.switching import export_settings

    may("settings/read", places)
    count = export_settings(file, _house(**places))
    options.show({"file": file, "rows": count}, as_json, f"wrote {counted(count, 'row')} to {file}")


def _house(**places: Any) -> House:
    from minimize.switching import House

    return House(**places)


def _now() -> datetime:
    return datetime.now(UTC)


def _told(found: Why) -> str:
    word = "collected" if found.collected else "not collected"
    source = f" (settings: {found.file})" if found.file else ""
    head = f"{found.setting} of {on_one_line(found.tenant)}: {word}{source}"
    notes = [] if found.stranger is None else [on_one_line(str(found.stranger))]
    notes += [_PER_SUBJECT] if found.per_subject else []
    return "\n".join([head, *notes, *_moment("when it happened", found.event), *_moment("when the run is", found.run)])


def _moment(what: str, moment: Moment) -> list[str]:
    head = f"{what}, {moment.time:%Y-%m-%dT%H:%M:%SZ}: {'on' if moment.holds else 'off'}"
    if not moment.rows:
        return [f"{head}: nobody said anything"]
    return [head, *(f"  {_line(row)}" + (_RAN_OUT if moment.ran_out(row) else "") for row in moment.rows)]


def _line(row: SettingRow) -> str:
    whose = "" if row.subject is None else " for the subject itself"
    place = "" if row.line is None else f", line {row.line}"
    times = f"valid from {row.valid_from:%Y-%m-%dT%H:%M:%SZ}, recorded {row.recorded_at:%Y-%m-%dT%H:%M:%SZ}"
    return f"{row.value} by {row.holder}{whose}: {times}{place}"


def _lines(rows: Sequence[SettingRow]) -> str:
    return "\n".join(
        f"{on_one_line(row.tenant_id)}  {row.setting}  {row.value}  {row.holder}  {row.valid_from:%Y-%m-%dT%H:%M:%SZ}"
        + (f"  {row.subject}" if row.subject else "")
        for row in rows
    )


def _plain(row: SettingRow) -> dict[str, Any]:
    from dataclasses import asdict

    from minimize.receipt import time_text

    times = ("valid_from", "recorded_at")
    return {name: time_text(value) if name in times else value for name, value in asdict(row).items() if name != "line"}
