"""Places in a text file: which line a byte stands in, and which lines hold anything."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Final, Self

from minimize.io.lines import opened

BOM: Final = b"\xef\xbb\xbf"
BLANK: Final = b" \t\r\n"
PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file, from 1: where each begins, and those that are not blank."""

    starts: tuple[int, ...]
    filled: tuple[int, ...]

    @classmethod
    def of(cls, path: Path) -> Self:
        """Those of a file, which may be compressed. Raises SourceError where it cannot be read."""
        with opened(path, path.name) as stream:
            content = b"".join(iter(partial(stream.read, PIECE), b""))
        lines = content.split(b"\n")
        starts = (0, *accumulate(len(line) + 1 for line in lines[:-1]))
        filled = (number for number, line in enumerate(lines, 1) if line.removeprefix(BOM).strip(BLANK))
        return cls(starts, tuple(filled))

    @classmethod
    def rows(cls, count: int) -> Self:
        """The rows of a table, each of which is a line."""
        return cls(tuple(range(count)), tuple(range(1, count + 1)))

    def at(self, position: int) -> int:
        """The line that a byte stands in."""
        return bisect_right(self.starts, position)
