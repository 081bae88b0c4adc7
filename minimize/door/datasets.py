"""The datasets that a door opens: output folders by the name of their pipeline. A name is looked up, and never becomes a path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from minimize.errors import ConfigurationError, OutputError
from minimize.io.history import receipts
from minimize.job.given import as_pipeline
from minimize.stores import Anywhere, Place, output_at

PIPELINE = "pipeline.yaml"


def datasets_at(places: Iterable[Anywhere]) -> dict[str, Place]:
    """The datasets of output folders and pipelines, by name.

    Raises ConfigurationError where two have one name, or none is named; OutputError where nothing was published.
    """
    found: dict[str, Place] = {}
    for each in places:
        name, output = _dataset(each)
        if found.setdefault(name, output) != output:
            raise ConfigurationError(f"two outputs are of the pipeline {name}", hint="a door opens one of a name")
    if not found:
        raise ConfigurationError("no dataset is named", hint="name pipelines or output folders")
    return found


def _dataset(place: Anywhere) -> tuple[str, Place]:
    if isinstance(place, str | os.PathLike):
        path = Path(os.fspath(place))
        if path.suffix in (".yaml", ".yml") or (path / PIPELINE).is_file():
            pipeline = as_pipeline(path)
            return pipeline.pipeline, output_at(pipeline.target())
    output = output_at(place)
    return pipeline_of(output), output


def pipeline_of(output: Place) -> str:
    """The pipeline that published last. Raises OutputError where none did."""
    said = receipts(output)
    if not said:
        raise OutputError("nothing was published here", hint="name a pipeline, or the folder that holds `runs`")
    return said[-1].pipeline


Datasets = Mapping[str, Place]
"""By name."""
