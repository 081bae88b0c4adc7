"""`docs`: the data catalogue and the record of processing, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from os import PathLike
from pathlib import Path

from minimize.catalog.activities import record
from minimize.catalog.datasets import dataset
from minimize.catalog.gather import pipelines_in, recipients_of, stated, subprocessors_of
from minimize.catalog.markdown import catalogue_page, record_page
from minimize.catalog.model import Told
from minimize.errors import without_values
from minimize.io import durable


@without_values
def told(paths: Sequence[str], on: date) -> Told:
    """What the pipelines of these paths process, the recipients of their house, and what their outputs' receipts tell.

    Takes pipelines' files or folders, or folders of such folders, and the day on which contracts must be in force.
    Raises ConfigurationError, PolicyError, RefusedError.
    """
    known = pipelines_in(paths, on)
    recipients = recipients_of(known)
    return Told(
        tuple(map(dataset, known)),
        record(known, recipients, stated(known), subprocessors_of(known)),
    )


@without_values
def docs(paths: Sequence[str], out: str | PathLike[str], on: date) -> list[Path]:
    """Writes both documents, as of a day, into a folder, over what they were before. Gives their paths."""
    found = told(paths, on)
    whole = found.as_json()
    texts = {
        "catalogue.md": catalogue_page(found.catalogue),
        "catalogue.json": _json(whole["catalogue"]),
        "processing.md": record_page(found.record),
        "processing.json": _json(whole["processing"]),
    }
    files = {Path(out) / name: text for name, text in texts.items()}
    durable.written(_put, files)
    return list(files)


def _json(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _put(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        durable.make_folder(path.parent)
        durable.write_file(path, text.encode())
