"""Registry: names, and the objects behind them in the modules of a package, each imported when it is first used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
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


class Registry(MutableMapping[str, T]):
    """Names, and the objects behind them in the modules of a package. A caller can add an object of its own.

    >>> table: Registry[type] = Registry("json", {"reader": "decoder.JSONDecoder", "writer": "encoder.JSONEncoder"})
    >>> list(table), table["reader"]
    (['reader', 'writer'], <class 'json.decoder.JSONDecoder'>)
    """

    def __init__(self, package: str, paths: Mapping[str, str]) -> None:
        self._package = package
        self._rows: dict[str, str | T] = dict(paths)

    def __getitem__(self, name: str) -> T:
        """The object behind a name, imported when it is first used. Raises KeyError for an unknown name."""
        row = self._rows[name]
        if isinstance(row, str):
            row = load_object(f"{self._package}.{row}")
            self._rows[name] = row
        return row

    def __setitem__(self, name: str, value: T) -> None:
        self._rows[name] = value

    def __delitem__(self, name: str) -> None:
        del self._rows[name]

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
