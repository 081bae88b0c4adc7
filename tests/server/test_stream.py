"""One thing ahead, and no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from minimize.sources.files import prefetch


def test_one_is_made_before_it_is_asked_for_and_no_more() -> None:
    made: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    coming = prefetch(items())
    assert next(coming) == 0
    assert second.wait(30)
    assert made == [0, 1]
    assert [*coming] == [1, 2, 3, 4]


def test_an_exception_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("here")

    coming = prefetch(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="here"):
        next(coming)


def test_an_abandoned_stream_leaves_no_thread() -> None:
    before = {*threading.enumerate()}
    coming = prefetch(iter(range(1000)))
    next(coming)
    (thread,) = [each for each in {*threading.enumerate()} - before if each.name.startswith("minimize-ahead")]
    del coming
    thread.join(30)
    assert not thread.is_alive()
