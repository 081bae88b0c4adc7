"""`minimize access`: API tokens of the server, roles of the access file, and grants for incidents."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from minimize.cli import options
from minimize.cli.options import DURATION, TIME, command_workspace, quiet
from minimize.cli.printing import print_lint_findings
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
from minimize.governance.access.permissions import PERMISSIONS
from minimize.governance.access.workflow import NewGrant, adopt_access, answer_grant, expire_grants, request_grant
from minimize.ledger import current_actor
from minimize.results import UNCHANGED_HINT
from minimize.server.api_tokens import issue_api_token, list_api_tokens, revoke_api_token
from minimize.text import count_noun, single_line
from minimize.times import parse_time, seconds_text, utc_now

if TYPE_CHECKING:
    from minimize.governance.access.grants import Grant
    from minimize.governance.access.workflow import GrantVerb
from minimize.server.api_tokens import TokenInfo


@click.group(name="token", invoke_without_command=True)
@click.option("--user", metavar="NAME", help="Account of the token. [env: MINIMIZE_ACTOR]")
@click.option("--for", "lasts", type=DURATION, metavar="TIME", help="Lifetime, such as 30m, 8h or 30d. [default: 8h]")
@click.option("--single-use", "once", is_flag=True, help="Make the token valid for one call only.")
@options.workspace
@options.as_json
def token_group(user: str | None, lasts: timedelta | None, once: bool, as_json: bool, **places: Any) -> None:
    """Create an API token of the server.

    The token is printed once. The ledger stores only a keyed digest of the token. The token identifies an account. At each
    read, the access file and the grants decide what the account may see.
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
    options.print_result({**made.to_json(), "secret": text}, as_json, text)
    if not as_json:
        click.echo(f"{_token_line(made)}; it is not shown again", err=True)


@token_group.command("list")
@options.workspace
@options.as_json
def list_tokens_command(as_json: bool, **places: Any) -> None:
    """List API tokens: name, account, state and expiry. A name does not give access."""
    found = list_api_tokens(command_workspace(places), utc_now())
    options.print_result(
        {"tokens": [each.to_json() for each in found]}, as_json, "\n".join(map(_token_line, found)) or "no tokens"
    )


@token_group.command("revoke")
@click.argument("name")
@options.workspace
@options.as_json
def revoke_token_command(name: str, as_json: bool, **places: Any) -> None:
    """Revoke the token NAME, and stop the reads that use it."""
    revoke_api_token(command_workspace(places), name, utc_now())
    options.print_result({"revoked": name}, as_json, f"revoked {name}")


def _token_line(token: TokenInfo) -> str:
    once = ", single use" if token.once else ""
    return f"{token.token}  {token.user}  {token.state}  until {seconds_text(token.expires_at)}{once}"


log = logging.getLogger("minimize")
F = TypeVar("F", bound=Callable[..., Any])
_ACTOR_HELP = "The acting account is MINIMIZE_ACTOR, or else the user of the operating system."


@click.group(name="access")
def access_group() -> None:
    """Manage roles, grants for incidents and API tokens.

    Roles come from the access file. A grant gives access for one incident and a limited time; another account must approve it.
    """


access_group.add_command(token_group)


def _dataset_arguments(command_: F) -> F:
    """Adds the argument DATASET, `--field` and `--reidentify`."""
    named = click.option("--field", "fields", multiple=True, metavar="COLUMN", help="Only this column. Repeatable.")
    reverse = click.option("--reidentify", is_flag=True, help="Access to reverse tokens, not only to read them.")
    return click.argument("dataset")(named(reverse(command_)))


@access_group.command("request", epilog=_ACTOR_HELP)
@_dataset_arguments
@click.option("--incident", required=True, metavar="ID", help="Incident that needs the access.")
@click.option("--justification", required=True, metavar="TEXT", help="Reason, without personal data.")
@click.option(
    "--tenant",
    "tenants",
    type=options.ID,
    multiple=True,
    required=True,
    metavar="T",
    help="Only rows of this tenant. Repeatable.",
)
@click.option(
    "--category",
    type=click.Choice(["aggregated", "pseudonymized", "identified"]),
    help="All columns up to this category, instead of --field.",
)
@click.option(
    "--for",
    "duration",
    type=DURATION,
    metavar="TIME",
    help="Duration, such as 30m or 8h. [default: from the access file]",
)
@click.option("--break-glass", is_flag=True, help="Start the access at once, without approval. It must be reviewed.")
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
    """Request access to DATASET for an incident. Another account must approve it.

    DATASET is the name of a pipeline, or pipeline/output.
    """
    operation: Any = "reidentify" if reidentify else "read"
    columns = tuple(fields) or None
    request = NewGrant(incident, justification, dataset, tuple(tenants), columns, category, duration, operation)
    now, workspace = utc_now(), command_workspace(places)
    found = request_grant(request, workspace, now, break_glass=break_glass)
    for name, hint in unknown_columns(dataset, fields, workspace).items():
        log.warning("`%s` has no column `%s` (%s)", dataset, name, hint, extra={"code": "W027"})
    _print_grant(found, now, as_json)


def _add_answer_command(verb: GrantVerb, about: str) -> None:
    @access_group.command(verb, help=about, epilog=_ACTOR_HELP)
    @click.argument("grant")
    @click.option("--reason", "note", default="", metavar="TEXT", help="Reason, without personal data.")
    @options.workspace
    @options.as_json
    def answer_command(grant: str, note: str, as_json: bool, **places: Any) -> None:
        now = utc_now()
        _print_grant(answer_grant(verb, grant, command_workspace(places), now, note=note), now, as_json)


_add_answer_command("approve", "Approve the request GRANT. The access starts now. The start of the name is enough.")
_add_answer_command("deny", "Deny the request GRANT.")
_add_answer_command("revoke", "End GRANT, or withdraw a request. You need no permission for your own.")
_add_answer_command("review", "Record that break-glass GRANT was reviewed.")


@access_group.command("expire")
@options.workspace
@quiet
@options.as_json
def expire_command(as_json: bool, **places: Any) -> None:
    """Mark grants that have ended as expired, for a nightly job. They already give no access."""
    now = utc_now()
    done = expire_grants(command_workspace(places), now)
    body = {"expired": [each.to_json(now) for each in done]}
    options.print_result(body, as_json, f"{count_noun(len(done), 'grant')} marked as expired")


@access_group.command("list", epilog=_ACTOR_HELP)
@click.option("--incident", metavar="ID", help="Only this incident.")
@click.option("--all", "all_", is_flag=True, help="Also list grants that have ended.")
@click.option("--at", type=TIME, metavar="TIME", help=options.AT_HELP)
@options.workspace
@options.as_json
def list_grants_command(incident: str | None, all_: bool, at: str | None, as_json: bool, **places: Any) -> int:
    """List your requests and grants, and others that you may see. Exits with 1 if a break-glass grant needs a review."""
    when = parse_time(at) or utc_now()
    found = list_grants(command_workspace(places), when, incident=incident, over=all_)
    text = "\n".join(_grant_line(each, when) for each in found) or "no requests or grants"
    options.print_result({"grants": [each.to_json(when) for each in found]}, as_json, text)
    return int(any(each.review(when) in ("due", "overdue") for each in found))


@access_group.command("why")
@click.argument("user")
@_dataset_arguments
@click.option(
    "--tenant",
    type=options.ID,
    metavar="T",
    help="Tenant that the permission must cover. [default: all tenants]",
)
@click.option(
    "--group", "groups", multiple=True, metavar="G", help="Group of the account, from another system. Repeatable."
)
@click.option("--purpose", metavar="WORD", help="Purpose of the access.")
@click.option("--incident", metavar="ID", help="Apply the grants for this incident.")
@click.option("--at", type=TIME, metavar="TIME", help=options.AT_HELP)
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
    """Explain whether USER may see DATASET.

    Prints the columns, rows and forms, step by step. Exits with 3 if USER may not. Pass --pipeline: its plan has the columns.
    Instead of DATASET you can pass a permission such as settings/set.
    """
    wanted = {name: arguments.pop(name) for name in ("purpose", "incident")}
    account, when, tenant = UserAccount(user, frozenset(groups)), parse_time(at) or utc_now(), arguments.pop("tenant")
    if dataset in PERMISSIONS:
        found = explain_permission(command_workspace(arguments), account, dataset, when, tenant=tenant)
    elif arguments["pipeline"] is None:
        raise click.UsageError("the columns are in the plan. Pass --pipeline PIPELINE.")
    else:
        operation: Any = "reidentify" if reidentify else "read"
        found = explain_access(
            command_workspace(arguments), account, dataset, fields or None, when, **wanted, operation=operation
        )
    options.print_result(found.to_json(), as_json, "\n".join(single_line(str(step)) for step in found.steps))
    return 0 if found.decision.allowed else 3


@access_group.command("show")
@options.workspace
@options.as_json
def show_command(as_json: bool, **places: Any) -> None:
    """Show roles, permissions and accounts."""
    access = required_access(command_workspace(places))
    if as_json:
        options.print_result(access_json(access), as_json, "")
        return
    print_matrix("permission", list(access.roles), permission_grid(access))
    click.echo("\n".join(assignment_lines(access)) or "no account has a role")


@access_group.command("adopt", epilog=_ACTOR_HELP)
@click.option("--yes", is_flag=True, help=options.APPLY_HELP)
@options.workspace
@options.as_json
def adopt_command(yes: bool, as_json: bool, **places: Any) -> None:
    """Adopt the current access file. After the first adoption, changes to the file apply only after they are adopted.

    You need the permission `roles/assign` under the adopted file, and you cannot give yourself a role.
    """
    change = adopt_access(command_workspace(places), utc_now(), yes=yes)
    lines = [*(f"+ {line}" for line in change.added), *(f"- {line}" for line in change.removed)]
    end = (
        "nothing to do: the access file is already adopted"
        if not change.is_needed
        else "adopted"
        if yes
        else UNCHANGED_HINT
    )
    body = {**change.to_json(), "adopted": yes or not change.is_needed}
    options.print_result(body, as_json, "\n".join([*map(single_line, lines), end]))


@access_group.command("lint")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@options.fail_on
@options.workspace
@options.as_json
def lint_command(file: str | None, fail_on: str, as_json: bool, **places: Any) -> int:
    """Check an access file and its risks.

    FILE defaults to the access file of minimize.yaml. With --pipeline it is compared with the plan, too.
    """
    workspace = command_workspace(places)
    return print_lint_findings(lint_access(file, workspace), fail_on, as_json)


def _print_grant(grant: Grant, now: datetime, as_json: bool) -> None:
    options.print_result(grant.to_json(now), as_json, _grant_line(grant, now))


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
