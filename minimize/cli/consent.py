"""`minimize consent`: consents of tenants to a recipient's functions."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Final

import click

from minimize.cli.options import AT_OR_NOW, EVIDENCE, OPTIONS, TIME, WORKSPACE
from minimize.cli.verb import examples, verb
from minimize.governance.consent import NewConsent, confirm_consent, explain_consent, record_consent, show_consents
from minimize.governance.sharing import end_consent, expire_consents
from minimize.results import Printable
from minimize.server.api_tokens import find_evidence
from minimize.workspace import Workspace

_SINCE: Final = OPTIONS["--since"](
    param_decls=["--since", "valid_from"], metavar="TIME", help="Valid from this time on (ISO 8601). [default: now]"
)
_CONSENT: Final = ("TENANT", "RECIPIENT", "FUNCTION", "--recipients", *WORKSPACE, _SINCE)
_UNTIL: Final = OPTIONS["--until"](
    param_decls=["--until", "expires_at"], metavar="TIME", help="End of the consent (ISO 8601)."
)
_TEXT_VERSION: Final = click.Option(
    ["--text-version"],
    type=int,
    metavar="N",
    help="Version of the consent text that the tenant read. It must be the current one.",
)
_EVENT: Final = click.Option(
    ["--event"], type=TIME, metavar="TIME", help="Also evaluate at this event time (ISO 8601)."
)


@click.group(name="consent")
def consent_group() -> None:
    """Record and show the authorizations by tenants, per recipient and function.

    A consent here is the tenant's authorization of a transfer (GDPR Art. 28(3)(a)), not the consent of a data subject (Art. 6).
    Consents are bitemporal, append-only and audited. Each decision of a tenant names its evidence: an API token of its
    administrator, or a document, which a second person confirms. A consent covers the text, purpose and fields that the
    recipient's file has when it is given. After a change, a new consent is needed.
    """


@examples("minimize consent request contoso apple push")
@verb("request", *_CONSENT, group=consent_group)
def request_command(workspace: Workspace, now: datetime, recipients: str | None, **terms: Any) -> Printable:
    """Record that TENANT was asked for its consent. An existing consent does not change."""
    return record_consent("request", NewConsent(**terms), workspace, now, recipients=recipients)


@examples(
    "MINIMIZE_TOKEN=mzd_… minimize consent give contoso apple push --text-version 1",
    "minimize consent give contoso apple push --document form-17.pdf --until 2027-11-25T00:00:00Z",
)
@verb("give", *_CONSENT, _TEXT_VERSION, _UNTIL, *EVIDENCE, group=consent_group)
def give_command(
    workspace: Workspace,
    now: datetime,
    recipients: str | None,
    document: str | None,
    reference: str | None,
    token_file: str | None,
    **terms: Any,
) -> Printable:
    """Record that TENANT consents to FUNCTION of RECIPIENT.

    The consent is to the current terms of the recipient's file. Needs an API token of the acting account, which is an
    administrator of TENANT; or the file of a document (--document). A consent by document has no effect until another person
    confirms it with `minimize consent confirm`.
    """
    search = partial(find_evidence, workspace, now, document=document, reference=reference, token_file=token_file)
    return record_consent("give", NewConsent(**terms), workspace, now, recipients=recipients, find_evidence=search)


@examples("minimize consent confirm contoso apple push --document form-17.pdf")
@verb(
    "confirm",
    *("TENANT", "RECIPIENT", "FUNCTION"),
    OPTIONS["--document"](
        required=True, help="File of the document, which you have read. Its digest must be the recorded one."
    ),
    *WORKSPACE,
    group=consent_group,
)
def confirm_command(
    workspace: Workspace, now: datetime, tenant: str, recipient: str, function: str, document: str
) -> Printable:
    """Confirm the consent of TENANT that another person recorded with its document.

    Only then has the consent an effect. The person who recorded it cannot confirm it.
    """
    return confirm_consent(tenant, recipient, function, workspace, now, document=document)


@examples("minimize consent refuse contoso apple push --reference TICKET-9")
@verb("refuse", *_CONSENT, "--to", *EVIDENCE, group=consent_group)
def refuse_command(
    workspace: Workspace,
    now: datetime,
    recipients: str | None,
    to: str | None,
    document: str | None,
    reference: str | None,
    token_file: str | None,
    **terms: Any,
) -> Printable:
    """Record that TENANT refused. Ends an existing consent, and recalls the records that RECIPIENT received under it.

    Needs an API token of the acting account, or a document.
    """
    search = partial(find_evidence, workspace, now, document=document, reference=reference, token_file=token_file)
    return end_consent(
        "refuse", NewConsent(**terms), workspace, now, recipients=recipients, find_evidence=search, to=to
    )


@examples("minimize consent withdraw contoso apple push --reference TICKET-9 --to recall.json")
@verb("withdraw", *_CONSENT, "--to", *EVIDENCE, group=consent_group)
def withdraw_command(
    workspace: Workspace,
    now: datetime,
    recipients: str | None,
    to: str | None,
    document: str | None,
    reference: str | None,
    token_file: str | None,
    **terms: Any,
) -> Printable:
    """Record that TENANT withdrew its consent. Sharing ends, and the records that RECIPIENT received are recalled.

    Prints the recall list: the records of TENANT that were sent, with time, digest and keyed subject tokens. Run `minimize
    retract` to remove the records that were received from RECIPIENT. Needs an API token of the acting account, or a document.
    """
    search = partial(find_evidence, workspace, now, document=document, reference=reference, token_file=token_file)
    return end_consent(
        "withdraw", NewConsent(**terms), workspace, now, recipients=recipients, find_evidence=search, to=to
    )


@examples("minimize consent expire")
@verb("expire", *WORKSPACE, group=consent_group, quiet=True)
def expire_command(workspace: Workspace, now: datetime) -> Printable:
    """Mark consents that have ended as expired.

    Recalls the records that were sent under them. Run it every night.
    """
    return expire_consents(workspace, now)


@examples("minimize consent show --tenant contoso")
@verb(
    "show",
    *("--tenant", "--recipient", "--function"),
    AT_OR_NOW,
    *("--history", "--recipients"),
    *WORKSPACE,
    group=consent_group,
)
def show_command(workspace: Workspace, now: datetime, **filters: Any) -> Printable:
    """Show the consents of tenants.

    Prints for each tenant and function whether there is a consent, and the record that decides.
    """
    return show_consents(workspace, now, **filters)


@examples("minimize consent why contoso apple push --at 2026-11-25T00:00:00Z")
@verb(
    "why",
    *("TENANT", "RECIPIENT", "FUNCTION", "--recipients"),
    *WORKSPACE,
    AT_OR_NOW,
    _EVENT,
    group=consent_group,
)
def why_command(workspace: Workspace, now: datetime, **named: Any) -> Printable:
    """Explain whether TENANT consents to FUNCTION of RECIPIENT.

    Prints the records that decide.
    """
    return explain_consent(workspace=workspace, run=now, **named)
