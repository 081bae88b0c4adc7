"""Files kept open for as long as a read lasts: what a publication takes away in the meantime can still be read to its end.

Several reads share what they hold; the names of files are never used again, so that a name is one content. On a system that
cannot open a file by its descriptor, and in an object store, files are opened where they stand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Final

from minimize.stores import Place

BY_NUMBER: Final = Path("/dev/fd")


class Held:
    """Open files by their place. Threads share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[Path, int] = {}
        self._readers: dict[Path, int] = {}

    @contextmanager
    def holding(self, output: Place, paths: Iterable[str]) -> Iterator[dict[str, Place]]:
        """Where each of these files of an output can be opened, as long as the block lasts.

        Raises OSError where one is gone, and holds none then.
        """
        wanted = [*paths]
        if not isinstance(output, Path) or not BY_NUMBER.is_dir():
            yield {path: output / path for path in wanted}
            return
        taken: list[Path] = []
        try:
            yield {path: self._take(output / path, taken) for path in wanted}
        finally:
            self._let_go(taken)

    @property
    def count(self) -> int:
        """How many files are held."""
        return len(self._open)

    def _take(self, place: Path, taken: list[Path]) -> Path:
        with self._lock:
            if place not in self._open:
                self._open[place] = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            self._readers[place] = self._readers.get(place, 0) + 1
            taken.append(place)
            return BY_NUMBER / str(self._open[place])

    def _let_go(self, taken: Iterable[Path]) -> None:
        with self._lock:
            for place in taken:
                self._readers[place] -= 1
                if not self._readers[place]:
                    del self._readers[place]
                    with suppress(OSError):
                        os.close(self._open.pop(place))


def is_kept(place: Place) -> bool:
    """Whether a place is a file that is held open."""
    return isinstance(place, Path) and place.parent == BY_NUMBER
