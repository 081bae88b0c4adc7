"""Where a run's files lay: what a later command needs to find pipeline, source and settings again from the output alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, Final

from minimize.errors import ConfigurationError
from minimize.job.collecting import LEDGER
from minimize.policy.faults import Faults
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.policy.yaml import parse
from minimize.receipt import Origin, Receipt
from minimize.stores import Place, Remote, is_uri
from minimize.techniques.redact import hits

FILE: Final = "pipeline.yaml"


def origin_of(job: Pipeline, input: Any, settings: Any, output: Place) -> Origin | None:
    """Where the files of a run lie, relative to its output folder, as far as the output does not tell by itself.

    The pipeline, where it is not the one near the output; what was given instead of its source and its settings. A path that
    may hold a value (a partition in it, or something that a `redact` pattern hits) is not written down. None where nothing is.
    """
    near = job.path is None or near_by(output, job.pipeline) == Path(os.path.abspath(job.path))
    origin = Origin(
        None if near else _relative(job.path, output), _relative(input, output), _relative(settings, output)
    )
    return None if origin == Origin() else origin


def pipeline_behind(output: Place, receipt: Receipt, explicit: str | PathLike[str] | None) -> Pipeline:
    """The pipeline of an output as it is today: as given, as its receipt says, else the one near by.

    Raises ConfigurationError where it is not found or is another.
    """
    written = place_of(output, None if receipt.origin is None else receipt.origin.pipeline)
    path = explicit if explicit is not None else near_by(output, receipt.pipeline) if written is None else written
    if path is None or (explicit is None and not Path(path).exists()):
        message = f"where the pipeline {receipt.pipeline} lies is not known"
        raise ConfigurationError(message, hint="say it: --pipeline PIPELINE")
    job = load_pipeline(Path(path))
    if job.pipeline != receipt.pipeline:
        message = f"the pipeline is called {job.pipeline}, and the output is one of {receipt.pipeline}"
        raise ConfigurationError(message, hint="--pipeline PIPELINE names the one that it was made by")
    return job


def near_by(output: Place, name: str) -> Path | None:
    """The pipeline of this name that is nearest upwards from an output folder, from the current one where that is in a bucket;
    each folder's `pipelines/` counts.
    """
    folders = upwards(output)
    files = (path for each in folders for path in (each / FILE, *sorted(each.glob(f"pipelines/*/{FILE}"))))
    return next((path for path in files if path.is_file() and _name_of(path) == name), None)


def place_of(output: Place, written: str | None) -> Path | str | None:
    """The place that a receipt wrote down: a path, or the URI of an object store."""
    if written is None or is_uri(written):
        return written
    return None if isinstance(output, Remote) else Path(os.path.normpath(output.absolute() / written))


def settings_of(output: Place, origin: Origin) -> str | Path | None:
    """The settings that a run was given instead of the pipeline's: a path, a URI, or `ledger`."""
    return LEDGER if origin.settings == LEDGER else place_of(output, origin.settings)


def upwards(output: Place) -> Sequence[Path]:
    """The folders above an output; of one in a bucket the current folder and those above that."""
    here = Path.cwd()
    return [here, *here.parents] if isinstance(output, Remote) else Path(os.path.abspath(output)).parents


def _name_of(path: Path) -> Any:
    with suppress(OSError, UnicodeDecodeError):
        root = parse(path.read_text("utf-8-sig"), Faults())
        name = None if root is None else root.get("pipeline")
        return None if name is None else name.value
    return None


def _relative(place: Any, output: Place) -> str | None:
    if not isinstance(place, str | PathLike):  # data in memory has no place
        return None
    if place == LEDGER:
        return LEDGER
    if isinstance(place, str) and is_uri(place):
        written = os.fspath(place)
        parts = written.partition("?")[0].split("/")[3:]
    elif isinstance(output, Remote):  # a path on one machine tells nothing to another
        return None
    else:
        written = Path(os.path.relpath(Path(os.fspath(place)).absolute(), output.absolute())).as_posix()
        parts = [part for part in written.split("/") if part != ".."]
    return None if any("=" in part or hits(part.replace("{date}", "")) for part in parts) else written
