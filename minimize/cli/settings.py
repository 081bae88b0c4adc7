"""Commands for collection settings: `settings` (in the ledger) and `locate` (a lost device, for 24 hours at most)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from minimize.cli import options
from minimize.cli.options import TIME, authorize, command_workspace
from minimize.governance.locate import end_locate, list_locate_actions, position_conditions, start_locate
from minimize.governance.settings import (
    NewSetting,
    explain_setting,
    export_settings,
    import_settings,
    list_settings,
    set_setting,
)
from minimize.text import count_noun, single_line
from minimize.times import parse_time, seconds_text, time_text, utc_now

if TYPE_CHECKING:
    from minimize.governance.locate import LocateAction
    from minimize.governance.settings import SettingDecision, SettingExplanation
    from minimize.settings import SettingRow

log = logging.getLogger("minimize")
_NO_POLICY: Final = (
    "levels, and who may turn the feature on, were not checked against a policy. Pass --pipeline PIPELINE."
)
_UNCHECKED: Final = (
    "the feature or level, and who may turn it on, were not checked against a policy. Pass --pipeline PIPELINE."
)
_PER_SUBJECT: Final = "it is collected only if the settings of the tenant and of the subject (--subject) are both on"
_RAN_OUT: Final = "; expired, because `on` for a subject is valid for 24 hours"


@click.group(name="settings")
def settings_group() -> None:
    """Turn features of collection on or off, for a tenant or one of its subjects.

    Settings are stored in the ledger. They are bitemporal, and every change is audited. A pipeline uses them if its file has
    `settings: ledger`.
    """


@settings_group.command("set")
@click.argument("tenant", type=options.ID)
@click.argument("setting")
@click.argument("value")
@click.option("--holder", default="admin", show_default=True, help="Holder of the setting: admin, user or developer.")
@click.option(
    "--subject",
    type=options.ID,
    metavar="S",
    help="Only this subject of the tenant. The ledger stores it as a keyed token.",
)
@click.option(
    "--since",
    "valid_from",
    type=TIME,
    metavar="TIME",
    help="Valid from this time on (ISO 8601). [default: now]",
)
@options.workspace
@options.as_json
def set_command(
    tenant: str,
    setting: str,
    value: str,
    holder: str,
    subject: str | None,
    valid_from: str | None,
    as_json: bool,
    **places: Any,
) -> None:
    """Set SETTING of TENANT to VALUE.

    Set a feature to on or off, or `level` to a level of the policy. With --pipeline, setting and value are checked against
    its policy. Without it, they are recorded with a warning.
    """
    authorize("settings/set", places, tenant)
    new = NewSetting(tenant, setting, value, holder, subject, parse_time(valid_from))
    before = set_setting(new, command_workspace(places), utc_now())
    if places["pipeline"] is None:
        log.warning(_UNCHECKED, extra={"code": "W019"})
    whose = f"a subject of {single_line(tenant)}" if subject else single_line(tenant)
    body = {"tenant": tenant, "setting": setting, "holder": holder, "old": before, "new": value}
    options.print_result(body, as_json, f"{setting} of {whose}, held by {holder}: {value} (before: {before})")


@settings_group.command("show")
@click.option("--tenant", type=options.ID, metavar="T", help=options.TENANT_FILTER_HELP)
@click.option("--setting", metavar="NAME", help="Only this feature, or `level`.")
@click.option("--at", type=TIME, metavar="TIME", help=options.AT_HELP)
@click.option("--history", is_flag=True, help="List all rows, not only those in force.")
@options.workspace
@options.as_json
def show_command(
    tenant: str | None, setting: str | None, at: str | None, history: bool, as_json: bool, **places: Any
) -> None:
    """List the settings in force. Subjects are shown as tokens."""
    when = parse_time(at) or utc_now()
    rows = list_settings(command_workspace(places), when, tenant=tenant, setting=setting, history=history)
    options.print_result({"settings": [_row_json(row) for row in rows]}, as_json, _rows_text(rows) or "no settings")


@settings_group.command("why")
@click.argument("tenant", type=options.ID)
@click.argument("feature")
@click.argument("at", type=TIME)
@click.option("--subject", type=options.ID, metavar="S", help="Only this subject of the tenant.")
@click.option("--run-at", type=TIME, metavar="TIME", help="Decide as a run at TIME (ISO 8601). [default: now]")
@click.option("--settings", type=click.Path(), metavar="PATH", help=options.SETTINGS_HELP)
@options.workspace
@options.as_json
def why_command(
    tenant: str,
    feature: str,
    at: str,
    subject: str | None,
    run_at: str | None,
    settings: str | None,
    as_json: bool,
    **places: Any,
) -> None:
    """Explain whether FEATURE of TENANT is collected.

    FEATURE can be a level. AT is the time of an event. Prints the rows that decide. Settings come from --settings, else from
    the pipeline, else from the ledger. Pass --pipeline to apply the levels of its policy, and its rules on who may turn a
    feature on.
    """
    event = parse_time(at)
    if event is None:
        raise click.UsageError("AT is empty. Pass a time (ISO 8601).")
    run = parse_time(run_at) or utc_now()
    if places["pipeline"] is None:
        log.warning(_NO_POLICY, extra={"code": "W019"})
    found = explain_setting(
        tenant, feature, event, command_workspace(places), run=run, subject=subject, settings=settings
    )
    options.print_result(found.to_json(), as_json, _explanation_text(found))


@settings_group.command("import")
@click.argument("file", type=click.Path())
@options.workspace
@options.as_json
def import_command(file: str, as_json: bool, **places: Any) -> None:
    """Import settings of FILE (CSV or Parquet).

    The rows keep their recording times.
    """
    authorize("settings/set", places)
    count = import_settings(file, command_workspace(places), utc_now())
    options.print_result({"file": file, "new": count}, as_json, f"imported {count_noun(count, 'new row')} of {file}")


@settings_group.command("export")
@click.argument("file", type=click.Path(dir_okay=False))
@options.workspace
@options.as_json
def export_command(file: str, as_json: bool, **places: Any) -> None:
    """Export all settings of the ledger to the new CSV FILE. Subjects stay tokens, which only `import` accepts."""
    authorize("settings/read", places)
    count = export_settings(file, command_workspace(places))
    options.print_result({"file": file, "rows": count}, as_json, f"wrote {count_noun(count, 'row')} to {file}")


def _explanation_text(found: SettingExplanation) -> str:
    word = "collected" if found.is_collected else "not collected"
    source = f" (settings: {found.file})" if found.file else ""
    head = f"{found.setting} of {single_line(found.tenant)}: {word}{source}"
    notes = [] if found.unknown_tenant is None else [single_line(str(found.unknown_tenant))]
    notes += [_PER_SUBJECT] if found.per_subject else []
    return "\n".join(
        [head, *notes, *_moment_lines("at the event time", found.event), *_moment_lines("at the run time", found.run)]
    )


def _moment_lines(what: str, moment: SettingDecision) -> list[str]:
    head = f"{what}, {seconds_text(moment.time)}: {'on' if moment.holds else 'off'}"
    if not moment.rows:
        return [f"{head}: no setting"]
    return [head, *(f"  {_row_line(row)}" + (_RAN_OUT if moment.ran_out(row) else "") for row in moment.rows)]


def _row_line(row: SettingRow) -> str:
    whose = "" if row.subject is None else " for the subject"
    place = "" if row.line is None else f", line {row.line}"
    times = f"valid from {seconds_text(row.valid_from)}, recorded {seconds_text(row.recorded_at)}"
    return f"{row.value} by {row.holder}{whose}: {times}{place}"


def _rows_text(rows: Sequence[SettingRow]) -> str:
    return "\n".join(
        f"{single_line(row.tenant_id)}  {row.setting}  {row.value}  {row.holder}  {seconds_text(row.valid_from)}"
        + (f"  {row.subject}" if row.subject else "")
        for row in rows
    )


def _row_json(row: SettingRow) -> dict[str, Any]:
    from dataclasses import asdict

    times = ("valid_from", "recorded_at")
    return {name: time_text(value) if name in times else value for name, value in asdict(row).items() if name != "line"}


LOCATE_PERMISSION: Final = "remote_tasks/locate"
_SAME_IDS: Final = "Write the ids of the tenant and the device as in `locate start`."


@click.group(name="locate")
def locate_group() -> None:
    """Locate a lost device for up to 24 hours. Turns `location` on for this device only; every action is audited.

    The policy must have `per_subject: true` for `location`, and the tenant must have the feature on.
    """


@locate_group.command("start")
@click.argument("device", type=options.ID)
@click.option("--tenant", type=options.ID, required=True, metavar="T", help="Tenant of the device.")
@click.option(
    "--hours",
    type=click.IntRange(1, 24),
    default=24,
    show_default=True,
    help="Number of hours during which the device is located.",
)
@options.workspace
@options.as_json
def start_command(device: str, tenant: str, hours: int, as_json: bool, **places: Any) -> None:
    """Start to locate DEVICE. The end is recorded at once; starting again sets a new end.

    DEVICE is the id of the subject in the policy of --pipeline. The ledger stores it as a keyed token.

    A position is released only if the other conditions of the policy also hold, for example that of a
    corporate, supervised iPhone in lost mode. They are printed.
    """
    if places["pipeline"] is None:
        raise click.UsageError("no pipeline. Pass --pipeline PIPELINE, whose policy locates devices.")
    authorize(LOCATE_PERMISSION, places, tenant)
    workspace = command_workspace(places)
    action = start_locate(device, tenant, workspace, utc_now(), span=timedelta(hours=hours))
    conditions = position_conditions(workspace)
    lines = [f"a device of {single_line(tenant)} is located until {_end_text(action.until)}"]
    lines += [f"  {field} is released only if: {words}" for field, words in conditions.items()]
    options.print_result(action.to_json() | {"conditions": conditions}, as_json, "\n".join(lines))


@locate_group.command("end")
@click.argument("device", type=options.ID)
@click.option("--tenant", type=options.ID, required=True, metavar="T", help="Tenant of the device.")
@options.workspace
@options.as_json
def end_command(device: str, tenant: str, as_json: bool, **places: Any) -> None:
    """Stop locating DEVICE. Later runs release no position of it.

    Write DEVICE and its tenant as in `locate start`. The command reports if the ledger has no setting of the tenant.
    """
    authorize(LOCATE_PERMISSION, places, tenant)
    workspace, now = command_workspace(places), utc_now()
    ended = end_locate(device, tenant, workspace, now)
    if ended:
        text = f"a device of {single_line(tenant)} is no longer located"
    elif list_settings(workspace, now, tenant=tenant, history=True):
        text = f"nothing to do: the device is not located. {_SAME_IDS}"
    else:
        text = f"nothing to do: the ledger has no setting of the tenant {single_line(tenant)}. {_SAME_IDS}"
    options.print_result({"tenant": tenant, "ended": ended}, as_json, text)


@locate_group.command("list")
@click.option("--tenant", type=options.ID, metavar="T", help=options.TENANT_FILTER_HELP)
@options.workspace
@options.as_json
def list_command(tenant: str | None, as_json: bool, **places: Any) -> None:
    """List the devices that are located now, and the end of each. Devices are shown as tokens."""
    authorize(LOCATE_PERMISSION, places, tenant)
    actions = list_locate_actions(command_workspace(places), utc_now(), tenant=tenant)
    options.print_result(
        {"located": [each.to_json() for each in actions]}, as_json, _actions_text(actions) or "no device is located"
    )


def _actions_text(actions: Sequence[LocateAction]) -> str:
    return "\n".join(
        f"{single_line(each.tenant)}  since {_end_text(each.since)}  until {_end_text(each.until)}  {each.device}"
        for each in actions
    )


def _end_text(moment: datetime | None) -> str:
    return "it is ended" if moment is None else seconds_text(moment)
