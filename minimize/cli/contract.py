"""`minimize contract`: contracts of tenants with third parties."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

import click

from minimize.cli.options import AT_OR_NOW, DATE, DURATION, WORKSPACE
from minimize.cli.verb import examples, verb
from minimize.governance.contracts import NewContract, end_contract, record_contract, show_contracts
from minimize.results import Printable
from minimize.workspace import Workspace

_EVIDENCE: Final = click.Option(
    ["--evidence"], metavar="DOCUMENT", help="Document that shows it, such as the number of the signed copy."
)


@click.group(name="contract")
def contract_group() -> None:
    """Record, end and show contracts of tenants with independent controllers.

    Data of a tenant is sent to an independent controller, or received from it, only under a contract of that tenant. A contract
    with a processor is the organization's own. It is in the recipient's file.
    """


@examples(
    "minimize contract record contoso apple --reference C-2026-17 --offered --document contract.pdf",
    "minimize contract record contoso apple --reference C-2026-17 --permits-transmission \\\n"
    "      --field model --document contract.pdf",
)
@verb(
    "record",
    *("TENANT", "RECIPIENT"),
    click.Option(["--reference"], required=True, metavar="REFERENCE", help="Reference under which it is filed."),
    click.Option(["--offered"], is_flag=True, help="Take the terms that the recipient's file offers to tenants."),
    click.Option(["--from", "from_"], type=DATE, metavar="DAY", help="First day in force. [default: today]"),
    click.Option(["--until"], type=DATE, metavar="DAY", help="First day on which it is no longer in force."),
    click.Option(
        ["--permits-transmission/--no-transmission"], default=None, help="Whether data may be sent. [default: no]"
    ),
    click.Option(
        ["--field", "permitted_fields"], multiple=True, metavar="KEY", help="Field that may be sent. Repeatable."
    ),
    click.Option(["--retention"], type=DURATION, metavar="TIME", help="How long the recipient may keep the data."),
    click.Option(["--deletes-within"], type=DURATION, metavar="TIME", help="Time limit for a requested deletion."),
    "--document",
    _EVIDENCE,
    "--recipients",
    *WORKSPACE,
    group=contract_group,
)
def record_command(workspace: Workspace, now: datetime, recipients: str | None, **terms: Any) -> Printable:
    """Record the contract of TENANT with RECIPIENT.

    Needs the file of the signed contract (--document), of which the digest is recorded. With --offered, the terms are those of
    the recipient's file, unless an option replaces them. A contract that has the same reference is replaced.
    """
    return record_contract(NewContract(**terms), workspace, now, recipients=recipients)


@examples("minimize contract end contoso apple --reference C-2026-17 --on 2026-12-31")
@verb(
    "end",
    *("TENANT", "RECIPIENT"),
    click.Option(["--reference"], metavar="REFERENCE", help="Only this contract. [default: all of them]"),
    click.Option(
        ["--on"], type=DATE, metavar="DAY", help="First day on which it is no longer in force. [default: today]"
    ),
    _EVIDENCE,
    "--recipients",
    *WORKSPACE,
    group=contract_group,
)
def end_command(
    workspace: Workspace, now: datetime, tenant: str, recipient: str, on: date | None, **options: Any
) -> Printable:
    """Record the end of the contract of TENANT with RECIPIENT. Prints the records that RECIPIENT must delete because of it.

    Run `minimize share recall issue` to ask RECIPIENT to delete them.
    """
    return end_contract(tenant, recipient, workspace, now, on=on, **options)


@examples("minimize contract show --tenant contoso")
@verb(
    "show",
    *("--tenant", "--recipient"),
    AT_OR_NOW,
    *WORKSPACE,
    group=contract_group,
)
def show_command(workspace: Workspace, now: datetime, **filters: Any) -> Printable:
    """Show the contracts of tenants, from the ledger and from the file of `contracts:` in minimize.yaml."""
    return show_contracts(workspace, now, **filters)
