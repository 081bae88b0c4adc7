"""Warnings and log messages of libraries while a source is read.

Their text may contain values, so it is hidden. Warnings are counted and logged as W057.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from minimize.records import Chunk
from minimize.results import LogMessage
from minimize.sources.base import SeekablePart, SourcePart
from minimize.sources.files import WrappingPart, WrappingSource
from minimize.text import count_noun

T = TypeVar("T")


_HIDDEN_TEXT: Final = (
    "a library logged this while a source was read; its text is not shown because it may contain values"
)


class _WarningHook:
    """Takes the place of `warnings.showwarning` and of logging's record factory while any thread reads a source.

    Warnings and log messages of other threads are shown as usual. `warnings.catch_warnings` would also catch those of other
    threads, and two threads would restore each other's state. A filter of a logger does not see the messages of loggers below.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._readers = 0
        self._show: Callable[..., None] = warnings.showwarning
        self._make_record: Callable[..., logging.LogRecord] = logging.LogRecord

    def enter(self) -> None:
        with self._lock:
            self._readers += 1
            if warnings.showwarning != self.show:
                self._show, warnings.showwarning = warnings.showwarning, self.show
            if logging.getLogRecordFactory() != self.make_record:
                self._make_record = logging.getLogRecordFactory()
                logging.setLogRecordFactory(self.make_record)
        self._thread.counts = [*getattr(self._thread, "counts", ()), 0]

    def leave(self) -> int:
        """The number of hidden warnings of this thread since it entered."""
        with self._lock:
            self._readers -= 1
            if not self._readers and warnings.showwarning == self.show:
                warnings.showwarning = self._show
            if not self._readers and logging.getLogRecordFactory() == self.make_record:
                logging.setLogRecordFactory(self._make_record)
        return int(self._thread.counts.pop())

    def show(self, *arguments: Any, **keywords: Any) -> None:
        """Counts a warning of a thread that reads, and shows any other."""
        if not self._count():
            self._show(*arguments, **keywords)

    def make_record(self, name: str, level: int, *arguments: Any, **keywords: Any) -> logging.LogRecord:
        """The record of a log message. That of a library has no text in a thread that reads; a warning or more is counted."""
        record = self._make_record(name, level, *arguments, **keywords)
        is_own = name.partition(".")[0] == "minimize"
        if is_own or not getattr(self._thread, "counts", None):
            return record
        if level >= logging.WARNING:
            self._count()
        record.msg, record.args, record.exc_info, record.stack_info = _HIDDEN_TEXT, (), None, None
        return record

    def _count(self) -> bool:
        """Counts a hidden warning, if this thread reads a source."""
        if not getattr(self._thread, "counts", None):
            return False
        self._thread.counts[-1] += 1
        return True


_HOOK: Final = _WarningHook()


@dataclass(slots=True)
class HiddenWarnings:
    """The number of warnings that were hidden while one file was read."""

    count: int = 0

    @contextmanager
    def hide(self) -> Iterator[None]:
        """Hides and counts the warnings of this thread."""
        _HOOK.enter()
        try:
            yield
        finally:
            self.count += _HOOK.leave()

    def log(self, name: str) -> None:
        """Logs the number, if there were any."""
        if self.count:
            warned = count_noun(self.count, "warning")
            LogMessage(
                "W057", f"{name}: a library gave {warned}, whose text is not shown because it may contain values"
            ).log()


def call_without_warnings(work: Callable[..., T], *arguments: Any, name: str = "a source") -> T:
    """The result of work with a source, whose warnings are hidden. The name of the source is for the log."""
    hidden = HiddenWarnings()
    try:
        with hidden.hide():
            return work(*arguments)
    finally:
        hidden.log(name)


def iterate_without_warnings(items: Iterator[T], name: str = "a source") -> Iterator[T]:
    """The items of an iterator, whose warnings are hidden. Warnings of the consumer are not."""
    hidden = HiddenWarnings()
    try:
        while True:
            with hidden.hide():
                item = [*islice(items, 1)]
            if not item:
                return
            yield item.pop()
    finally:
        hidden.log(name)


@dataclass(frozen=True, slots=True)
class QuietPart(WrappingPart):
    """A part whose warnings are hidden."""

    def pieces(self) -> Sequence[SourcePart]:
        """The part's pieces."""
        return [QuietPart(piece) for piece in self.part.pieces()]

    def read(self) -> Iterator[Chunk]:
        """The part's chunks."""
        return iterate_without_warnings(self.part.read(), self.name)

    def read_positions(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """Chunks with at least the records at these positions."""
        chunks = self.part.read_positions(positions) if isinstance(self.part, SeekablePart) else self.part.read()
        return iterate_without_warnings(chunks, self.name)


@dataclass(frozen=True, slots=True)
class QuietSource(WrappingSource):
    """A source whose warnings are hidden."""

    @property
    def parts(self) -> tuple[QuietPart, ...]:
        """The source's parts, with their warnings hidden."""
        return tuple(map(QuietPart, self.source.parts))

    def only(self, keys: Collection[str]) -> QuietSource:
        """The source restricted to these fields and the required ones."""
        return QuietSource(self.source.only(keys))
