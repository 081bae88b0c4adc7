"""Where the house's file is: `minimize.yaml`, which holds what belongs to no single pipeline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HOUSE: Final = "minimize.yaml"
HOUSE_KEYS: Final = ("keys", "ledger", "access", "recipients", "purposes", "memory", "lineage", "metrics")
"""What the house's file may say."""
MORE: Final = ("access",)
"""Where more may be said than a text, which then stands under `file`."""


def house_file(start: str | os.PathLike[str] | None = None) -> Path | None:
    """The nearest `minimize.yaml` upwards from a folder, else from the current one; each folder's `pipelines/` counts."""
    starts = ([start] if start is not None else []) + [Path.cwd()]
    candidates = (path for each in starts for path in _upwards(Path(os.path.abspath(each))))
    return next((path for path in candidates if path.is_file()), None)


def house_line(house: Path, name: str) -> str | None:
    """The text that the house's file says under a name, or there under `file`, where more is said; None where it says nothing.

    Raises ValueError where it is no text.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(house)
    except (YAMLError, OSError, ValueError):
        document = False
    said = document.get(name) if isinstance(document, dict) else document
    said = said.get("file") if isinstance(said, dict) and name in MORE else said
    if not isinstance(said, str | None) or isinstance(document, str):
        raise ValueError(f"{name} is no text")
    return said


def _upwards(start: Path) -> Iterator[Path]:
    for each in (start, *start.parents):
        yield each / HOUSE
        yield each / "pipelines" / HOUSE
