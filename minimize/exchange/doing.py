"""Importing and exporting: documents of other formats become policies in which everything is dropped, and back."""

from __future__ import annotations

import json
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import cast

from minimize.drafting.first import SCHEMAS
from minimize.errors import ConfigurationError, without_values
from minimize.exchange import EXPORTS, FORMATS, IMPORTS
from minimize.exchange.base import Asked, Reads, Writes
from minimize.exchange.documents import document_of
from minimize.exchange.policy_text import policy_text
from minimize.io import durable
from minimize.policy.faults import did_you_mean
from minimize.policy.schema import json_schema


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
    kind: str, file: str | PathLike[str], folder: str | PathLike[str], *, choice: str | None = None
) -> Path:
    """Writes that policy into a folder, never over another. Gives its path."""
    target = Path(folder) / "policy.yaml"
    if target.exists():
        raise ConfigurationError(f"{target} exists", hint="choose another folder; nothing was written")
    text = imported(kind, file, choice=choice)
    durable.written(_put, target, text)
    return target


@without_values
def exported(kind: str, asked: Asked) -> str:
    """A document of another format.

    Takes a word of `EXPORTS`, and what it is of. Raises ConfigurationError, PolicyError, RefusedError.
    """
    if kind not in EXPORTS:
        raise ConfigurationError("there is no such format to export", hint=did_you_mean(kind, EXPORTS))
    return cast("Writes", import_module(FORMATS[kind].writes or "")).write(asked)


def _put(target: Path, text: str) -> None:
    schema = target.parent / SCHEMAS / "policy.json"
    schema.parent.mkdir(parents=True, exist_ok=True)
    durable.write_file(schema, (json.dumps(json_schema("policy"), indent=2) + "\n").encode())
    durable.write_file(target, text.encode())
