"""The files of a source path, grouped by batch date, and how their names are displayed.

A path is a file, a folder (all files below it), or a pattern with `*`, `?`, `**` and `{date}`, which matches a
calendar day `YYYY-MM-DD`. It can be the URI of an object store, in which `?` begins the options and is no wildcard. The
root is the longest folder without any of these. Names are displayed relative to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from minimize.errors import SourceError
from minimize.stores import (
    Location,
    ObjectPath,
    absolute_location,
    is_same_location,
    is_uri,
    is_within,
    parse_location,
    relative_path,
)
from minimize.times import parse_iso_date

if TYPE_CHECKING:
    from minimize.sources.files import FilePart

DATE_PLACEHOLDER = "{date}"
_WILDCARD = re.compile(r"[*?{\[]")
_DAY = r"\d{4}-\d{2}-\d{2}"
_HIVE = re.compile(r"([^=/]+)=(.*)")
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class NameMask(Protocol):
    """Masks the names of files."""

    @property
    def ranking_salt(self) -> bytes:
        """The key of the hashes of undeclared names."""
        ...

    def __call__(self, name: str) -> str:
        """The recorded form of a name relative to the source's root."""
        ...

    def mask_recorded(self, name: str) -> str:
        """The current recorded form of a name that was recorded earlier."""
        ...


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files of a source path: their root, and the files of each batch date (None if the path has no `{date}`).

    name_pattern  the pattern of the file names, if all are in the root; None for deeper patterns
    parts         the files that were examined, with their digests, so that a run hashes each of them once
    """

    root: Location
    files: Mapping[date | None, Sequence[Location]]
    name_pattern: re.Pattern[str] | None = None
    parts: dict[tuple[Location, NameMask | None], FilePart] = field(default_factory=dict, repr=False, compare=False)

    @property
    def has_dates(self) -> bool:
        """Whether files are grouped by batch date."""
        return None not in self.files

    def excluded_folder(self, folder: Location) -> Location | None:
        """The folder that an output must not use; None if the output is next to the source's files and cannot be one of them."""
        inside, root = resolve_links(folder), resolve_links(self.root)
        if self.name_pattern is None or is_within(root, inside) or not is_within(inside, root):
            return self.root
        return self.root if self.name_pattern.fullmatch(relative_path(inside, root).parts[0]) else None


def find_files(pattern: str, base: Path) -> SourceFiles:
    """The files of a path, relative to a folder, sorted by path and without hidden files.

    If no file matches, a path with `{date}` has no groups, and any other path has one empty group.
    """
    root, rest = split_pattern(pattern, base)
    if not rest:
        alone = None if root.is_dir() else re.compile(re.escape(root.name))
        return SourceFiles(root if root.is_dir() else root.parent, {None: _files_below(root)}, alone)
    files = _files_below(root, rest.split("/"))
    matches = [
        (day, path) for path in files for day in _batch_dates(_path_pattern(rest), str(relative_path(path, root)))
    ]
    groups: dict[date | None, list[Location]] = {} if DATE_PLACEHOLDER in rest else {None: []}
    for day, path in sorted(matches, key=lambda match: match[0] or date.min):
        groups.setdefault(day, []).append(path)
    return SourceFiles(root, groups, None if "/" in rest or rest == "**" else re.compile(part_pattern(rest), re.DOTALL))


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


def may_share_files(one: Location, pattern: str, other: Location, other_pattern: str) -> bool:
    """Whether two paths, split into roots and patterns, may name the same files: their roots are the same, or one of them takes
    all that is below its root."""
    if is_same_location(one, other):
        return True
    return (_takes_all(pattern) and is_within(other, one)) or (_takes_all(other_pattern) and is_within(one, other))


def _takes_all(pattern: str) -> bool:
    return not pattern or "**" in pattern


def resolve_links(place: Location) -> Location:
    """The location without symbolic links. Object stores have none."""
    return place if isinstance(place, ObjectPath) else place.resolve()


def displayed_name(path: Location, root: Location, shown: NameMask | None = None) -> str:
    """A file's name relative to the root, with `/`: as it is recorded, or without `shown` as on disk."""
    name = "/".join(relative_path(path, root).parts)
    return name if shown is None else shown(name)


def hive_partitions(path: Location, root: Location) -> dict[str, str | None]:
    """The hive partitions of a file below the root, percent-decoded; None is the null partition."""
    folders = relative_path(path, root).parts[:-1]
    found = (match for match in map(_HIVE.fullmatch, folders) if match)
    return {unquote(match[1]): None if match[2] == NULL_PARTITION else unquote(match[2]) for match in found}


def parse_hive_folder(part: str) -> tuple[str, str] | None:
    """The field and the value of a Hive partition folder, percent-decoded; None for other names.

    >>> parse_hive_folder("tenant=a%2Fb"), parse_hive_folder("part-0.parquet")
    (('tenant', 'a/b'), None)
    """
    match = _HIVE.fullmatch(part)
    return None if match is None else (unquote(match[1]), unquote(match[2]))


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


def _files_below(root: Location, pattern: Sequence[str] = ("**",)) -> list[Location]:
    """The files below the root that the pattern could match, or the root if it is a file, sorted by path.

    Raises SourceError for a bucket that does not exist, and for an unreadable folder that may contain matching files, which would
    otherwise be skipped silently.
    """
    found: list[Location] = [*(_objects(root) if isinstance(root, ObjectPath) else _files_on_disk(root, pattern))]
    return sorted(found, key=lambda path: path.parts)


def _objects(root: ObjectPath) -> list[ObjectPath]:
    if root.is_file():
        return [root]
    found = [path for path in root.objects_below() if not _is_hidden(relative_path(path, root))]
    if not found and not root.has_bucket():
        raise SourceError(
            f"{root.bucket} does not exist", hint="Check the name of the bucket, and the region or account."
        )
    return found


def _files_on_disk(root: Path, pattern: Sequence[str]) -> Iterator[Path]:
    if _is_file(root):
        yield root
        return
    closed: list[OSError] = []
    home = root.resolve()
    for folder, below, names in os.walk(root, onerror=closed.append):
        here = Path(folder)
        below[:] = [name for name in below if _can_lead_to_match((here / name).relative_to(root), pattern)]
        files = [path for path in map(here.joinpath, names) if not _is_hidden(Path(path.name))]
        for path in (*map(here.joinpath, below), *files):
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                hint = "Copy the file into the folder, or use the target of the link as the source."
                raise SourceError(f"a symbolic link below {root} points outside the folder", hint=hint)
        yield from filter(_is_file, files)
    for error in closed:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise _unreadable_folder_error(Path(error.filename))


def _can_lead_to_match(folder: Path, pattern: Sequence[str]) -> bool:
    """Whether files below a folder can match the pattern."""
    for part, segment in zip(folder.parts, pattern, strict=False):
        if segment == "**":
            break
        if not re.fullmatch(part_pattern(segment), part, re.DOTALL):
            return False
    return not _is_hidden(folder)


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return path.is_file()
    raise _unreadable_folder_error(path.parent)


def _unreadable_folder_error(folder: Path) -> SourceError:
    return SourceError(f"the folder {folder} cannot be listed", hint="Check the permissions of the folder.")


def _is_hidden(path: PurePath) -> bool:
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in path.parts)


def _path_pattern(rest: str) -> re.Pattern[str]:
    """The pattern as a regular expression for a relative path. A matching folder includes all files below it."""
    parts = rest.split("/")
    text = "".join("(?:.+/)?" if part == "**" else part_pattern(part) + "/" for part in parts[:-1])
    last = ".+" if parts[-1] == "**" else part_pattern(parts[-1]) + "(?:/.+)?"
    return re.compile(text + last, re.DOTALL)


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
    known = {DATE_PLACEHOLDER: f"({_DAY})", "?": "[^/]", "": ""}
    return "".join(known.get(piece, re.escape(piece)) for piece in pieces)


def _batch_dates(regex: re.Pattern[str], name: str) -> list[date | None]:
    """The batch date of a name: one date, no date, or [None] for a pattern without dates. Dates in one path must agree."""
    match = regex.fullmatch(name)
    if match is None:
        return []
    days = set(match.groups())
    return [None] if not days else [day for day in map(parse_iso_date, days) if day is not None and len(days) == 1]
