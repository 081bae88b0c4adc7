"""Which files a source path names, by batch date, and how their names may be shown.

A path is a file, a folder (all files below it), or a pattern with `*`, `?`, `**` and `{date}`, which stands for a calendar
day `YYYY-MM-DD`. It may be the URI of an object store; `?` then begins its options and is no wildcard. Its root is the
longest folder without any of these; names are shown relative to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePath, PurePosixPath
from typing import Protocol
from urllib.parse import unquote

from minimize.errors import SourceError
from minimize.stores import Place, Remote, absolute, is_uri, relative, where, within

DATE = "{date}"
_WILD = re.compile(r"[*?{\[]")
_DAY = r"\d{4}-\d{2}-\d{2}"
_HIVE = re.compile(r"([^=/]+)=(.*)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


class Shown(Protocol):
    """How the names of files are shown."""

    @property
    def ranking_salt(self) -> bytes:
        """What undeclared names are hashed with."""
        ...

    def __call__(self, part: str, path: str) -> str:
        """What to show of the last part of a path."""
        ...

    def again(self, name: str) -> str:
        """A name that was shown earlier, as it is shown today."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a source path: their root, and the files of each batch date (None where the path has no `{date}`).

    beside  which names in the root are the source's, where it is files in one folder; None where it goes deeper
    """

    root: Place
    files: Mapping[date | None, Sequence[Place]]
    beside: re.Pattern[str] | None = None

    @property
    def dated(self) -> bool:
        """Whether files are grouped by batch date."""
        return None not in self.files

    def fence(self, folder: Place) -> Place | None:
        """The folder that an output must stay away from; None where it lies beside the source's files and cannot be one."""
        inside, root = resolved(folder), resolved(self.root)
        if self.beside is None or within(root, inside) or not within(inside, root):
            return self.root
        return self.root if self.beside.fullmatch(relative(inside, root).parts[0]) else None


def find(pattern: str, base: Path) -> Found:
    """The files that a path names, relative to a folder; sorted by path, hidden files left out.

    Gives no groups where nothing matches a `{date}` path, and one empty group where nothing matches another.
    """
    root, rest = split(pattern, base)
    if not rest:
        alone = None if root.is_dir() else re.compile(re.escape(root.name))
        return Found(root if root.is_dir() else root.parent, {None: _under(root)}, alone)
    files = _under(root, rest.split("/"))
    matches = [(day, path) for path in files for day in _days(_regex(rest), str(relative(path, root)))]
    groups: dict[date | None, list[Place]] = {} if DATE in rest else {None: []}
    for day, path in sorted(matches, key=lambda match: match[0] or date.min):
        groups.setdefault(day, []).append(path)
    return Found(root, groups, None if "/" in rest or rest == "**" else re.compile(part_pattern(rest), re.DOTALL))


def split(pattern: str, base: Path) -> tuple[Place, str]:
    """The root of a path, and the rest of it as a pattern ('' where the path has neither wildcard nor `{date}`)."""
    if is_uri(pattern):
        return _split_uri(where(pattern))
    parts = PurePath(pattern).parts
    wild = _wild(parts)
    if wild is None:
        return _resolved(base / pattern), ""
    return _resolved(base.joinpath(*parts[:wild])), "/".join(parts[wild:])


def resolved(place: Place) -> Place:
    """The place without links; in a store there are none."""
    return place if isinstance(place, Remote) else place.resolve()


def name_of(path: Place, root: Place, shown: Shown | None = None) -> str:
    """A file's name relative to the root, with `/`; without `shown` as on disk."""
    parts = relative(path, root).parts
    if shown is not None:
        parts = tuple(shown(part, "/".join(parts[: depth + 1])) for depth, part in enumerate(parts))
    return "/".join(parts)


def hive(path: Place, root: Place) -> dict[str, str | None]:
    """The hive partitions of a file below the root, percent-decoded; None is the partition of no value."""
    folders = relative(path, root).parts[:-1]
    found = (match for match in map(_HIVE.fullmatch, folders) if match)
    return {unquote(match[1]): None if match[2] == _NO_VALUE else unquote(match[2]) for match in found}


def partition_of(part: str) -> tuple[str, str] | None:
    """The field and the value of a Hive partition's folder, percent-decoded; None for another name.

    >>> partition_of("tenant=a%2Fb"), partition_of("part-0.parquet")
    (('tenant', 'a/b'), None)
    """
    match = _HIVE.fullmatch(part)
    return None if match is None else (unquote(match[1]), unquote(match[2]))


def _split_uri(place: Place) -> tuple[Place, str]:
    parts = place.key.parts if isinstance(place, Remote) else ()
    wild = _wild(parts)
    if wild is None or not isinstance(place, Remote):
        return place, ""
    return Remote(place.bucket, PurePosixPath(*parts[:wild])), "/".join(parts[wild:])


def _wild(parts: Sequence[str]) -> int | None:
    return next((index for index, part in enumerate(parts) if _WILD.search(part)), None)


def _resolved(path: Path) -> Place:
    return absolute(Path(*path.parts))


def _under(root: Place, pattern: Sequence[str] = ("**",)) -> list[Place]:
    """The files below that a pattern could name, or the one that the root is, by path.

    Raises SourceError for a bucket that is not there, and for a folder that may hold some and is closed to us: they would be
    missed, and nobody would know.
    """
    found: list[Place] = [*(_objects(root) if isinstance(root, Remote) else _files(root, pattern))]
    return sorted(found, key=lambda path: path.parts)


def _objects(root: Remote) -> list[Remote]:
    if root.is_file():
        return [root]
    found = [path for path in root.below() if not _hidden(relative(path, root))]
    if not found and not root.has_bucket():
        raise SourceError(f"{root.bucket} is not there", hint="is the bucket's name right, and the region or account?")
    return found


def _files(root: Path, pattern: Sequence[str]) -> Iterator[Path]:
    if _is_file(root):
        yield root
        return
    closed: list[OSError] = []
    home = root.resolve()
    for folder, below, names in os.walk(root, onerror=closed.append):
        here = Path(folder)
        below[:] = [name for name in below if _leads((here / name).relative_to(root), pattern)]
        files = [path for path in map(here.joinpath, names) if not _hidden(Path(path.name))]
        for path in (*map(here.joinpath, below), *files):
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                hint = "copy the file into the folder, or name the place that the link points to"
                raise SourceError(f"a link below {root} leaves the folder", hint=hint)
        yield from filter(_is_file, files)
    for error in closed:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise _shut(Path(error.filename))


def _leads(folder: Path, pattern: Sequence[str]) -> bool:
    """Whether files that the pattern names can be below a folder."""
    for part, segment in zip(folder.parts, pattern, strict=False):
        if segment == "**":
            break
        if not re.fullmatch(part_pattern(segment), part, re.DOTALL):
            return False
    return not _hidden(folder)


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return path.is_file()
    raise _shut(path.parent)


def _shut(folder: Path) -> SourceError:
    return SourceError(f"the folder {folder} cannot be looked into", hint="see who may read it")


def _hidden(path: PurePath) -> bool:
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in path.parts)


def _regex(rest: str) -> re.Pattern[str]:
    """The pattern as an expression over a relative path. A folder that it names stands for all files below."""
    parts = rest.split("/")
    text = "".join("(?:.+/)?" if part == "**" else part_pattern(part) + "/" for part in parts[:-1])
    last = ".+" if parts[-1] == "**" else part_pattern(parts[-1]) + "(?:/.+)?"
    return re.compile(text + last, re.DOTALL)


def part_pattern(part: str) -> str:
    """One part as an expression. What stands between two stars is taken where it first stands, and never looked for again:
    else a name could be tried for ever."""
    first, *others = part.split("*")
    between = (f"[^/]*{_fixed(each)}" if DATE in each else f"(?>[^/]*?{_fixed(each)})" for each in others[:-1])
    return "".join((_fixed(first), *between, *(f"[^/]*{_fixed(last)}" for last in others[-1:])))


def _fixed(text: str) -> str:
    pieces = re.split(r"(\{date\}|\?)", text)
    known = {DATE: f"({_DAY})", "?": "[^/]", "": ""}
    return "".join(known.get(piece, re.escape(piece)) for piece in pieces)


def _days(regex: re.Pattern[str], name: str) -> list[date | None]:
    """The batch date of a name: one, none at all, or [None] for a pattern without dates. Dates in one path must agree."""
    match = regex.fullmatch(name)
    if match is None:
        return []
    days = set(match.groups())
    return [None] if not days else [day for day in map(_day, days) if day is not None and len(days) == 1]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
