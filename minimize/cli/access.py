"""`minimize access`: API tokens of the server, the access file, and access for an incident, for a limited time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from minimize.cli import options
from minimize.cli.options import DURATION, TIME, command_workspace, quiet
from minimize.cli.printing import UNCHANGED_HINT, print_lint_findings, single_line
from minimize.cli.tables import print_matrix
from minimize.governance.access import UserAccount
from minimize.governance.access.enforcement import required_access
from minimize.governance.access.explain import (
    access_json,
    assignment_lines,
    explain_access,
    explain_permission,
    list_grants,
    permission_grid,
    unknown_columns,
)
from minimize.governance.access.lint import lint_access
from minimize.governance.access.model import PERMISSIONS
from minimize.governance.access.workflow import NewGrant, adopt_access, answer_grant, expire_grants, request_grant
from minimize.ledger import current_actor
from minimize.server.api_tokens import issue_api_token, list_api_tokens, revoke_api_token
from minimize.times import parse_time, seconds_text, utc_now

if TYPE_CHECKING:
    from minimize.governance.access.grants import Grant
    from minimize.governance.access.workflow import GrantVerb
    from minimize.server.api_tokens import TokenInfo


@click.group(name="token", invoke_without_command=True)
@click.option("--user", metavar="NAME", help="The account that it is for; else whoever acts (MINIMIZE_ACTOR).")
@click.option(
    "--for", "lasts", type=DURATION, metavar="TIME", help="How long it lasts: 30m, 8h, 30d; 8h where nothing is said."
)
@click.option("--once", is_flag=True, help="It opens the door for one call alone.")
@options.workspace
@options.as_json
def token_group(user: str | None, lasts: timedelta | None, once: bool, as_json: bool, **places: Any) -> None:
    """Make a token for `minimize serve`, and print it, once: the ledger keeps a keyed digest of it.

    It says who comes, and nothing of what they may see: that is the access file's and the grants', whenever something is read.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    text, made = issue_api_token(
        command_workspace(places),
        user or current_actor().user or "",
        utc_now(),
        lasts=lasts,
        once=once,
    )
    options.print_result({**made.as_json(), "secret": text}, as_json, text)
    if not as_json:
        click.echo(f"{_token_line(made)}; it is not shown again", err=True)


@token_group.command("list")
@options.workspace
@options.as_json
def list_tokens_command(as_json: bool, **places: Any) -> None:
    """The tokens that were made: whose, until when, in which state. Their names open nothing."""
    found = list_api_tokens(command_workspace(places), utc_now())
    options.print_result(
        {"tokens": [each.as_json() for each in found]}, as_json, "\n".join(map(_token_line, found)) or "no tokens"
    )


@token_group.command("revoke")
@click.argument("name")
@options.workspace
@options.as_json
def revoke_token_command(name: str, as_json: bool, **places: Any) -> None:
    """End the token of this NAME, and the reads that go on by it."""
    revoke_api_token(command_workspace(places), name, utc_now())
    options.print_result({"revoked": name}, as_json, f"{name} opens nothing any more")


def _token_line(token: TokenInfo) -> str:
    once = ", once" if token.once else ""
    return f"{token.token}  {token.user}  {token.state}  until {seconds_text(token.expires_at)}{once}"


log = logging.getLogger("minimize")
F = TypeVar("F", bound=Callable[..., Any])
_ACTOR_HELP = "Whoever acts is MINIMIZE_ACTOR, else the user of the operating system."


@click.group(name="access")
def access_group() -> None:
    """Roles from the access file, and just-in-time grants: asked for an incident, approved by somebody else, soon over."""


access_group.add_command(token_group)


def _dataset_arguments(command_: F) -> F:
    """DATASET, and what of it."""
    named = click.option("--field", "fields", multiple=True, metavar="COLUMN", help="This column; may be repeated.")
    reverse = click.option("--reidentify", is_flag=True, help="To reverse tokens, not only to read them.")
    return click.argument("dataset")(named(reverse(command_)))


@access_group.command("request", epilog=_ACTOR_HELP)
@_dataset_arguments
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
@click.option(
    "--for", "duration", type=DURATION, metavar="TIME", help="How long: 30m, 8h (else what the access file says)."
)
@click.option("--break-glass", is_flag=True, help="Take it at once: nobody approves, and it must be reviewed.")
@options.workspace
@options.as_json
def request_command(
    dataset: str,
    fields: Sequence[str],
    incident: str,
    justification: str,
    tenants: Sequence[str],
    category: Any,
    duration: timedelta | None,
    reidentify: bool,
    break_glass: bool,
    as_json: bool,
    **places: Any,
) -> None:
    """Ask for access to DATASET (a pipeline's name, or pipeline/output) for an incident. Somebody else must approve it."""
    operation: Any = "reidentify" if reidentify else "read"
    columns = tuple(fields) or None
    wish = NewGrant(incident, justification, dataset, tuple(tenants), columns, category, duration, operation)
    now, house = utc_now(), command_workspace(places)
    found = request_grant(wish, house, now, break_glass=break_glass)
    for name, hint in unknown_columns(dataset, fields, house).items():
        log.warning("`%s` has no column `%s` (%s)", dataset, name, hint, extra={"code": "W027"})
    _print_grant(found, now, as_json)


def _add_answer_command(verb: GrantVerb, about: str) -> None:
    @access_group.command(verb, help=about, epilog=_ACTOR_HELP)
    @click.argument("grant")
    @click.option("--note", default="", metavar="TEXT", help="A note that goes with it.")
    @options.workspace
    @options.as_json
    def answer_command(grant: str, note: str, as_json: bool, **places: Any) -> None:
        now = utc_now()
        _print_grant(answer_grant(verb, grant, command_workspace(places), now, note=note), now, as_json)


_add_answer_command(
    "approve", "Approve the request GRANT (the start of its name will do). From now on it opens what was asked."
)
_add_answer_command("deny", "Deny the request GRANT.")
_add_answer_command("revoke", "End GRANT, or take a request back. One's own may be revoked without any permission.")
_add_answer_command("review", "Take down that GRANT, which nobody approved, was reviewed.")


@access_group.command("expire")
@options.workspace
@quiet
@options.as_json
def expire_command(as_json: bool, **places: Any) -> None:
    """Mark what has run out as expired. It opened nothing any more anyway; this writes it down, for a nightly job."""
    now = utc_now()
    done = expire_grants(command_workspace(places), now)
    body = {"expired": [each.as_json(now) for each in done]}
    options.print_result(body, as_json, f"{len(done)} grant(s) marked as expired")


@access_group.command("list", epilog=_ACTOR_HELP)
@click.option("--incident", metavar="ID", help="For this incident alone.")
@click.option("--all", "all_", is_flag=True, help="Those that are over, too.")
@click.option("--at", type=TIME, metavar="TIME", help="As they stood at this time (ISO 8601), not now.")
@options.workspace
@options.as_json
def list_grants_command(incident: str | None, all_: bool, at: str | None, as_json: bool, **places: Any) -> int:
    """Print one's own requests and grants, and those one may see. Exit 1 while break-glass access waits for its review."""
    when = parse_time(at) or utc_now()
    found = list_grants(command_workspace(places), when, incident=incident, over=all_)
    text = "\n".join(_grant_line(each, when) for each in found) or "no requests and no grants"
    options.print_result({"grants": [each.as_json(when) for each in found]}, as_json, text)
    return int(any(each.review(when) in ("due", "overdue") for each in found))


@access_group.command("why")
@click.argument("user")
@_dataset_arguments
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
@options.workspace
@options.as_json
def why_command(
    user: str,
    dataset: str,
    fields: Sequence[str],
    groups: Sequence[str],
    reidentify: bool,
    at: str | None,
    as_json: bool,
    **arguments: Any,
) -> int:
    """Say whether USER may see DATASET, and which columns of whom in what form, step by step. Exit 3 where not.

    Its columns are the plan's: say --pipeline. In place of DATASET, a permission such as settings/set says what USER wants to do.
    """
    wanted = {name: arguments.pop(name) for name in ("purpose", "incident")}
    account, when, tenant = UserAccount(user, frozenset(groups)), parse_time(at) or utc_now(), arguments.pop("tenant")
    if dataset in PERMISSIONS:
        found = explain_permission(command_workspace(arguments), account, dataset, when, tenant=tenant)
    elif arguments["pipeline"] is None:
        raise click.UsageError("say --pipeline")
    else:
        operation: Any = "reidentify" if reidentify else "read"
        found = explain_access(
            command_workspace(arguments), account, dataset, fields or None, when, **wanted, operation=operation
        )
    options.print_result(found.as_json(), as_json, "\n".join(single_line(str(step)) for step in found.steps))
    return 0 if found.decision.allowed else 3


@access_group.command("show")
@options.workspace
@options.as_json
def show_command(as_json: bool, **places: Any) -> None:
    """Print who may do what: the roles and their permissions, and who has them where."""
    access = required_access(command_workspace(places))
    if as_json:
        options.print_result(access_json(access), as_json, "")
        return
    print_matrix("permission", list(access.roles), permission_grid(access))
    click.echo("\n".join(assignment_lines(access)) or "nobody has a role")


@access_group.command("adopt", epilog=_ACTOR_HELP)
@click.option("--yes", is_flag=True, help="Do it. Without it, what would change is shown.")
@options.workspace
@options.as_json
def adopt_command(yes: bool, as_json: bool, **places: Any) -> None:
    """Adopt the access file as it is now. From the first time on, a change of it counts only once it was adopted.

    It takes `roles/assign` under the file that counts until then, and nobody gives a role to themselves.
    """
    change = adopt_access(command_workspace(places), utc_now(), yes=yes)
    lines = [*(f"+ {line}" for line in change.added), *(f"- {line}" for line in change.removed)]
    end = "it counts already" if not change.is_needed else "adopted" if yes else UNCHANGED_HINT
    body = {**change.as_json(), "adopted": yes or not change.is_needed}
    options.print_result(body, as_json, "\n".join([*map(single_line, lines), end]))


@access_group.command("lint")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@options.fail_on
@options.workspace
@options.as_json
def lint_command(file: str | None, fail_on: str, as_json: bool, **places: Any) -> int:
    """All faults and risky choices of FILE, else of the access file that counts; with --pipeline held against its plan."""
    house = command_workspace(places)
    return print_lint_findings(lint_access(file, house), fail_on, as_json)


def _print_grant(grant: Grant, now: datetime, as_json: bool) -> None:
    options.print_result(grant.as_json(now), as_json, _grant_line(grant, now))


def _grant_line(grant: Grant, at: datetime) -> str:
    request, ends = grant.request, grant.ends_at(at)
    what = ", ".join(request.columns or (f"up to {request.category}",))
    times = f", until {seconds_text(ends)}" if ends else ""
    if ends is None and grant.answer_by is not None and grant.state(at) == "requested":
        times = f", answer by {seconds_text(grant.answer_by)}"
    glass = f"  BREAK-GLASS, review {grant.review(at)}" if grant.is_break_glass else ""
    reverse = " (reidentify)" if request.operation == "reidentify" else ""
    concerns = (
        f"{grant.requester}  {request.incident}  {request.dataset}{reverse}: {what} of {', '.join(request.tenants)}"
    )
    return single_line(f"{grant.id}  {grant.state(at)}{times}  {concerns}{glass}")
