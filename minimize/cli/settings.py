"""Commands for collection settings: `settings` (in the ledger) and `locate` (a lost device, for 24 hours at most)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import click

from minimize.cli.options import AT_OR_NOW, FILE, ID, OPTIONS, PATH, TIME, WORKSPACE
from minimize.cli.verb import examples, verb
from minimize.governance.locate import end_locate, list_locate_actions, start_locate
from minimize.governance.setting_reasons import explain_setting
from minimize.governance.settings import NewSetting, export_settings, import_settings, set_setting, show_settings
from minimize.results import Listing, Printable
from minimize.workspace import Workspace

_SUBJECT: Final = click.Option(["--subject"], type=ID, metavar="S", help="Only this subject of the tenant.")


_FIELD: Final = click.Option(
    ["--id-field", "field"],
    metavar="FIELD",
    help="Field that contains the subject's id. [default: the subject of the policy]",
)


_REFERENCE: Final = click.Option(
    ["--evidence", "reference"],
    metavar="REFERENCE",
    help="The client's record of the user's choice. Required to turn something on as holder `user`.",
)


@click.group(name="settings")
def settings_group() -> None:
    """Turn features of collection on or off, for a tenant or one of its subjects.

    Settings are stored in the ledger. They are bitemporal, and every change is audited. A pipeline uses them if its file has
    `settings: ledger`.
    """


@examples(
    "minimize settings set contoso location on --holder admin --pipeline pipelines/device_telemetry",
    "minimize settings set contoso location off --holder user --subject d-4711 --pipeline pipelines/device_telemetry",
)
@verb(
    "set",
    "TENANT",
    click.Argument(["setting"]),
    click.Argument(["value"]),
    click.Option(
        ["--holder"], default="admin", show_default=True, help="Holder of the setting: admin, user or developer."
    ),
    click.Option(
        ["--subject"],
        type=ID,
        metavar="S",
        help="Only this subject of the tenant. The ledger stores it as a keyed token.",
    ),
    _FIELD,
    _REFERENCE,
    OPTIONS["--since"](
        param_decls=["--since", "valid_from"],
        metavar="TIME",
        help="Valid from this time on (ISO 8601). [default: now]",
    ),
    *WORKSPACE,
    group=settings_group,
)
def set_command(workspace: Workspace, now: datetime, **terms: Any) -> Printable:
    """Set SETTING of TENANT to VALUE.

    Set a feature to on or off, or `level` to a level of the policy. With --pipeline, setting and value are checked against
    its policy. Without it, they are recorded with a warning.
    """
    return set_setting(NewSetting(**terms), workspace, now)


@examples("minimize settings show --tenant contoso")
@verb(
    "show",
    "--tenant",
    click.Option(["--setting"], metavar="NAME", help="Only this feature, or `level`."),
    AT_OR_NOW,
    "--history",
    *WORKSPACE,
    group=settings_group,
)
def show_command(workspace: Workspace, now: datetime, **filters: Any) -> Printable:
    """List the settings in force. Subjects are shown as tokens."""
    return show_settings(workspace, now, **filters)


@examples("minimize settings explain contoso location 2026-11-24T10:00:00Z --subject d-4711")
@verb(
    "explain",
    "TENANT",
    click.Argument(["setting"], metavar="FEATURE"),
    click.Argument(["event"], type=TIME, metavar="AT"),
    _SUBJECT,
    _FIELD,
    click.Option(
        ["--run-at", "now"], type=TIME, metavar="TIME", help="Decide as a run at TIME (ISO 8601). [default: now]"
    ),
    "--settings",
    *WORKSPACE,
    group=settings_group,
)
def explain_command(workspace: Workspace, now: datetime, **question: Any) -> Printable:
    """Explain whether FEATURE of TENANT is collected.

    FEATURE can be a level. AT is the time of an event. Prints the rows that decide. Settings come from --settings, else from
    the pipeline, else from the ledger. Pass --pipeline to apply the levels of its policy, and its rules on who may turn a
    feature on.
    """
    return explain_setting(workspace=workspace, run=now, **question)


@examples("minimize settings import sample_data/device_telemetry/settings.csv --evidence APP-LOG-11")
@verb(
    "import",
    click.Argument(["file"], type=PATH),
    _REFERENCE,
    *WORKSPACE,
    group=settings_group,
    quiet=True,
)
def import_command(workspace: Workspace, now: datetime, file: str, reference: str | None) -> Printable:
    """Import settings of FILE.

    The rows keep their recording times. Rows in which a user turns something on need --evidence. A row is refused if no policy
    below the folder of `minimize.yaml` has its feature, or the field that it names.
    """
    return import_settings(file, workspace, now, reference=reference)


@examples("minimize settings export settings.csv")
@verb("export", click.Argument(["file"], type=FILE), *WORKSPACE, group=settings_group)
def export_command(workspace: Workspace, file: str) -> Printable:
    """Export all settings of the ledger to the new CSV FILE. Subjects stay tokens, which only `import` accepts.

    Values are written exactly, so that `import` reads them back. A spreadsheet may execute a tenant's name that begins with
    `=`, `+`, `-` or `@` as a formula: do not open FILE with one. A warning states the number of such cells.
    """
    return export_settings(file, workspace)


_DEVICE: Final = (
    click.Argument(["device"], type=ID),
    OPTIONS["--tenant"](required=True, help="Tenant of the device."),
)


@click.group(name="locate")
def locate_group() -> None:
    """Locate a lost device for up to 24 hours. Turns `location` on for this device only; every action is audited.

    The policy must have `per_subject: true` for `location`, and the tenant must have the feature on.
    """


@examples(
    "minimize locate start d-4711 --tenant contoso --pipeline pipelines/device_support",
    "minimize locate start d-4711 --tenant contoso --hours 4 --pipeline pipelines/device_support",
)
@verb(
    "start",
    *_DEVICE,
    click.Option(
        ["--hours"],
        type=click.IntRange(1, 24),
        default=24,
        show_default=True,
        help="Number of hours during which the device is located.",
    ),
    *WORKSPACE,
    group=locate_group,
)
def start_command(workspace: Workspace, now: datetime, device: str, tenant: str, hours: int) -> Printable:
    """Start to locate DEVICE. The end is recorded at once; starting again sets a new end.

    DEVICE is the id of the subject in the policy of --pipeline. The ledger stores it as a keyed token.

    A position is released only if the other conditions of the policy also hold, for example that of a
    corporate, supervised iPhone in lost mode. They are printed.
    """
    if workspace.pipeline is None:
        raise click.UsageError("no pipeline. Pass --pipeline PIPELINE, whose policy locates devices.")
    return start_locate(device, tenant, workspace, now, span=timedelta(hours=hours))


@examples("minimize locate end d-4711 --tenant contoso")
@verb("end", *_DEVICE, *WORKSPACE, group=locate_group)
def end_command(workspace: Workspace, now: datetime, device: str, tenant: str) -> Printable:
    """Stop locating DEVICE. Later runs release no position of it.

    Write DEVICE and its tenant as in `locate start`. The command reports if the ledger has no setting of the tenant.
    """
    return end_locate(device, tenant, workspace, now)


@examples("minimize locate list --tenant contoso")
@verb("list", "--tenant", *WORKSPACE, group=locate_group)
def list_command(workspace: Workspace, now: datetime, tenant: str | None) -> Printable:
    """List the devices that are located now, and the end of each. Devices are shown as tokens."""
    return Listing("located", list_locate_actions(workspace, now, tenant=tenant), "no device is located")
