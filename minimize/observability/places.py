"""Where lineage and metrics go: what was given, then the environment, then `minimize.yaml`, then the default.

Lineage stands beside the output folder where nothing else is said (in it, every file is vouched for by a receipt), under a name
that no source reads; of an output in an object store nowhere. Metrics are written only where somebody says where. `off` turns
either off. A path in `minimize.yaml` is relative to that file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final

from minimize.errors import ConfigurationError
from minimize.house import house_file, house_line
from minimize.observability.emit import ROTATE_AT
from minimize.spill.budget import size
from minimize.stores import Place

LINEAGE: Final = "lineage.ndjson"
SIZE: Final = "MINIMIZE_LINEAGE_SIZE"


def beside(output: Path) -> Path:
    """Where lineage stands where nothing else is said.

    >>> beside(Path("out/device_telemetry")).as_posix()
    'out/_device_telemetry.lineage.ndjson'
    """
    return output.parent / f"_{output.name or output.absolute().name}.{LINEAGE}"


OFF: Final = frozenset({"off", "false", "no", "none"})


@dataclass(frozen=True, slots=True)
class Places:
    """The files; None for what is not wanted. `rotate_at` is the size at which the one of lineage is rotated, in bytes."""

    lineage: Path | None
    metrics: Path | None
    rotate_at: int = ROTATE_AT


def places(
    folder: Path,
    output: Place,
    pipeline: str,
    lineage: str | PathLike[str] | None = None,
    metrics: str | PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Places:
    """Where a run's lineage and metrics go.

    Takes the pipeline's folder and name, the output folder, what was given, and the environment (the process's own where none
    is given). A folder stands for a file of the usual name in it. Raises ConfigurationError where `minimize.yaml` says no path,
    or `MINIMIZE_LINEAGE_SIZE` is no size.
    """
    env = os.environ if environ is None else environ
    disabled = env.get("OPENLINEAGE_DISABLED", "").lower() in ("true", "1")
    usual = str(beside(output)) if isinstance(output, Path) else "off"
    named = None if disabled else _named("lineage", lineage, env, folder) or usual
    told = _named("metrics", metrics, env, folder)
    large = env.get(SIZE)
    rotate_at = size(large, SIZE) if large else ROTATE_AT
    return Places(_file(named, LINEAGE, ""), _file(told, f"minimize_{pipeline}.prom", ".prom"), rotate_at)


def _named(what: str, given: str | PathLike[str] | None, env: Mapping[str, str], folder: Path) -> str | None:
    said = os.fspath(given) if given is not None else env.get(f"MINIMIZE_{what.upper()}")
    if said:
        return said
    house = house_file(folder)
    path = None if house is None else _of_house(house, what)
    return path if house is None or not path or path.lower() in OFF else str(house.parent / Path(path).expanduser())


def _of_house(house: Path, what: str) -> str | None:
    try:
        return house_line(house, what)
    except ValueError:
        message = f"`{what}:` cannot be read from {house}"
    raise ConfigurationError(message, hint=f"write `{what}: PATH`, or `{what}: off`")


def _file(named: str | None, usual: str, ending: str) -> Path | None:
    if named is None or named.lower() in OFF:
        return None
    path = Path(named)
    is_folder = path.is_dir() or (ending != "" and path.suffix != ending)
    return path / usual if is_folder else path
