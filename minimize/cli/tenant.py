"""`minimize tenant`: what the service records about one tenant."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from minimize.cli.options import WORKSPACE
from minimize.cli.printing import write_page
from minimize.cli.verb import examples, verb
from minimize.pages import html_page
from minimize.report.tenant_report import create_tenant_report
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.results import Printable


@click.group(name="tenant")
def tenant_group() -> None:
    """Show what the service records about one tenant."""


@examples("minimize tenant report contoso --html contoso.html")
@verb("report", "TENANT", "--html", "--recipients", *WORKSPACE, group=tenant_group)
def report_command(
    tenant: str, html: str | None, recipients: str | None, workspace: Workspace, now: datetime
) -> Printable:
    """Report about TENANT for its auditor.

    Policies, receipts, recipients, subprocessors, contracts, consents, disclosures, incidents, requests and settings of this
    tenant, and nothing of others. Verifies each output with data of the tenant again. The page needs no network.
    """
    report = create_tenant_report(tenant, workspace, now, recipients=recipients)
    return report if html is None else write_page(report, html, html_page(report.document))
