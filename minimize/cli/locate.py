"""`minimize locate`: the position of one lost device, for a day at most."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from minimize.cli import options
from minimize.cli.allowing import may
from minimize.cli.lines import on_one_line

if TYPE_CHECKING:
    from minimize.switching import House, LocateAction

PERMISSION: Final = "remote_tasks/locate"
_SAME_IDS: Final = "The ids of the tenant and of the device must be written as in `locate start`"


@click.group(name="locate")
def command() -> None:
    """Locate a lost device: turn `location` on for this device alone, for 24 hours at most. Every action is audited.

    The policy must decide `location` for each subject (`per_subject: true`), and the tenant must have it on.
    """


@command.command("start")
@click.argument("device", type=options.ID)
@click.option("--tenant", type=options.ID, required=True, metavar="T", help="The tenant of the device.")
@click.option(
    "--hours", type=click.IntRange(1, 24), default=24, show_default=True, help="For how long the device is located."
)
@options.house
@options.as_json
def start(device: str, tenant: str, hours: int, as_json: bool, **places: Any) -> None:
    """Locate DEVICE from now on. The end is recorded at once; starting again gives a new end.

    DEVICE is its subject in the policy of --pipeline. The ledger holds it as a keyed token.
    """
    from minimize.switching import start_locating

    if places["pipeline"] is None:
        raise click.UsageError("--pipeline names the pipeline whose policy locates devices")
    may(PERMISSION, places, tenant)
    action = start_locating(device, tenant, _house(**places), _now(), span=timedelta(hours=hours))
    options.show(action.as_json(), as_json, f"a device of {on_one_line(tenant)} is located until {_time(action.until)}")


@command.command("end")
@click.argument("device", type=options.ID)
@click.option("--tenant", type=options.ID, required=True, metavar="T", help="The tenant of the device.")
@options.house
@options.as_json
def end(device: str, tenant: str, as_json: bool, **places: Any) -> None:
    """Locate DEVICE no longer, from now on. A run after this releases no position of it.

    Write DEVICE and its tenant as in `locate start`. Says if the ledger has no setting of the tenant.
    """
    from minimize.switching import end_locating, shown

    may(PERMISSION, places, tenant)
    house, now = _house(**places), _now()
    ended = end_locating(device, tenant, house, now)
    if ended:
        text = f"a device of {on_one_line(tenant)} is no longer located"
    elif shown(house, now, tenant=tenant, history=True):
        text = f"nothing to do: the device is not located. {_SAME_IDS}"
    else:
        text = f"nothing to do: the ledger has no setting of the tenant {on_one_line(tenant)}. {_SAME_IDS}"
    options.show({"tenant": tenant, "ended": ended}, as_json, text)


@command.command("list")
@click.option("--tenant", type=options.ID, metavar="T", help="Of this tenant alone.")
@options.house
@options.as_json
def list_(tenant: str | None, as_json: bool, **places: Any) -> None:
    """Print which devices are located now, and until when. Devices are shown as tokens."""
    from minimize.switching import located

    may(PERMISSION, places, tenant)
    actions = located(_house(**places), _now(), tenant=tenant)
    options.show({"located": [each.as_json() for each in actions]}, as_json, _lines(actions) or "no device is located")


def _lines(actions: Sequence[LocateAction]) -> str:
    return "\n".join(
        f"{on_one_line(each.tenant)}  since {_time(each.since)}  until {_time(each.until)}  {each.device}"
        for each in actions
    )


def _time(moment: datetime | None) -> str:
    return "it is ended" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _house(**places: Any) -> House:
    from minimize.switching import House

    return House(**places)


def _now() -> datetime:
    return datetime.now(UTC)
