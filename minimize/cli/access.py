"""`minimize access`: who may do what, and access for an incident, for a limited time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from minimize.cli import options
from minimize.cli.findings import print_all
from minimize.cli.lines import on_one_line
from minimize.cli.quiet import quiet
from minimize.cli.token import token
from minimize.cli.when import TIME

if TYPE_CHECKING:
    from minimize.governance.access.acting import Verb
    from minimize.governance.access.grants import Grant
    from minimize.switching import House

log = logging.getLogger("minimize")
F = TypeVar("F", bound=Callable[..., Any])
_WHO = "Whoever acts is MINIMIZE_ACTOR, else the user of the operating system."


@click.group(name="access")
def command() -> None:
    """Roles from the access file, and just-in-time grants: asked for an incident, approved by somebody else, soon over."""


command.add_command(token)


def _data(command_: F) -> F:
    """DATASET, and what of it."""
    named = click.option("--field", "fields", multiple=True, metavar="COLUMN", help="This column; may be repeated.")
    reverse = click.option("--reidentify", is_flag=True, help="To reverse tokens, not only to read them.")
    return click.argument("dataset")(named(reverse(command_)))


@command.command("request", epilog=_WHO)
@_data
@click.option("--incident", required=True, metavar="ID", help="The incident that it is for.")
@click.option("--justification", required=True, metavar="TEXT", help="Why it is needed. Name no person.")
@click.option(
    "--tenant",
    "tenants",
    type=options.ID,
    multiple=True,
    required=True,
    metavar="T",
    help="Whose rows; may be repeated.",
)
@click.option(
    "--category",
    type=click.Choice(["aggregated", "pseudonymized", "identified"]),
    help="All columns up to this category, in place of --field.",
)
@click.option("--for", "duration", metavar="TIME", help="How long: 30m, 8h (else what the access file says).")
@click.option("--break-glass", is_flag=True, help="Take it at once: nobody approves, and it must be reviewed.")
@options.house
@options.as_json
def request(
    dataset: str,
    fields: Sequence[str],
    incident: str,
    justification: str,
    tenants: Sequence[str],
    category: Any,
    duration: str | None,
    reidentify: bool,
    break_glass: bool,
    as_json: bool,
    **places: Any,
) -> None:
    """Ask for access to DATASET (a pipeline's name, or pipeline/output) for an incident. Somebody else must approve it."""
    from minimize.governance.access.acting import request as asked
    from minimize.governance.access.asks import Wish
    from minimize.governance.access.misnamed import misnamed

    operation: Any = "reidentify" if reidentify else "read"
    columns = tuple(fields) or None
    wish = Wish(incident, justification, dataset, tuple(tenants), columns, category, _lasting(duration), operation)
    now, house = _now(), _house(places)
    found = asked(wish, house, now, break_glass=break_glass)
    for name, hint in misnamed(dataset, fields, house).items():
        log.warning("`%s` has no column `%s` (%s)", dataset, name, hint, extra={"code": "W027"})
    _show(found, now, as_json)


def _answering(verb: Verb, about: str) -> None:
    @command.command(verb, help=about, epilog=_WHO)
    @click.argument("grant")
    @click.option("--note", default="", metavar="TEXT", help="A note that goes with it.")
    @options.house
    @options.as_json
    def answered(grant: str, note: str, as_json: bool, **places: Any) -> None:
        from minimize.governance.access.acting import answer

        now = _now()
        _show(answer(verb, grant, _house(places), now, note=note), now, as_json)


_answering("approve", "Approve the request GRANT (the start of its name will do). From now on it opens what was asked.")
_answering("deny", "Deny the request GRANT.")
_answering("revoke", "End GRANT, or take a request back. One's own may be revoked without any permission.")
_answering("review", "Take down that GRANT, which nobody approved, was reviewed.")


@command.command("expire")
@options.house
@quiet
@options.as_json
def expire(as_json: bool, **places: Any) -> None:
    """Mark what has run out as expired. It opened nothing any more anyway; this writes it down, for a nightly job."""
    from minimize.governance.access.acting import expire as ended

    now = _now()
    done = ended(_house(places), now)
    body = {"expired": [each.as_json(now) for each in done]}
    options.show(body, as_json, f"{len(done)} grant(s) marked as expired")


@command.command("list", epilog=_WHO)
@click.option("--incident", metavar="ID", help="For this incident alone.")
@click.option("--all", "all_", is_flag=True, help="Those that are over, too.")
@click.option("--at", type=TIME, metavar="TIME", help="As they stood at this time (ISO 8601), not now.")
@options.house
@options.as_json
def list_(incident: str | None, all_: bool, at: str | None, as_json: bool, **places: Any) -> int:
    """Print one's own requests and grants, and those one may see. Exit 1 while break-glass access waits for its review."""
    from minimize.governance.access.showing import listed
    from minimize.times import moment

    when = moment(at) or _now()
    found = listed(_house(places), when, incident=incident, over=all_)
    text = "\n".join(_line(each, when) for each in found) or "no requests and no grants"
    options.show({"grants": [each.as_json(when) for each in found]}, as_json, text)
    return int(any(each.review(when) in ("due", "overdue") for each in found))


@command.command("why")
@click.argument("user")
@_data
@click.option(
    "--tenant",
    type=options.ID,
    metavar="T",
    help="Of an act, in place of a dataset: about this tenant, not all of them.",
)
@click.option("--group", "groups", multiple=True, metavar="G", help="A group that somebody else vouches for.")
@click.option("--purpose", metavar="WORD", help="What it is for.")
@click.option("--incident", metavar="ID", help="Under the grants for this incident.")
@click.option("--at", type=TIME, metavar="TIME", help="At this time (ISO 8601), not now.")
@options.house
@options.as_json
def why(
    user: str,
    dataset: str,
    fields: Sequence[str],
    groups: Sequence[str],
    reidentify: bool,
    at: str | None,
    as_json: bool,
    **asked: Any,
) -> int:
    """Say whether USER may see DATASET, and which columns of whom in what form, step by step. Exit 3 where not.

    Its columns are the plan's: say --pipeline. In place of DATASET, a permission such as settings/set says what USER wants to do.
    """
    from minimize.governance.access import Account
    from minimize.governance.access.permissions import PERMISSIONS
    from minimize.governance.access.showing import why as decided
    from minimize.governance.access.showing import why_act
    from minimize.times import moment

    wanted = {name: asked.pop(name) for name in ("purpose", "incident")}
    account, when, tenant = Account(user, frozenset(groups)), moment(at) or _now(), asked.pop("tenant")
    if dataset in PERMISSIONS:
        found = why_act(_house(asked), account, dataset, when, tenant=tenant)
    elif asked["pipeline"] is None:
        raise click.UsageError("say --pipeline")
    else:
        operation: Any = "reidentify" if reidentify else "read"
        found = decided(_house(asked), account, dataset, fields or None, when, **wanted, operation=operation)
    options.show(found.as_json(), as_json, "\n".join(on_one_line(str(step)) for step in found.steps))
    return 0 if found.decision.allowed else 3


@command.command("show")
@options.house
@options.as_json
def show(as_json: bool, **places: Any) -> None:
    """Print who may do what: the roles and their permissions, and who has them where."""
    from minimize.cli.tables import matrix
    from minimize.governance.access.asking import required_access
    from minimize.governance.access.showing import as_json as plain
    from minimize.governance.access.showing import assignment_lines, grid

    access = required_access(_house(places))
    if as_json:
        options.show(plain(access), as_json, "")
        return
    matrix("permission", list(access.roles), grid(access))
    click.echo("\n".join(assignment_lines(access)) or "nobody has a role")


@command.command("adopt", epilog=_WHO)
@click.option("--yes", is_flag=True, help="Do it. Without it, what would change is shown.")
@options.house
@options.as_json
def adopt(yes: bool, as_json: bool, **places: Any) -> None:
    """Adopt the access file as it is now. From the first time on, a change of it counts only once it was adopted.

    It takes `roles/assign` under the file that counts until then, and nobody gives a role to themselves.
    """
    from minimize.governance.access.adopting import adopt as adopted

    change = adopted(_house(places), _now(), yes=yes)
    lines = [*(f"+ {line}" for line in change.comes), *(f"- {line}" for line in change.goes)]
    end = "it counts already" if not change.is_needed else "adopted" if yes else "nothing was changed: --yes does it"
    body = {**change.as_json(), "adopted": yes or not change.is_needed}
    options.show(body, as_json, "\n".join([*map(on_one_line, lines), end]))


@command.command("lint")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@options.fail_on
@options.house
@options.as_json
def lint(file: str | None, fail_on: str, as_json: bool, **places: Any) -> int:
    """All faults and risky choices of FILE, else of the access file that counts; with --pipeline held against its plan."""
    from minimize.governance.access.lint import lint as judged

    house = _house(places)
    return print_all(judged(file, house), fail_on, as_json)


def _show(grant: Grant, now: datetime, as_json: bool) -> None:
    options.show(grant.as_json(now), as_json, _line(grant, now))


def _line(grant: Grant, at: datetime) -> str:
    asked, ends = grant.asked, grant.ends_at(at)
    what = ", ".join(asked.columns or (f"up to {asked.category}",))
    times = f", until {ends:%Y-%m-%dT%H:%M:%SZ}" if ends else ""
    if ends is None and grant.answer_by is not None and grant.state(at) == "requested":
        times = f", answer by {grant.answer_by:%Y-%m-%dT%H:%M:%SZ}"
    glass = f"  BREAK-GLASS, review {grant.review(at)}" if grant.is_break_glass else ""
    reverse = " (reidentify)" if asked.operation == "reidentify" else ""
    whose = f"{grant.requester}  {asked.incident}  {asked.dataset}{reverse}: {what} of {', '.join(asked.tenants)}"
    return on_one_line(f"{grant.id}  {grant.state(at)}{times}  {whose}{glass}")


def _lasting(text: str | None) -> timedelta | None:
    from minimize.policy.durations import duration

    found = duration(text)
    if text is not None and found is None:
        raise click.UsageError("--for wants a length of time: 45s, 30m, 8h")
    return found


def _house(places: dict[str, Any]) -> House:
    from minimize.switching import House

    return House(**places)


def _now() -> datetime:
    return datetime.now(UTC)
