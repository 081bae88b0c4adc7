"""Commands that write reports: `report` (one output), `leaflet` (what an organization sees of a dataset) and `docs`
(data catalogue and record of processing, GDPR Art. 30)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from minimize.cli.options import (
    MADE_BY_HELP,
    OPTIONS,
    SETTINGS_OR_LEDGER_HELP,
    DataPathParameter,
)
from minimize.cli.printing import save_page, write_page
from minimize.cli.verb import examples, verb
from minimize.pages import html_page
from minimize.report import create_report
from minimize.report.documentation import collect_documentation
from minimize.report.leaflet import create_leaflet
from minimize.report.written_documentation import write_documentation
from minimize.results import AlternativeText, Printable, WrittenFiles
from minimize.text import count_noun


@examples("minimize report out/device_telemetry --html report.html")
@verb(
    "report",
    OPTIONS["OUTPUT"](type=DataPathParameter(file_okay=False)),
    OPTIONS["--html"](help="Write the report as an HTML page to FILE. The page needs no network."),
    "--at",
    OPTIONS["--pipeline"](help=MADE_BY_HELP),
    OPTIONS["--settings"](help=SETTINGS_OR_LEDGER_HELP),
    click.Option(["--source"], is_flag=True, help="Read the source again, to count its distinct values."),
    click.Option(
        ["--sealed-counts"],
        is_flag=True,
        help="Also show the counts that are sealed with the receipts, which can reveal small groups. Needs the keyring.",
    ),
    click.Option(
        ["--table", "tables"],
        multiple=True,
        metavar="NAME",
        help="Also draw the published figures of this table of aggregates, with error bars. Needs the permission to read it. "
        "Repeatable.",
    ),
    *("--recipients", "--ledger", "--keys"),
)
def report_command(output: str, html: str | None, tables: tuple[str, ...], **arguments: Any) -> Printable:
    """Report the origin, the contents, the retention and the recipients of OUTPUT.

    Counts are rounded, and the report has no value of a record. It lists the parts that could not be determined here. Only the
    figures of a `--table` are shown as they were published.
    """
    report = create_report(output, tables=tables, **arguments)
    if html is None:
        return report
    save_page(html, report.html())
    return AlternativeText(report, [report, f"  page            {html}"])


@examples("minimize leaflet pipelines/device_support --html leaflet.html")
@verb("leaflet", "PIPELINE", "--html")
def leaflet_command(pipeline: str, html: str | None, now: datetime) -> Printable:
    """Tell people what their organization can see, might see and cannot see of them in the dataset of PIPELINE.

    The leaflet is generated from the policy and lists every declared field once. It has no value of a record.
    """
    leaflet = create_leaflet(pipeline, now.date())
    return leaflet if html is None else write_page(leaflet, html, html_page(leaflet.document))


@examples("minimize docs pipelines --to out/docs")
@verb(
    "docs",
    click.Argument(["paths"], nargs=-1, required=True, type=click.Path(exists=True), metavar="DIR|PIPELINE…"),
    OPTIONS["--to"](
        type=click.Path(file_okay=False),
        metavar="DIR",
        help="Write to DIR instead of printing: a site of static pages (open index.html), and catalogue and record of "
        "processing as .md, .html and .json.",
    ),
)
def docs_command(now: datetime, paths: tuple[str, ...], to: str | None) -> Printable:
    """Write a data catalogue of pipelines and the record of processing activities (GDPR Art. 30).

    They come from policies, pipelines, recipients, receipts and `processing:` of minimize.yaml (controller, contact,
    representative, dpo, subjects, legal_basis, legal_basis.PURPOSE, transfers, security,
    organizational_measures, source, authority). A folder means all pipelines in its subfolders.
    """
    if to is not None:
        written = write_documentation(paths, to, now.date())
        start, *pages = written.site
        return WrittenFiles([*written.documents, start], then=[f"{count_noun(len(pages), 'further page')} next to it"])
    return collect_documentation(paths, now.date())
