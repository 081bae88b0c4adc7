"""`minimize docs`: the data catalogue, and the record of processing activities."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from minimize.cli import options


@click.command()
@click.argument("pipelines", nargs=-1, required=True, type=click.Path(exists=True), metavar="DIR|PIPELINE…")
@click.option(
    "--out", type=click.Path(file_okay=False), metavar="DIR", help="Write catalogue and processing, .md and .json."
)
@options.as_json
def command(pipelines: tuple[str, ...], out: str | None, as_json: bool) -> None:
    """The data catalogue of pipelines, and the record of processing activities (GDPR Art. 30).

    From policies, pipelines, recipients, receipts and `processing:` of minimize.yaml (controller, contact, representative, dpo,
    subjects, transfers, security). A folder stands for all pipelines in its folders. Without --out they are printed.
    """
    from minimize.catalog.markdown import catalogue_page, record_page
    from minimize.catalog.writing import docs, told

    today = datetime.now(UTC).date()
    if out is not None:
        files = [str(path) for path in docs(pipelines, out, today)]
        options.show({"files": files}, as_json, "\n".join(f"wrote {path}" for path in files))
        return
    found = told(pipelines, today)
    text = f"{catalogue_page(found.catalogue)}\n{record_page(found.record)}"
    options.show(found.as_json(), as_json, text.rstrip("\n"))
