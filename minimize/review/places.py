"""Places in a text file: which line a byte stands in, and which lines hold anything."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final, Self

from minimize.errors import ConfigurationError
from minimize.system import said

BOM: Final = b"\xef\xbb\xbf"
BLANK: Final = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file, from 1: where each begins, and those that are not blank."""

    starts: tuple[int, ...]
    filled: tuple[int, ...]

    @classmethod
    def of(cls, path: Path) -> Self:
        """Those of a file. Raises ConfigurationError where it cannot be read."""
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            what, hint = said(error)
        else:
            starts = (0, *accumulate(len(line) + 1 for line in lines[:-1]))
            filled = (number for number, line in enumerate(lines, 1) if line.removeprefix(BOM).strip(BLANK))
            return cls(starts, tuple(filled))
        raise ConfigurationError(f"{path} cannot be read: {what}", hint=hint)

    def at(self, position: int) -> int:
        """The line that a byte stands in."""
        return bisect_right(self.starts, position)
