"""A file that is not there: what is there and is called nearly so, or lies one folder below."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from minimize.policy.faults import one_of
from minimize.techniques.redact import hits

_MOST: Final = 4


def nearby(file: Path) -> str:
    """A hint for a file that is not there; nothing where nothing is like it. Names that may be values are not told."""
    try:
        found = [*_alike(file)] or [*_below(file)]
    except (OSError, ValueError):
        found = []
    told = [each for each in found if not hits(each.name)]
    return one_of(list(map(str, told))) if len(told) <= _MOST else ""


def _alike(file: Path) -> Sequence[Path]:
    """What is called nearly so, where the path leaves what is there."""
    missing = next(each for each in (file, *file.parents) if each.parent.is_dir())
    names = sorted(each.name for each in missing.parent.iterdir())
    return [missing.parent / each for each in difflib.get_close_matches(missing.name, names, 1, 0.7)]


def _below(file: Path) -> Sequence[Path]:
    """The folders of that folder that have such a file."""
    return [each.parent for each in sorted(file.parent.glob(f"*/{file.name}"))] if file.name in _OURS else ()


_OURS: Final = ("pipeline.yaml", "policy.yaml")
