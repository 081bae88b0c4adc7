"""Paths with wildcards: their root, their pattern, and whether two of them may name the same files.

A path can contain `*`, `?`, `**` and `{date}`. The root is the longest folder without any of these.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Final

from minimize.stores import (
    Location,
    ObjectPath,
    absolute_location,
    is_same_location,
    is_uri,
    is_within,
    parse_location,
)

DATE_PLACEHOLDER: Final = "{date}"
_WILDCARD: Final = re.compile(r"[*?{\[]")
_DAY: Final = r"\d{4}-\d{2}-\d{2}"


def split_pattern(pattern: str, base: Path) -> tuple[Location, str]:
    """The root of a path, and the rest of it as a pattern ('' if the path has neither a wildcard nor `{date}`)."""
    if is_uri(pattern):
        return _split_uri(parse_location(pattern))
    parts = PurePath(pattern).parts
    wild = _first_wildcard(parts)
    if wild is None:
        return _absolute_folder(base / pattern), ""
    return _absolute_folder(base.joinpath(*parts[:wild])), "/".join(parts[wild:])


def source_name(pattern: str, folder: Path, root: Path) -> str:
    """A name of the records of a path, however it is spelled: the path up to its first wildcard, without links, from the root.

    Takes the folder of the pipeline, and the root of its tree. Folders above the root do not count: the tree can be moved.

    >>> source_name("../data/{date}/*.ndjson", Path("/tree/p"), Path("/tree"))
    'data'
    >>> source_name("s3://bucket/in/*.csv?region=eu-west-1", Path("/tree/p"), Path("/tree"))
    's3://bucket/in'
    """
    if is_uri(pattern):
        return str(_split_uri(parse_location(pattern))[0])
    parts = PurePath(pattern).parts
    place = (folder / PurePath(*parts[: _first_wildcard(parts)])).resolve()
    from_root = PurePath(os.path.relpath(place, root.resolve()))
    return PurePath(*(part for part in from_root.parts if part != "..")).as_posix()


def may_share_files(first: Location, first_pattern: str, second: Location, second_pattern: str) -> bool:
    """Whether two paths, split into roots and patterns, may name the same files: their roots are the same, or one of them takes
    all that is below its root."""
    if is_same_location(first, second):
        return True
    return (_takes_all(first_pattern) and is_within(second, first)) or (
        _takes_all(second_pattern) and is_within(first, second)
    )


def _takes_all(pattern: str) -> bool:
    return not pattern or "**" in pattern


def part_pattern(part: str) -> str:
    """One path part as a regular expression.

    The text between two stars matches at its first occurrence only, without backtracking. Otherwise matching a name could take
    unbounded time.
    """
    first, *others = part.split("*")
    between = (
        f"[^/]*{_literal_pattern(each)}" if DATE_PLACEHOLDER in each else f"(?>[^/]*?{_literal_pattern(each)})"
        for each in others[:-1]
    )
    return "".join((_literal_pattern(first), *between, *(f"[^/]*{_literal_pattern(last)}" for last in others[-1:])))


def _literal_pattern(text: str) -> str:
    pieces = re.split(r"(\{date\}|\?)", text)
    patterns_by_piece = {DATE_PLACEHOLDER: f"({_DAY})", "?": "[^/]", "": ""}
    return "".join(patterns_by_piece.get(piece, re.escape(piece)) for piece in pieces)


def _split_uri(place: Location) -> tuple[Location, str]:
    parts = place.key.parts if isinstance(place, ObjectPath) else ()
    wild = _first_wildcard(parts)
    if wild is None or not isinstance(place, ObjectPath):
        return place, ""
    return ObjectPath(place.bucket, PurePosixPath(*parts[:wild])), "/".join(parts[wild:])


def _first_wildcard(parts: Sequence[str]) -> int | None:
    return next((index for index, part in enumerate(parts) if _WILDCARD.search(part)), None)


def _absolute_folder(path: Path) -> Location:
    return absolute_location(Path(*path.parts))
