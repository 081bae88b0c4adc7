"""Registry: names, and the objects behind them in the modules of a package, each imported when it is first used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

__all__ = ["Registry", "load_object"]

T = TypeVar("T")


def load_object(path: str) -> Any:
    """The object at a dotted path, its module imported now.

    >>> load_object("json.decoder.JSONDecoder").__name__
    'JSONDecoder'
    """
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


class Registry(Mapping[str, T]):
    """Words, and what stands for them in the modules of a package.

    >>> table: Registry[type] = Registry("json", {"reader": "decoder.JSONDecoder", "writer": "encoder.JSONEncoder"})
    >>> list(table), table["reader"]
    (['reader', 'writer'], <class 'json.decoder.JSONDecoder'>)
    """

    def __init__(self, package: str, rows: Mapping[str, str]) -> None:
        self._package = package
        self._rows = dict(rows)

    def __getitem__(self, word: str) -> T:
        """What the word means, imported now. Raises KeyError for a word that is not there."""
        found: T = load_object(f"{self._package}.{self._rows[word]}")
        return found

    def __contains__(self, word: object) -> bool:
        return word in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
