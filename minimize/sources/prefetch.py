"""Prefetch the next item of an iterator in a background thread."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterator[T]) -> Generator[T, None, None]:
    """The items of an iterator in order. The next one is computed in a background thread. Its errors are raised in order, too.

    If the consumer closes the generator early, no more items are requested.

    >>> list(prefetch(iter([1, 2, 3])))
    [1, 2, 3]
    """
    with ThreadPoolExecutor(1, thread_name_prefix="minimize-ahead") as pool:
        coming = pool.submit(_next_item, items)
        while found := coming.result():
            coming = pool.submit(_next_item, items)
            yield found[0]


def _next_item(items: Iterator[T]) -> tuple[T] | None:
    for item in items:
        return (item,)
    return None
