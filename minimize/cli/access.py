"""`minimize access`: API tokens of the server, roles of the access file, and grants for incidents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from minimize.access import UserAccount
from minimize.access.permissions import PERMISSIONS
from minimize.cli.options import AT_OR_NOW, DURATION, FILE, OPTIONS, WORKSPACE
from minimize.cli.verb import examples, verb
from minimize.governance.access_explain import explain_access, list_grants, show_access
from minimize.governance.access_file import create_access_file, lint_access
from minimize.governance.grants import NewGrant, adopt_access, answer_grant, expire_grants, request_grant
from minimize.ledger import current_actor
from minimize.results import LintResult, Listing, Printable, ResultAt
from minimize.server.api_tokens import confirm_api_token, issue_api_token, list_api_tokens, revoke_api_token
from minimize.text import similar_words
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.governance.grants import GrantVerb


@examples("minimize access token --for 8h", "minimize access token --actor analyst@example.com --for 8h")
@verb(
    "token",
    click.Option(
        ["--actor", "user"],
        metavar="NAME",
        help="Another account, for which the token is requested. [default: the acting account]",
    ),
    click.Option(
        ["--for", "lasts"], type=DURATION, metavar="TIME", help="Lifetime, such as 30m, 8h or 30d. [default: 8h]"
    ),
    click.Option(["--single-use", "once"], is_flag=True, help="Make the token valid for one call only."),
    *WORKSPACE,
    kind=click.Group,
    invoke_without_command=True,
)
def token_group(workspace: Workspace, now: datetime, user: str | None, **terms: Any) -> Printable:
    """Create an API token of the server for your own account, or request one for another account.

    The token is printed once. The ledger stores only a keyed digest of the token. The token identifies an account. At each
    read, the access file and the grants decide what the account may see.

    A request for another account needs `token/make` and prints no token: another person makes it with `access token confirm`.
    """
    return issue_api_token(workspace, user, now, **terms)


@examples("minimize access token list")
@verb("list", *WORKSPACE, group=token_group)
def list_tokens_command(workspace: Workspace, now: datetime) -> Printable:
    """List API tokens: name, account, state and expiry. A name does not give access."""
    return Listing("tokens", list_api_tokens(workspace, now), "no tokens")


@examples("minimize access token confirm NAME")
@verb("confirm", click.Argument(["name"]), *WORKSPACE, group=token_group)
def confirm_token_command(workspace: Workspace, now: datetime, name: str) -> Printable:
    """Make the token NAME, which another person requested, and print it once.

    Its account can do this, or an account with `token/make` whose roles do not conflict with those of the token's account.
    """
    return confirm_api_token(workspace, name, now)


@examples("minimize access token revoke NAME")
@verb("revoke", click.Argument(["name"]), *WORKSPACE, group=token_group)
def revoke_token_command(workspace: Workspace, now: datetime, name: str) -> Printable:
    """Revoke the token NAME, and stop the reads that use it."""
    return revoke_api_token(workspace, name, now)


_ACTOR_HELP: Final = "The acting account is MINIMIZE_ACTOR, or else the user of the operating system."
_DATASET: Final = (
    click.Argument(["dataset"]),
    click.Option(["--field", "columns"], multiple=True, metavar="COLUMN", help="Only this column. Repeatable."),
    click.Option(
        ["--reidentify", "operation"],
        flag_value="reidentify",
        default="read",
        help="Access to reverse tokens, not only to read them.",
    ),
)


@click.group(name="access")
def access_group() -> None:
    """Manage roles, grants for incidents and API tokens.

    Roles come from the access file. A grant gives access for one incident and a limited time; another account must approve it.
    """


access_group.add_command(token_group)


@examples(
    "minimize access request device_support --field phone_number --tenant contoso \\\n"
    '      --incident INC-7 --reason "A device is lost." --for 4h'
)
@verb(
    "request",
    *_DATASET,
    click.Option(
        ["--incident"],
        default="",
        metavar="ID",
        help="Open incident that needs the access. With --break-glass optional: a name for the incident that it opens.",
    ),
    click.Option(["--reason", "justification"], required=True, metavar="TEXT", help="Reason, without personal data."),
    OPTIONS["--tenant"](
        param_decls=["--tenant", "tenants"],
        multiple=True,
        required=True,
        help="Only rows of this tenant. Repeatable.",
    ),
    click.Option(
        ["--category"],
        type=click.Choice(["aggregated", "pseudonymized", "identified"]),
        help="All columns up to this category, instead of --field.",
    ),
    click.Option(
        ["--for", "duration"],
        type=DURATION,
        metavar="TIME",
        help="Duration, such as 30m or 8h. [default: from the access file]",
    ),
    click.Option(
        ["--break-glass"], is_flag=True, help="Start the access at once, without approval. It must be reviewed."
    ),
    *WORKSPACE,
    group=access_group,
    epilog=_ACTOR_HELP,
)
def request_command(
    workspace: Workspace, now: datetime, columns: tuple[str, ...], break_glass: bool, **terms: Any
) -> Printable:
    """Request access to DATASET for an open incident. Another account must approve it.

    DATASET is the name of a pipeline, or pipeline/output. The incident must concern all tenants of the request. Closing it ends
    the access. --break-glass opens a support incident of its own.
    """
    request = NewGrant(columns=columns or None, **terms)
    return ResultAt(request_grant(request, workspace, now, break_glass=break_glass), now)


_NOTE: Final = click.Option(["--reason", "note"], default="", metavar="TEXT", help="Reason, without personal data.")


def _add_answer_command(name: GrantVerb, about: str, example: str) -> None:
    def answer_command(workspace: Workspace, now: datetime, grant: str, note: str) -> Printable:
        return ResultAt(answer_grant(name, grant, workspace, now, note=note), now)

    answer_command.__doc__ = about
    make_command = verb(name, click.Argument(["grant"]), _NOTE, *WORKSPACE, group=access_group, epilog=_ACTOR_HELP)
    examples(example)(make_command(answer_command))


_add_answer_command(
    "approve",
    "Approve the request GRANT. The access starts now. The start of the name is enough.",
    'minimize access approve GRANT --reason "Checked with the customer."',
)
_add_answer_command("deny", "Deny the request GRANT.", 'minimize access deny GRANT --reason "Not needed."')
_add_answer_command(
    "revoke", "End GRANT, or withdraw a request. You need no permission for your own.", "minimize access revoke GRANT"
)
_add_answer_command(
    "review", "Record that break-glass GRANT was reviewed.", 'minimize access review GRANT --reason "It was needed."'
)


@examples("minimize access mark-expired")
@verb("mark-expired", *WORKSPACE, group=access_group, quiet=True)
def mark_expired_command(workspace: Workspace, now: datetime) -> Printable:
    """Mark grants that have ended as expired, for a nightly job. They already give no access."""
    return expire_grants(workspace, now)


@examples("minimize access list --incident INC-7")
@verb(
    "list",
    click.Option(["--incident"], metavar="ID", help="Only this incident."),
    click.Option(["--all", "over"], is_flag=True, help="Also list grants that have ended."),
    AT_OR_NOW,
    *WORKSPACE,
    group=access_group,
    epilog=_ACTOR_HELP,
)
def list_grants_command(workspace: Workspace, now: datetime, **filters: Any) -> Printable:
    """List your requests and grants, and others that you may see. Exits with 1 if a break-glass grant needs a review."""
    grants = list_grants(workspace, now, **filters)
    awaits_review = any(each.review(now) in ("due", "overdue") for each in grants)
    return Listing(
        "grants", [ResultAt(each, now) for each in grants], "no requests or grants", exit_code=int(awaits_review)
    )


@examples(
    "minimize access explain support-engineer@example.com device_support --field phone_number \\\n"
    "      --purpose customer_support --incident INC-7 --pipeline pipelines/device_support"
)
@verb(
    "explain",
    click.Argument(["user"]),
    *_DATASET,
    OPTIONS["--tenant"](help="Tenant that the permission must cover. [default: all tenants]"),
    click.Option(
        ["--group", "groups"],
        multiple=True,
        metavar="G",
        help="Group of the account, from another system. Repeatable.",
    ),
    click.Option(["--purpose"], metavar="WORD", help="Purpose of the access."),
    click.Option(["--incident"], metavar="ID", help="Apply the grants for this incident."),
    AT_OR_NOW,
    *WORKSPACE,
    group=access_group,
)
def explain_command(
    workspace: Workspace,
    now: datetime,
    user: str,
    groups: Sequence[str],
    dataset: str,
    columns: Sequence[str],
    **question: Any,
) -> Printable:
    """Explain whether USER may see DATASET.

    Prints the columns, rows and forms, step by step. Exits with 3 if USER may not. Pass --pipeline: its plan has the columns.
    Instead of DATASET you can pass a permission such as settings/set.
    """
    if workspace.pipeline is None and dataset not in PERMISSIONS and not similar_words(dataset, PERMISSIONS):
        raise click.UsageError("no pipeline. Pass --pipeline PIPELINE: its plan lists the columns.")
    account = UserAccount(user, frozenset(groups))
    return explain_access(workspace, account, dataset, columns or None, now, **question)


@examples("minimize access show")
@verb("show", *WORKSPACE, group=access_group)
def show_command(workspace: Workspace) -> Printable:
    """Show roles, permissions and accounts."""
    return show_access(workspace)


@examples("minimize access new new-access.yaml --tenant contoso")
@verb(
    "new",
    click.Argument(["file"], type=FILE),
    click.Option(
        ["--tenant", "tenants"],
        multiple=True,
        metavar="T",
        help="Tenant whose administrator is to be in the file. Repeatable.",
    ),
    group=access_group,
)
def new_command(now: datetime, file: str, tenants: tuple[str, ...]) -> Printable:
    """Create the access file FILE: an example account for each built-in role, and the acting account as operator.

    An existing file is not overwritten. `access: FILE` in minimize.yaml puts the file in force.
    """
    return create_access_file(file, current_actor().user or "", tenants)


@examples("minimize access adopt --yes")
@verb("adopt", "--yes", *WORKSPACE, group=access_group, epilog=_ACTOR_HELP)
def adopt_command(workspace: Workspace, now: datetime, yes: bool) -> Printable:
    """Adopt the current access file. After the first adoption, changes to the file apply only after they are adopted.

    You need the permission `roles/assign` under the adopted file. You cannot give yourself a role, nor end a denial of your own.
    """
    return adopt_access(workspace, now, yes=yes)


@examples("minimize access lint access.yaml")
@verb("lint", click.Argument(["file"], type=FILE, required=False), "--fail-on", *WORKSPACE, group=access_group)
def lint_command(workspace: Workspace, file: str | None, fail_on: str) -> Printable:
    """Check an access file and its risks.

    FILE defaults to the access file of minimize.yaml. With --pipeline it is compared with the plan, too.
    """
    return LintResult(lint_access(file, workspace), fail_on)
