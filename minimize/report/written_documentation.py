"""Writes the documentation into a folder: both documents as Markdown, HTML and JSON, and the catalogue as a site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from minimize.errors import redact_errors
from minimize.pages import html_page, markdown_page
from minimize.report.catalogue import catalogue_document, pipelines_in, stated_processing
from minimize.report.catalogue_site import site_pages, stale_pages
from minimize.report.documentation import document_pipelines, record_document
from minimize.stores import PathText, durable_files
from minimize.text import json_text


@dataclass(frozen=True, slots=True)
class WrittenDocumentation:
    """The paths of what was written: the documents, then the pages of the site, its start page first."""

    documents: tuple[Path, ...]
    site: tuple[Path, ...]


@redact_errors
def write_documentation(paths: Sequence[str], out: PathText, on: date) -> WrittenDocumentation:
    """Write both documents as of a day into a folder, and the site, replacing earlier ones.

    Takes files or folders of pipelines, or folders of such folders, and the day on which contracts must be in force.
    Raises ConfigurationError, PolicyError, RefusedError, OutputError.
    """
    folder = Path(out)
    pipelines = pipelines_in(paths, on)
    stated = stated_processing(pipelines)
    documentation = document_pipelines(pipelines, stated)
    whole = documentation.to_json()
    sections = {
        "catalogue": catalogue_document(documentation.catalogue),
        "processing": record_document(documentation.record),
    }
    documents = {}
    for name, section in sections.items():
        documents[folder / f"{name}.md"] = markdown_page(section)
        documents[folder / f"{name}.html"] = html_page(section)
        documents[folder / f"{name}.json"] = json_text(whole[name])
    site = {folder / path: text for path, text in site_pages(pipelines, documentation, stated).items()}
    durable_files.with_output_errors(_write_files, documents | site)
    durable_files.with_output_errors(_remove_files, stale_pages(folder, site))
    return WrittenDocumentation(tuple(documents), tuple(site))


def _write_files(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        durable_files.make_folder(path.parent)
        durable_files.write_file(path, text.encode())


def _remove_files(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink()
