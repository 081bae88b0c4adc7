"""`minimize functions`: functions of third parties that a tenant turns on and off."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import click

from minimize.cli.options import EVIDENCE, WORKSPACE
from minimize.cli.printing import write_page
from minimize.cli.verb import examples, verb
from minimize.governance.consent import NewConsent
from minimize.governance.functions import confirm_prerequisite, enable_function, show_functions
from minimize.governance.sharing import end_consent
from minimize.pages import html_page
from minimize.results import Printable
from minimize.server.api_tokens import find_evidence
from minimize.workspace import Workspace


@click.group(name="functions")
def functions_group() -> None:
    """Turn functions of third parties on and off for a tenant.

    Turning a function on asks the tenant's administrator for consent. Data moves once the administrator agreed, the tenant's
    contract with an independent controller permits it, and all prerequisites are confirmed.
    """


@examples("minimize functions list contoso")
@verb(
    "list",
    *("TENANT", "--recipient", "--html", "--recipients"),
    *WORKSPACE,
    group=functions_group,
)
def list_command(workspace: Workspace, now: datetime, tenant: str, html: str | None, **filters: Any) -> Printable:
    """List the functions that TENANT uses or can use, and what is missing for each.

    The page (--html) is for the administrator of TENANT. It has the text and the fields of each open request, and how to answer.
    """
    functions = show_functions(tenant, workspace, now, **filters)
    return functions if html is None else write_page(functions, html, html_page(functions.document))


@examples("minimize functions enable contoso apple push")
@verb(
    "enable",
    *("TENANT", "RECIPIENT", "FUNCTION", "--recipients"),
    *WORKSPACE,
    group=functions_group,
)
def enable_command(workspace: Workspace, now: datetime, **named: Any) -> Printable:
    """Ask the administrator of TENANT to turn on FUNCTION of RECIPIENT.

    Records the request, and prints the text to agree to and what else is missing. The command of `notify:` in minimize.yaml
    gets a message for the administrator, who answers with `minimize consent give` or `minimize consent refuse`. Exits with 1
    if that command failed.
    """
    return enable_function(workspace=workspace, now=now, **named)


@examples("minimize functions disable contoso apple push --reference TICKET-9")
@verb(
    "disable",
    *("TENANT", "RECIPIENT", "FUNCTION", "--to", *EVIDENCE, "--recipients"),
    *WORKSPACE,
    group=functions_group,
)
def disable_command(
    workspace: Workspace,
    now: datetime,
    tenant: str,
    recipient: str,
    function: str,
    to: str | None,
    document: str | None,
    reference: str | None,
    token_file: str | None,
    recipients: str | None,
) -> Printable:
    """Turn off FUNCTION of RECIPIENT for TENANT. This is the withdrawal of the consent.

    Sharing ends, and RECIPIENT is asked to delete what it received. Prints the steps that remain on either side. Needs an API
    token of the acting account, or a document.
    """
    search = partial(find_evidence, workspace, now, document=document, reference=reference, token_file=token_file)
    consent = NewConsent(tenant, recipient, function)
    return end_consent("withdraw", consent, workspace, now, recipients=recipients, find_evidence=search, to=to)


@examples(
    "minimize functions confirm contoso apple apple_push_certificate --document certificate.pdf",
    "minimize functions confirm contoso jamf admin_consent --permission update_device_attributes --document grant.pdf",
)
@verb(
    "confirm",
    *("TENANT", "RECIPIENT"),
    click.Argument(["requirement"]),
    *EVIDENCE,
    click.Option(
        ["--permission", "permissions"],
        multiple=True,
        metavar="NAME",
        help="Permission that an administrator of TENANT has granted, for the prerequisite admin_consent. Repeatable.",
    ),
    click.Option(["--revoke"], is_flag=True, help="Record that the prerequisite is no longer met."),
    "--recipients",
    *WORKSPACE,
    group=functions_group,
)
def confirm_command(
    workspace: Workspace,
    now: datetime,
    document: str | None,
    reference: str | None,
    token_file: str | None,
    **named: Any,
) -> Printable:
    """Record that TENANT meets REQUIREMENT of the functions of RECIPIENT, such as an account there.

    Needs an API token of the acting account, which is an administrator of TENANT, or the file of a document (--document).
    """
    search = partial(find_evidence, workspace, now, document=document, reference=reference, token_file=token_file)
    return confirm_prerequisite(workspace=workspace, now=now, find_evidence=search, **named)
