"""Where a pipeline, its source and its collection settings are found: named by the pipeline, or recorded in a receipt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, Final

from minimize.errors import ConfigurationError
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.policy.faults import FaultList
from minimize.policy.load import load_pipeline, normalize_path
from minimize.policy.pipeline import Pipeline
from minimize.policy.yaml_nodes import parse_yaml
from minimize.receipts import Receipt, RunOrigin
from minimize.settings import SettingsRows, load_settings
from minimize.stores import Location, LocationLike, ObjectPath, is_uri
from minimize.techniques.redact import has_hit

LEDGER_SETTINGS: Final = "ledger"
"""What a pipeline says instead of a path, where its settings stand in the ledger."""


def load_pipeline_settings(
    settings: Any,
    job: Pipeline,
    keys: Keyring | None = None,
    output: LocationLike | None = None,
    ledger: str | PathLike[str] | None = None,
) -> SettingsRows | None:
    """The settings that count; None where nothing names any: every feature is off.

    Takes what was given instead of the pipeline's (a path, a table, `ledger`), the keyring, the output folder that may hold the
    ledger, and the ledger that was given. Raises PolicyError, LedgerError, and KeyringError where a key that subjects are told
    by is not there.
    """
    said = job.settings if settings is None else settings
    if said is None:
        return None
    if isinstance(said, str) and said == LEDGER_SETTINGS:
        return _settings_from_ledger(ledger, job, keys, output)
    return load_settings(normalize_path(job.folder / said) if settings is None else said).with_folding(
        job.policy.folding
    )


def _settings_from_ledger(
    ledger: str | PathLike[str] | None, job: Pipeline, keys: Keyring | None, output: LocationLike | None
) -> SettingsRows:
    from minimize.ledger.ledger import open_ledger
    from minimize.settings.tokenized import load_ledger_settings

    with open_ledger(find_ledger(ledger, start=job.folder, output=job.target(output))) as book:
        return load_ledger_settings(book, keys).with_folding(job.policy.folding)


PIPELINE_FILE: Final = "pipeline.yaml"


def record_origin(job: Pipeline, input: Any, settings: Any, output: Location) -> RunOrigin | None:
    """Where the files of a run lie, relative to its output folder, as far as the output does not tell by itself.

    The pipeline, where it is not the one near the output; what was given instead of its source and its settings. A path that
    may hold a value (a partition in it, or something that a `redact` pattern hits) is not written down. None where nothing is.
    """
    near = job.path is None or nearest_pipeline_file(output, job.pipeline) == Path(os.path.abspath(job.path))
    origin = RunOrigin(
        None if near else _relative_place(job.path, output),
        _relative_place(input, output),
        _relative_place(settings, output),
    )
    return None if origin == RunOrigin() else origin


def find_pipeline(output: Location, receipt: Receipt, explicit: str | PathLike[str] | None) -> Pipeline:
    """The pipeline of an output as it is today: as given, as its receipt says, else the one near by.

    Raises ConfigurationError where it is not found or is another.
    """
    written = origin_place(output, None if receipt.origin is None else receipt.origin.pipeline)
    path = (
        explicit
        if explicit is not None
        else nearest_pipeline_file(output, receipt.pipeline)
        if written is None
        else written
    )
    if path is None or (explicit is None and not Path(path).exists()):
        message = f"where the pipeline {receipt.pipeline} lies is not known"
        raise ConfigurationError(message, hint="say it: --pipeline PIPELINE")
    job = load_pipeline(Path(path))
    if job.pipeline != receipt.pipeline:
        message = f"the pipeline is called {job.pipeline}, and the output is one of {receipt.pipeline}"
        raise ConfigurationError(message, hint="--pipeline PIPELINE names the one that it was made by")
    return job


def nearest_pipeline_file(output: Location, name: str) -> Path | None:
    """The pipeline of this name that is nearest upwards from an output folder, from the current one where that is in a bucket;
    each folder's `pipelines/` counts.
    """
    folders = parent_folders(output)
    files = (
        path for each in folders for path in (each / PIPELINE_FILE, *sorted(each.glob(f"pipelines/*/{PIPELINE_FILE}")))
    )
    return next((path for path in files if path.is_file() and _pipeline_name(path) == name), None)


def origin_place(output: Location, written: str | None) -> Path | str | None:
    """The place that a receipt wrote down: a path, or the URI of an object store."""
    if written is None or is_uri(written):
        return written
    return None if isinstance(output, ObjectPath) else Path(os.path.normpath(output.absolute() / written))


def origin_settings(output: Location, origin: RunOrigin) -> str | Path | None:
    """The settings that a run was given instead of the pipeline's: a path, a URI, or `ledger`."""
    return LEDGER_SETTINGS if origin.settings == LEDGER_SETTINGS else origin_place(output, origin.settings)


def parent_folders(output: Location) -> Sequence[Path]:
    """The folders above an output; of one in a bucket the current folder and those above that."""
    here = Path.cwd()
    return [here, *here.parents] if isinstance(output, ObjectPath) else Path(os.path.abspath(output)).parents


def _pipeline_name(path: Path) -> Any:
    with suppress(OSError, UnicodeDecodeError):
        root = parse_yaml(path.read_text("utf-8-sig"), FaultList())
        name = None if root is None else root.get("pipeline")
        return None if name is None else name.value
    return None


def _relative_place(place: Any, output: Location) -> str | None:
    if not isinstance(place, str | PathLike):  # data in memory has no place
        return None
    if place == LEDGER_SETTINGS:
        return LEDGER_SETTINGS
    if isinstance(place, str) and is_uri(place):
        written = os.fspath(place)
        parts = written.partition("?")[0].split("/")[3:]
    elif isinstance(output, ObjectPath):  # a path on one machine tells nothing to another
        return None
    else:
        written = Path(os.path.relpath(Path(os.fspath(place)).absolute(), output.absolute())).as_posix()
        parts = [part for part in written.split("/") if part != ".."]
    return None if any("=" in part or has_hit(part.replace("{date}", "")) for part in parts) else written
