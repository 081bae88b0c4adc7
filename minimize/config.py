"""Configuration: finds `minimize.yaml`, which holds what belongs to no single pipeline, and reads single values of it.

The nearest file upwards from the folder of a pipeline or an output is read; each folder's `pipelines/` is searched, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

CONFIG_FILE: Final = "minimize.yaml"
CONFIG_KEYS: Final = (
    "keys",
    "kms",
    "ledger",
    "access",
    "recipients",
    "contacts",
    "purposes",
    "approval",
    "processing",
    "memory",
    "lineage",
    "metrics",
)
"""What the house's file may say."""


def find_config(start: str | os.PathLike[str] | None = None) -> Path | None:
    """The nearest `minimize.yaml` upwards from the folder of a pipeline or an output; each folder's `pipelines/` counts.

    The current folder does not count, unless a command names neither a pipeline nor an output on disk (None).
    """
    candidates = _candidates(Path.cwd() if start is None else Path(os.path.abspath(start)))
    return next((path for path in candidates if path.is_file()), None)


def config_value(house: Path, name: str) -> Any:
    """The value under a name, of whatever type; None if there is none, or if the file cannot be read."""
    value = _entry(house, name)
    return None if value is False else value


def config_text(house: Path, name: str) -> str | None:
    """The text that the house's file says under a name; None where it says nothing. Raises ValueError where it is no text."""
    return _check_text(_entry(house, name), name)


def config_access_file(house: Path) -> str | None:
    """The access file that the house's file names: `access: FILE`, or `access: {file: FILE, …}`; None where it names none.

    Raises ValueError where that is no text.
    """
    said = _entry(house, "access")
    return _check_text(said.get("file") if isinstance(said, dict) else said, "access")


def has_access_file(start: str | os.PathLike[str] | None) -> bool:
    """Whether the house of a folder may have an access file, which says who may do and see what."""
    house = find_config(start)
    try:
        return house is not None and config_access_file(house) is not None
    except ValueError:
        return True


def config_texts(house: Path, name: str) -> dict[str, str]:
    """The texts that the house's file says under a name, by their own names; nothing where it says nothing.

    Raises ValueError where that is no mapping of texts.
    """
    said = _entry(house, name)
    if said is None:
        return {}
    if not isinstance(said, dict) or not all(isinstance(each, str) for pair in said.items() for each in pair):
        raise ValueError(f"{name} is no mapping of texts")
    return dict(said)


def _entry(house: Path, name: str) -> Any:
    try:
        document = _parse_document(house.read_bytes())
    except OSError:
        document = False
    return document.get(name) if isinstance(document, dict) else None if document is None else False


@lru_cache(maxsize=4)
def _parse_document(text: bytes) -> Any:
    """What YAML says; False where it is none. A command asks the same file for several of its words."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError):
        return False


def _check_text(said: Any, name: str) -> str | None:
    if not isinstance(said, str | None):
        raise ValueError(f"{name} is no text")
    return said


def _candidates(start: Path) -> Iterator[Path]:
    for each in (start, *start.parents):
        yield each / CONFIG_FILE
        yield each / "pipelines" / CONFIG_FILE
