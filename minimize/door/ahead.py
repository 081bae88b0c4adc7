"""One thing ahead: the next is made in a thread of its own while the last is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items in their order, and what they raise; no more than one is made before it is asked for.

    >>> [*ahead(iter("abc"))]
    ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(_next, items)
        while found := coming.result():
            coming = thread.submit(_next, items)
            yield found[0]


def _next(items: Iterator[T]) -> tuple[T] | None:
    for item in items:
        return (item,)
    return None
