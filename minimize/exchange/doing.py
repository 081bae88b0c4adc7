"""Importing and exporting: documents of other formats become policies in which everything is dropped, and back."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from minimize.drafting.first import pattern_of, pipeline_text, put
from minimize.errors import ConfigurationError, without_values
from minimize.exchange import EXPORTS, FORMATS, IMPORTS
from minimize.exchange.base import Asked, Read, Write
from minimize.exchange.documents import document_of
from minimize.exchange.policy_text import policy_text
from minimize.policy.faults import did_you_mean
from minimize.policy.init import name_from
from minimize.table import load_object


@without_values
def imported(kind: str, file: str | PathLike[str], *, choice: str | None = None) -> str:
    """The text of a policy for the dataset that a document describes: every field dropped, proposals above them.

    Takes a word of `IMPORTS`, the document's file, and the name of one of several datasets. Raises ConfigurationError,
    PolicyError where the document cannot be read.
    """
    if kind not in IMPORTS:
        raise ConfigurationError("there is no such format to import", hint=did_you_mean(kind, IMPORTS))
    row = FORMATS[kind]
    read: Read = load_object(row.reads or "")
    return policy_text(read(document_of(Path(file)), choice), row.about)


@without_values
def import_into(
    kind: str,
    file: str | PathLike[str],
    folder: str | PathLike[str],
    *,
    choice: str | None = None,
    data: str | PathLike[str] | None = None,
) -> list[Path]:
    """Writes that policy into a folder, never over another, and a pipeline for the data, if that is given. Gives the paths."""
    texts = {"policy.yaml": imported(kind, file, choice=choice)}
    if data is not None:
        texts["pipeline.yaml"] = pipeline_text(pattern_of(data), name_from(Path(folder).absolute().name))
    return put(Path(folder), texts)


@without_values
def exported(kind: str, asked: Asked) -> str:
    """A document of another format.

    Takes a word of `EXPORTS`, and what it is of. Raises ConfigurationError, PolicyError, RefusedError.
    """
    if kind not in EXPORTS:
        raise ConfigurationError("there is no such format to export", hint=did_you_mean(kind, EXPORTS))
    write: Write = load_object(FORMATS[kind].writes or "")
    return write(asked)
