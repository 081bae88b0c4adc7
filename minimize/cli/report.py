"""Commands that write reports: `report` (one output) and `docs` (data catalogue and record of processing, GDPR Art. 30)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from minimize.cli import options
from minimize.cli.options import TIME
from minimize.cli.printing import line_width
from minimize.pages import markdown_page
from minimize.report import create_report
from minimize.report.catalogue import catalogue_document
from minimize.report.documentation import collect_documentation, record_document, write_documentation
from minimize.times import utc_now


@click.command()
@click.argument("output", type=options.DataPathParameter(file_okay=False))
@click.option(
    "--html",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the report as an HTML page to FILE. The page needs no network.",
)
@click.option("--at", type=TIME, metavar="TIME", help=options.AT_HELP)
@click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help=options.MADE_BY_HELP)
@click.option("--settings", type=click.Path(), metavar="PATH", help=options.SETTINGS_OR_LEDGER_HELP)
@click.option("--source", is_flag=True, help="Read the source again, to count its distinct values.")
@options.recipients
@options.only_ledger
@options.keys
@options.as_json
def report_command(output: str, html: str | None, as_json: bool, **arguments: Any) -> None:
    """Report the origin, the contents, the retention and the recipients of OUTPUT.

    Counts are rounded, and the report has no value of a record. It lists the parts that could not be determined here.
    """
    found = create_report(output, **arguments)
    if html is not None:
        Path(html).write_text(found.html(), encoding="utf-8")
    options.print_result(found.to_json(), as_json, found.summary(line_width()))
    if html is not None and not as_json:
        click.echo(f"  page            {html}")


@click.command()
@click.argument("pipelines", nargs=-1, required=True, type=click.Path(exists=True), metavar="DIR|PIPELINE…")
@click.option(
    "--to",
    "out",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Write catalogue and record of processing to DIR, as .md, .html and .json, instead of printing them.",
)
@options.as_json
def docs_command(pipelines: tuple[str, ...], out: str | None, as_json: bool) -> None:
    """Write a data catalogue of pipelines and the record of processing activities (GDPR Art. 30).

    They come from policies, pipelines, recipients, receipts and `processing:` of minimize.yaml (controller, contact,
    representative, dpo, subjects, transfers, security). A folder means all pipelines in its subfolders.
    """
    today = utc_now().date()
    if out is not None:
        files = [str(path) for path in write_documentation(pipelines, out, today)]
        options.print_result({"files": files}, as_json, "\n".join(f"wrote {path}" for path in files))
        return
    found = collect_documentation(pipelines, today)
    text = "\n".join(map(markdown_page, (catalogue_document(found.catalogue), record_document(found.record))))
    options.print_result(found.to_json(), as_json, text.rstrip("\n"))
