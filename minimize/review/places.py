"""Places in a text file: which line a byte stands in, and which lines hold anything."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from minimize.io.lines import opened

BOM: Final = b"\xef\xbb\xbf"
BLANK: Final = b" \t\r\n"
PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file, from 1: where each begins, and those that are not blank."""

    starts: Sequence[int]
    filled: Sequence[int]

    @classmethod
    def of(cls, path: Path) -> Self:
        """Those of a file, which may be compressed; none of its text is kept. Raises SourceError where it cannot be read."""
        starts, filled, position, is_blank = array("q", [0]), array("q"), 0, True
        with opened(path, path.name) as stream:
            for block in iter(partial(stream.read, PIECE), b""):
                *whole, rest = (block.removeprefix(BOM) if position == 0 else block).split(b"\n")
                position += len(block) - len(rest) - sum(len(line) + 1 for line in whole)  # a mark at the start
                for line in whole:
                    if not (is_blank and not line.strip(BLANK)):
                        filled.append(len(starts))
                    position, is_blank = position + len(line) + 1, True
                    starts.append(position)
                position, is_blank = position + len(rest), is_blank and not rest.strip(BLANK)
        if not is_blank:
            filled.append(len(starts))
        return cls(starts, filled)

    def at(self, position: int) -> int:
        """The line that a byte stands in."""
        return bisect_right(self.starts, position)
