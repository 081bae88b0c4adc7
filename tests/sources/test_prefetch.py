from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from minimize.errors import SourceError
from minimize.sources.files import prefetch


def test_all_come_in_order_and_empty_ones_are_not_the_end() -> None:
    assert list(prefetch(iter([b"", b"a", b"", b"b"]))) == [b"", b"a", b"", b"b"]
    assert list(prefetch(iter([]))) == []


def test_no_more_than_one_is_made_ahead() -> None:
    made, asked = [], threading.Event()

    def items() -> Iterator[int]:
        for item in range(5):
            made.append(item)
            if item == 1:
                asked.set()
            yield item

    with closing(prefetch(items())) as some:
        assert next(some) == 0
        assert asked.wait(60)
    assert made == [0, 1]


def test_an_error_comes_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise SourceError("it broke")

    some = prefetch(items())
    assert next(some) == 1
    with pytest.raises(SourceError, match="it broke"):
        next(some)


def test_a_reader_that_stops_early_leaves_no_thread() -> None:
    with closing(prefetch(iter(range(9)))) as some:
        assert next(some) == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("minimize-ahead")]
