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
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from minimize.errors import SourceError
from minimize.records import NULL_PARTITION
from minimize.stores import (
    Location,
    ObjectPath,
    is_within,
    relative_path,
)
from minimize.stores.path_patterns import DATE_PLACEHOLDER, part_pattern, split_pattern
from minimize.times import parse_iso_date

if TYPE_CHECKING:
    from minimize.sources.files import FilePart

_HIVE = re.compile(r"([^=/]+)=(.*)")


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
    """The files of a source path: their root, and the files of each batch date (None if the path has no `{date}`)."""

    root: Location
    files: Mapping[date | None, Sequence[Location]]
    name_pattern: re.Pattern[str] | None = None
    """The pattern of the file names, if all are in the root; None for deeper patterns."""
    parts: dict[tuple[Location, NameMask | None], FilePart] = field(default_factory=dict, repr=False, compare=False)
    """The files that were examined, with their digests, so that a run hashes each of them once."""

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
    root, pattern_below_root = split_pattern(pattern, base)
    if not pattern_below_root:
        alone = None if root.is_dir() else re.compile(re.escape(root.name))
        return SourceFiles(root if root.is_dir() else root.parent, {None: _files_below(root)}, alone)
    files = _files_below(root, pattern_below_root.split("/"))
    matches = [
        (day, path)
        for path in files
        for day in _batch_dates(_path_pattern(pattern_below_root), str(relative_path(path, root)))
    ]
    groups: dict[date | None, list[Location]] = {} if DATE_PLACEHOLDER in pattern_below_root else {None: []}
    for day, path in sorted(matches, key=lambda match: match[0] or date.min):
        groups.setdefault(day, []).append(path)
    return SourceFiles(
        root,
        groups,
        None
        if "/" in pattern_below_root or pattern_below_root == "**"
        else re.compile(part_pattern(pattern_below_root), re.DOTALL),
    )


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
    matches = (match for match in map(_HIVE.fullmatch, folders) if match)
    return {unquote(match[1]): None if match[2] == NULL_PARTITION else unquote(match[2]) for match in matches}


def parse_hive_folder(part: str) -> tuple[str, str] | None:
    """The field and the value of a Hive partition folder, percent-decoded; None for other names.

    >>> parse_hive_folder("tenant=a%2Fb"), parse_hive_folder("part-0.parquet")
    (('tenant', 'a/b'), None)
    """
    match = _HIVE.fullmatch(part)
    return None if match is None else (unquote(match[1]), unquote(match[2]))


def _files_below(root: Location, pattern: Sequence[str] = ("**",)) -> list[Location]:
    """The files below the root that the pattern could match, or the root if it is a file, sorted by path.

    Raises SourceError for a bucket that does not exist, and for an unreadable folder that may contain matching files, which would
    otherwise be skipped silently.
    """
    files: list[Location] = [*(_objects(root) if isinstance(root, ObjectPath) else _files_on_disk(root, pattern))]
    return sorted(files, key=lambda path: path.parts)


def _objects(root: ObjectPath) -> list[ObjectPath]:
    if root.is_file():
        return [root]
    objects = [path for path in root.objects_below() if not _is_hidden(relative_path(path, root))]
    if not objects and not root.has_bucket():
        raise SourceError(
            f"{root.bucket} does not exist", hint="Check the name of the bucket, and the region or account."
        )
    return objects


def _files_on_disk(root: Path, pattern: Sequence[str]) -> Iterator[Path]:
    if _is_file(root):
        yield root
        return
    closed: list[OSError] = []
    home = root.resolve()
    for folder, below, names in os.walk(root, onerror=closed.append):
        folder_path = Path(folder)
        below[:] = [name for name in below if _can_lead_to_match((folder_path / name).relative_to(root), pattern)]
        files = [path for path in map(folder_path.joinpath, names) if not _is_hidden(Path(path.name))]
        for path in (*map(folder_path.joinpath, below), *files):
            if path.is_symlink() and not _leads_into(home, path):
                hint = "Copy the file into the folder, or use the target of the link as the source."
                raise SourceError(f"a symbolic link below {root} points outside the folder", hint=hint)
        yield from filter(_is_file, files)
    for error in closed:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise _unreadable_folder_error(Path(error.filename))


def _leads_into(folder: Path, link: Path) -> bool:
    """Whether a link leads to a file or folder in a folder. A link to itself leads nowhere."""
    try:
        return link.resolve(strict=True).is_relative_to(folder)
    except (OSError, RuntimeError):  # Python reports a loop as RuntimeError before 3.13
        return False


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


def _path_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression for a relative path. A matching folder includes all files below it."""
    parts = pattern.split("/")
    text = "".join("(?:.+/)?" if part == "**" else part_pattern(part) + "/" for part in parts[:-1])
    last = ".+" if parts[-1] == "**" else part_pattern(parts[-1]) + "(?:/.+)?"
    return re.compile(text + last, re.DOTALL)


def _batch_dates(regex: re.Pattern[str], name: str) -> list[date | None]:
    """The batch date of a name: one date, no date, or [None] for a pattern without dates. Dates in one path must agree."""
    match = regex.fullmatch(name)
    if match is None:
        return []
    days = set(match.groups())
    return [None] if not days else [day for day in map(parse_iso_date, days) if day is not None and len(days) == 1]
