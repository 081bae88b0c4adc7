"""`minimize access token`: what opens the door, made, listed and ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options

if TYPE_CHECKING:
    from minimize.door.issuing import Listed
    from minimize.switching import House


@click.group(name="token", invoke_without_command=True)
@click.option("--user", metavar="NAME", help="The account that it is for; else whoever acts (MINIMIZE_ACTOR).")
@click.option("--for", "lasts", metavar="TIME", help="How long it lasts: 30m, 8h, 30d; 8h where nothing is said.")
@click.option("--once", is_flag=True, help="It opens the door for one call alone.")
@options.house
@options.as_json
def token(user: str | None, lasts: str | None, once: bool, as_json: bool, **places: Any) -> None:
    """Make a token for `minimize serve`, and print it, once: the ledger keeps a keyed digest of it.

    It says who comes, and nothing of what they may see: that is the access file's and the grants', whenever something is read.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from minimize.door.issuing import issue
    from minimize.ledger import actor_of

    text, made = issue(_house(**places), user or actor_of().user or "", _now(), lasts=_lasting(lasts), once=once)
    options.show({**made.as_json(), "secret": text}, as_json, text)
    if not as_json:
        click.echo(f"{_line(made)}; it is not shown again", err=True)


@token.command("list")
@options.house
@options.as_json
def list_(as_json: bool, **places: Any) -> None:
    """The tokens that were made: whose, until when, in which state. Their names open nothing."""
    from minimize.door.issuing import tokens

    found = tokens(_house(**places), _now())
    options.show({"tokens": [each.as_json() for each in found]}, as_json, "\n".join(map(_line, found)) or "no tokens")


@token.command("revoke")
@click.argument("name")
@options.house
@options.as_json
def revoke(name: str, as_json: bool, **places: Any) -> None:
    """End the token of this NAME, and the reads that go on by it."""
    from minimize.door.issuing import revoke as ended

    ended(_house(**places), name, _now())
    options.show({"revoked": name}, as_json, f"{name} opens nothing any more")


def _lasting(text: str | None) -> timedelta | None:
    from minimize.errors import ConfigurationError
    from minimize.policy.durations import duration

    found = duration(text)
    if text is not None and found is None:
        raise ConfigurationError("--for is no length of time", hint="30m, 8h, 30d")
    return found


def _line(made: Listed) -> str:
    once = ", once" if made.once else ""
    return f"{made.token}  {made.user}  {made.state}  until {made.expires_at:%Y-%m-%dT%H:%M:%SZ}{once}"


def _house(**places: Any) -> House:
    from minimize.switching import House

    return House(**places)


def _now() -> datetime:
    return datetime.now(UTC)
