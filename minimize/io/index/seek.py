"""Where records of some subjects may stand: files, and of those that have an index the row groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from minimize.io.index.lens import Lens, Prefixes, Subkeys, Value
from minimize.io.index.opened import open_file, opened
from minimize.receipt import OutputFile
from minimize.stores import Place as Place_


@dataclass(frozen=True, slots=True)
class Place:
    """A file that may hold records of the subjects.

    groups  the row groups that may, by number; None where the file has no index, so that all of them may
    """

    file: OutputFile
    groups: tuple[int, ...] | None


def find(output: Place_, files: Iterable[OutputFile], values: Iterable[Value], keys: Subkeys | None) -> list[Place]:
    """Which of the files may hold records whose subject is one of these released values.

    Takes the keyring; without one no index can be read, and every file may. No record is missed: a file that is not given back
    holds none of them. Raises OutputError for an index that is damaged, KeyringError without the version of its key.
    """
    return [place for place in _places(output, files, [*values], keys) if place.groups != ()]


def _places(output: Place_, files: Iterable[OutputFile], values: list[Value], keys: Subkeys | None) -> Iterator[Place]:
    known = None if keys is None else _known(values, keys)
    for file in files:
        if file.index is None or known is None:
            yield Place(file, None)
        else:
            yield Place(file, _groups(output, file, known))


Known = Callable[[int], tuple[Lens, Prefixes]]
"""For a version of the key its lens, and the prefixes of what is sought."""


def _known(values: list[Value], keys: Subkeys) -> Known:
    @cache
    def known(version: int) -> tuple[Lens, Prefixes]:
        lens = Lens.of(keys, version)
        return lens, lens.prefixes_of(values)

    return known


def _groups(output: Place_, file: OutputFile, known: Known) -> tuple[int, ...]:
    with open_file(output, file) as handle:
        index = opened(handle, file, lambda version: known(version)[0])
        return index.groups_of(known(index.lens.version)[1])
