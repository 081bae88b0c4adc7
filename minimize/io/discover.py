"""What a source holds: paths and the types that a policy would give them. Names only, never a value.

An object with many keys, or with keys that do not look like names, is a map: its keys may be values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.errors import SourceError
from minimize.io.csv import header
from minimize.io.find import find
from minimize.io.json_strict import Broken, Malformed, Whole, parse
from minimize.io.lines import blocks, lines, opened
from minimize.io.memory import take
from minimize.io.parquet import footer
from minimize.io.part import FilePart
from minimize.io.shape import listy, steps
from minimize.io.text import one
from minimize.io.types import plain, word_of
from minimize.pointer import STAR, Part, Pointer
from minimize.stores import Place, Remote, written

LINES = 5000
"""How many records of NDJSON are looked at."""
FILES = 3
"""How many files of a source are looked at."""
KEYS = 64
"""An object with more distinct keys than this is a map."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_ENDINGS = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson", ".csv": "csv", ".parquet": "parquet"}

Found = list[tuple[str, str]]


def discover(source: Any) -> Found:
    """The paths of a file, a folder, a pattern or data in memory, each with a policy's type word, in order of appearance.

    Where a policy has no word for a type, Arrow's stands there. A flat column comes by its name, anything below one as a
    pointer. Raises SourceError, ConfigurationError.
    """
    if not isinstance(source, str | Path | Remote):
        return _columns(take(source).schema)
    found = find(written(source), Path.cwd())
    parts = [FilePart(path, found.root) for files in found.files.values() for path in files if format_of(path)]
    if not parts:
        raise SourceError(
            f"nothing to look at was found in {source}",
            hint=f"files end in {', '.join(_ENDINGS)}, .gz and .zst included",
        )
    together: dict[str, str] = {}
    for part in parts[:FILES]:
        for key, word in _LOOKS[format_of(part.path)](part):
            together.setdefault(key, word)
    return list(together.items())


def format_of(path: Place) -> str:
    """The format that a file's name says; '' for none."""
    name = path.name.lower().removesuffix(".gz").removesuffix(".zst")
    return _ENDINGS.get(Path(name).suffix, "")


def shape_of(part: FilePart, kind: str) -> Seen:
    """What stands where in a file of a format: of NDJSON in its first lines, of Parquet and CSV as the file says.

    Raises SourceError where the file cannot be read.
    """
    seen = Seen()
    if kind == "parquet":
        _take_type(seen, pa.struct(list(footer(part).schema)))
    elif kind == "csv":
        _take_type(seen, pa.struct([(name, pa.string()) for name in header(part)[0]]))
    else:
        _take_lines(seen, part)
    return seen


def _take_type(seen: Seen, type_: pa.DataType) -> None:
    kind = plain(type_)
    below = dict(steps(kind))
    word = word_of(kind)
    if word is not None and not pa.types.is_null(kind):
        seen.words[word] = None
    for part, field_ in below.items():
        _take_type(seen.below.setdefault(part, Seen()), field_.type)


def _columns(schema: pa.Schema) -> Found:
    return [(_key(parts), word) for column in schema for parts, word in _leaves(column.type, (column.name,))]


def _leaves(type_: pa.DataType, parts: tuple[Part, ...]) -> Iterator[tuple[tuple[Part, ...], str]]:
    kind = plain(type_)
    if pa.types.is_struct(kind) or listy(kind):
        for part, below in steps(kind):
            yield from _leaves(below.type, (*parts, part))
    elif not pa.types.is_null(kind):
        yield parts, word_of(kind) or str(kind)
    else:
        yield parts, "string"


def _key(parts: tuple[Part, ...]) -> str:
    flat = len(parts) == 1 and bool(parts[0]) and not str(parts[0]).startswith("/")
    return str(parts[0]) if flat else str(Pointer(parts))


def _of_parquet(part: FilePart) -> Found:
    return _columns(footer(part).schema)


def _of_csv(part: FilePart) -> Found:
    """A CSV file has names only."""
    return [(name, "string") for name in header(part)[0] if name]


def _of_ndjson(part: FilePart) -> Found:
    seen = Seen()
    _take_lines(seen, part)
    return [(_key(parts), word) for parts, word in seen.leaves(())]


def _take_lines(seen: Seen, part: FilePart) -> None:
    with opened(part.path, part.name) as stream:
        every = (line for block in blocks(stream) for _, line in lines(block))
        for line in islice(every, LINES):
            with suppress(Malformed):
                seen.take(parse(line))


_LOOKS = {"ndjson": _of_ndjson, "csv": _of_csv, "parquet": _of_parquet}


@dataclass
class Seen:
    """What stood at one place of the records: the words of its values, and what was below."""

    words: dict[str, None] = field(default_factory=dict)
    below: dict[Part, Seen] = field(default_factory=dict)

    def take(self, value: Any) -> None:
        """Takes one value in."""
        if isinstance(value, Mapping):
            self._below("struct", value.items())
        elif isinstance(value, list):
            self._below("list", ((STAR, item) for item in value))
        elif value is not None:
            self.words[_word(value)] = None

    def at(self, parts: Sequence[Part]) -> Iterator[Seen]:
        """What stands at a path; a star goes through elements and through keys."""
        if not parts:
            yield self
            return
        for part, below in self.below.items():
            if parts[0] is STAR or part == parts[0]:
                yield from below.at(parts[1:])

    def leaves(self, parts: tuple[Part, ...]) -> Iterator[tuple[tuple[Part, ...], str]]:
        """The paths below, each with the word that fits all of its values, else the first that was seen."""
        names = [part for part in self.below if part is not STAR]
        if parts and (len(names) > KEYS or not all(_NAME.fullmatch(str(name)) for name in names)):
            yield parts, "map"
        elif self.below:
            for part, below in self.below.items():
                yield from below.leaves((*parts, part))
        elif parts:
            yield parts, _settled(list(self.words))

    def _below(self, word: str, items: Any) -> None:
        self.words[word] = None
        for part, item in items:
            if len(self.below) <= KEYS or part in self.below:
                self.below.setdefault(part, Seen()).take(item)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, Whole | Broken):
        return "integer" if isinstance(value, Whole) else "double"
    if not value[:1].isdigit():  # neither a time nor a date: most texts, and half the time of looking at a sample
        return "string"
    return next((word for word in ("timestamp", "date") if one(value, word) is not None), "string")


def _settled(words: list[str]) -> str:
    if set(words) == {"integer", "double"}:
        return "double"
    if {"string"} < set(words) <= {"string", "timestamp", "date"}:
        return "string"
    return words[0] if words else "string"
