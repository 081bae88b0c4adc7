"""Importing and exporting: documents of other formats become policies in which everything is dropped, and back."""

from __future__ import annotations

from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import cast

from minimize.drafting.first import pattern_of, pipeline_text, put
from minimize.errors import ConfigurationError, without_values
from minimize.exchange import EXPORTS, FORMATS, IMPORTS
from minimize.exchange.base import Asked, Reads, Writes
from minimize.exchange.documents import document_of
from minimize.exchange.policy_text import policy_text
from minimize.policy.faults import did_you_mean
from minimize.policy.init import name_from


@without_values
def imported(kind: str, file: str | PathLike[str], *, choice: str | None = None) -> str:
    """The text of a policy for the dataset that a document describes: every field dropped, proposals above them.

    Takes a word of `IMPORTS`, the document's file, and the name of one of several datasets. Raises ConfigurationError,
    PolicyError where the document cannot be read.
    """
    if kind not in IMPORTS:
        raise ConfigurationError("there is no such format to import", hint=did_you_mean(kind, IMPORTS))
    row = FORMATS[kind]
    module = cast("Reads", import_module(row.reads or ""))
    return policy_text(module.read(document_of(Path(file)), choice), row.about)


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
    return cast("Writes", import_module(FORMATS[kind].writes or "")).write(asked)
