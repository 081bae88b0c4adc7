"""Pipelines bound to a region: a run writes the rows of the region's tenants below the region's root, and no others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final, NamedTuple

from minimize.config import Config
from minimize.config_search import load_config
from minimize.errors import ConfigurationError, MinimizeError, OutputError
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.output.folder import has_runs, read_receipts
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, RunOrigin
from minimize.records import PIPELINE_FILE, RECEIPT_FILE
from minimize.settings.tenants import OutputRegion, load_regions
from minimize.stores import (
    Location,
    LocationLike,
    ObjectPath,
    PathText,
    is_same_location,
    is_uri,
    parse_output_location,
)
from minimize.stores.durable_files import file_digest
from minimize.text import did_you_mean


def pipeline_regions(job: Pipeline) -> Mapping[str, OutputRegion]:
    """The regions of the configuration of a pipeline, by name; empty if it has none. Raises ConfigurationError, PolicyError."""
    return load_regions(job.config)


def bind_region(job: Pipeline, name: str | None) -> Pipeline:
    """The pipeline, bound to a region if one is named. Raises ConfigurationError for a region that is not configured."""
    if name is None:
        return job
    regions = pipeline_regions(job)
    if name not in regions:
        hint = did_you_mean(name, regions) if regions else "Write `regions: {NAME: FOLDER}` in minimize.yaml."
        raise ConfigurationError(f"the region {name} is not configured", hint=hint)
    return job.model_copy(update={"region": regions[name]})


def check_region(job: Pipeline) -> None:
    """Raises ConfigurationError if regions are configured and a run is for none of them, or records have no tenant."""
    regions = pipeline_regions(job)
    if job.region is None and regions:
        hint = f"Run `minimize run PIPELINE --region REGION`. The regions are {', '.join(regions)}."
        raise ConfigurationError("regions are configured, and this run is for none of them", hint=hint)
    if job.region is not None and job.policy.tenant is None:
        hint = "Add `tenant: FIELD` to the policy."
        raise ConfigurationError("the policy names no tenant, so the region of a record is not known", hint=hint)


LEDGER_SETTINGS: Final = "ledger"
"""The value of `settings` in a pipeline whose collection settings are stored in the ledger."""


def find_pipeline(
    output: Location, receipt: Receipt, explicit: Pipeline | PathText | None, config: Config | None = None
) -> Pipeline:
    """The current pipeline of an output: the one that is passed, else the one in its receipt, else the nearest one.

    It is bound to the region of the output. A configuration that was read before is not read again if it is that of the pipeline.

    Raises ConfigurationError if it is not found or has another name.
    """
    path = _own_pipeline_file(output, receipt) if explicit is None else explicit
    if path is None or (explicit is None and not Path(str(path)).exists()):
        message = f"the path of the pipeline {receipt.pipeline} is not known"
        raise ConfigurationError(message, hint="Pass --pipeline PIPELINE.")
    job = pipeline_from(path, config)
    if job.pipeline != receipt.pipeline:
        message = f"the output belongs to the pipeline {receipt.pipeline}, not to {job.pipeline}"
        raise ConfigurationError(message, hint="Pass the output's own pipeline with --pipeline PIPELINE.")
    return bind_region(job, None if receipt.region is None else receipt.region.name)


def is_made_by(output: Location, job: Pipeline) -> bool:
    """Whether a pipeline is the one that an output was made with: at the same place or, if that does not exist, with the same
    content and the `minimize.yaml` of the output.

    Any pipeline is that of an output without receipts, or whose receipts cannot be read, which no command changes.
    """
    chain: Sequence[Receipt] = ()
    with suppress(OutputError):
        chain = read_receipts(output) if has_runs(output) else ()
    for last in chain[-1:]:
        file = recorded_pipeline_file(output, last)
        if file is not None and job.path is not None:
            return is_same_path(file, job.path)
        if (last.files.get(PIPELINE_FILE), last.policy.digest) != (job.digest, job.policy.digest):
            return False
        if job.path is not None and not isinstance(output, ObjectPath):
            return _has_same_configuration(configuration_folder(output), job.folder)
    return True


def is_same_path(first: Path, second: Path) -> bool:
    """Whether two paths lead to one pipeline: a file of the same name in the same folder, with the same `minimize.yaml`.

    A link to the file alone is another pipeline, because policy, settings and configuration come from the folder of the link.
    """
    return _real_place(first) == _real_place(second) and _has_same_configuration(first.parent, second.parent)


def _has_same_configuration(first: Path, second: Path) -> bool:
    """Whether the search for `minimize.yaml` finds the same file from two folders, or none."""
    return _real_place(load_config(first).path) == _real_place(load_config(second).path)


def _real_place(file: Path | None) -> Path | None:
    """The path of a file whose folder has no symbolic links. A link at the file itself is not followed."""
    return None if file is None else Path(os.path.realpath(file.parent), file.name)


def recorded_pipeline_file(output: Location, receipt: Receipt) -> Path | None:
    """The file of the pipeline that a receipt of an output names, or the nearest one; None if it does not exist here."""
    written = _own_pipeline_file(output, receipt)
    file = Path() if written is None or is_uri(str(written)) else Path(written)
    file = file / PIPELINE_FILE if file.is_dir() else file
    return file if file.is_file() else None


def configuration_folder(output: LocationLike) -> Path:
    """The folder from which the configuration of an output is searched: that of its pipeline, else the output itself.

    If the pipeline was moved away, its former folder, if there is a configuration for it. The current folder if the pipeline is
    unknown and the output is in a bucket.
    """
    place = parse_output_location(output)
    chain = read_receipts(place) if has_runs(place) else ()
    file = _own_pipeline_file(place, chain[-1]) if chain else None
    pipeline_path = None if file is None else Path(file)
    if pipeline_path is not None and pipeline_path.exists():
        return pipeline_path if pipeline_path.is_dir() else pipeline_path.parent
    if isinstance(place, ObjectPath):
        return Path.cwd()
    former = [] if pipeline_path is None else [pipeline_path.parent]
    return next((each for each in (*former, *_places_of(place)) if load_config(each).path is not None), place)


def output_config(output: LocationLike, candidate: Config | None = None) -> Config:
    """The configuration of an output: `load_config` from its `configuration_folder`."""
    return load_config(configuration_folder(output), candidate)


def _own_pipeline_file(output: Location, receipt: Receipt) -> Path | str | None:
    """The pipeline of an output: the one in its receipt, else the nearest one."""
    written = origin_place(output, None if receipt.origin is None else receipt.origin.pipeline)
    if written is not None:
        return written
    places: Sequence[Location] = [output] if isinstance(output, ObjectPath) else _places_of(output)
    nearest = (nearest_pipeline_file(place, receipt.pipeline) for place in places)
    return next((file for file in nearest if file is not None), None)


def bucket_config(output: ObjectPath) -> Config:
    """The configuration of an output in a bucket: that of the nearest pipeline that names this output; the defaults if there is
    none.

    The receipts name no path of one machine. Other pipelines, and the `minimize.yaml` of the current folder, belong to other
    outputs.
    """
    for path in _near_pipeline_files(output):
        stated = stated_output(path)
        if stated is not None and is_same_location(stated, output):
            return load_config(path.parent)
    return Config()


def nearest_pipeline_file(output: Location, name: str) -> Path | None:
    """The nearest pipeline of this name; see `_near_pipeline_files`."""
    return next((path for path in _near_pipeline_files(output) if _has_pipeline_name(path, name)), None)


def _near_pipeline_files(output: Location) -> Iterator[Path]:
    """The files of pipelines upwards from the output folder, or from the current folder if the output is in a bucket; and in the
    `pipelines/` of each folder."""
    for folder in parent_folders(output):
        for path in (folder / PIPELINE_FILE, *sorted(folder.glob(f"pipelines/*/{PIPELINE_FILE}"))):
            if path.is_file():
                yield path


def origin_place(output: Location, written: str | None) -> Path | str | None:
    """The place that a receipt recorded: a path, or the URI of an object store.

    If an output is reached through a link, the place is searched from the target of the link first.
    """
    if written is None or is_uri(written):
        return written
    if isinstance(output, ObjectPath):
        return None
    paths = [Path(os.path.normpath(place / written)) for place in _places_of(output)]
    return next((place for place in paths if place.exists()), paths[-1])


def _places_of(output: Path) -> list[Path]:
    """The places of an output: the target of links, each link that leads there, and last the path as it is written."""
    links = [Path(os.path.realpath(output.parent), output.name)]
    while links[-1].is_symlink():
        target = links[-1].parent / links[-1].readlink()
        place = Path(os.path.realpath(target.parent), target.name)
        if place in links:
            break
        links.append(place)
    return [*reversed(links), Path(os.path.abspath(output))]


def origin_settings(output: Location, origin: RunOrigin) -> str | Path | None:
    """The settings that replaced the pipeline's in a run: a path, a URI, or `ledger`."""
    return LEDGER_SETTINGS if origin.settings == LEDGER_SETTINGS else origin_place(output, origin.settings)


def parent_folders(output: Location) -> Sequence[Path]:
    """The folders above an output. For an output in a bucket: the current folder and the folders above it."""
    current_folder = Path.cwd()
    return (
        [current_folder, *current_folder.parents]
        if isinstance(output, ObjectPath)
        else Path(os.path.abspath(output)).parents
    )


class ConfiguredOutput(NamedTuple):
    """The output of a pipeline, and the pipeline file if it is known."""

    place: LocationLike
    pipeline: Path | None


def find_configured_outputs(folder: Path) -> Iterator[tuple[Path, Location]]:
    """The folder of each pipeline in this folder and in the two levels below it, and its output.

    Files with faults are left out, and so are copies that receipts keep. Reads no policy, and lists no deeper folder.
    """
    files = (path for pattern in ("", "*/", "*/*/") for path in sorted(folder.glob(f"{pattern}{PIPELINE_FILE}")))
    for path in files:
        output = None if path.with_name(RECEIPT_FILE).exists() else stated_output(path)
        if output is not None:
            yield path.parent, output


def outputs_made_of(file: Path) -> Iterator[Location]:
    """The outputs whose receipts name the content of a file as an input.

    They are those of the pipelines of the `minimize.yaml` that is found from the file: another pipeline for it changes nothing.
    """
    config = load_config(file.parent).path if file.is_file() else None
    outputs = (
        [] if config is None else [place for _, place in find_configured_outputs(config.parent) if has_runs(place)]
    )
    digest = file_digest(file) if outputs else ""
    for place in outputs:
        if any(input_file.digest == digest for receipt in read_receipts(place) for input_file in receipt.inputs):
            yield place


def stated_output(file: Path) -> Location | None:
    """The output that a pipeline file names, without its policy and its region; None if the file cannot be read or names none."""
    with suppress(OSError, UnicodeDecodeError, MinimizeError):
        root = parse_yaml(file.read_text("utf-8-sig"), FaultList())
        output = None if root is None else root.get("output")
        if output is not None and isinstance(output.value, str):
            return parse_output_location(output.value, file.parent)
    return None


def _has_pipeline_name(path: Path, name: str) -> bool:
    """Whether a pipeline file has this name. Most files do not contain it, and are not parsed."""
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text("utf-8-sig")
        root = parse_yaml(text, FaultList()) if name in text else None
        node = None if root is None else root.get("pipeline")
        return node is not None and node.value == name
    return False


def pipeline_from(pipeline: Pipeline | PathText, config: Config | None = None) -> Pipeline:
    """The pipeline itself, or the one loaded from a path."""
    if isinstance(pipeline, Pipeline):
        return pipeline
    if not isinstance(pipeline, str | PathLike):
        raise ConfigurationError(
            f"a {type(pipeline).__name__} is not a pipeline", hint="Pass a Pipeline or the path of one."
        )
    return load_pipeline(Path(pipeline), config=config)
