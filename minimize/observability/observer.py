"""Watches one run and tells others: an event when it begins and one when it ends, metrics when it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from minimize.errors import MinimizeError
from minimize.observability import events, metrics
from minimize.observability.emit import append, post, repair
from minimize.observability.events import About
from minimize.observability.metrics import Sample
from minimize.observability.places import Places
from minimize.receipt import Receipt

log = logging.getLogger("minimize")


@dataclass(frozen=True, slots=True)
class Observer:
    """The run, and where to tell of it. Whatever goes wrong in telling is logged, and fails no run."""

    about: About
    places: Places

    def began(self, at: datetime) -> None:
        """Tells that the run begins."""
        self._tell(lambda: events.started(self.about, at))

    def published(self, receipt: Receipt) -> None:
        """Tells that the run was published."""
        self._tell(lambda: events.completed(self.about, receipt))
        self._measure(lambda _: metrics.of_success(receipt))

    def idle(self, at: datetime) -> None:
        """Records that the run had nothing to do: metrics alone, as there is no run that lineage could be about."""
        self._repair()
        self._measure(lambda before: metrics.of_nothing(self.about.job.pipeline, at, before))

    def incomplete(self, at: datetime) -> None:
        """Records that the run published nothing, and left dates alone: metrics alone."""
        self._repair()
        self._measure(lambda before: metrics.of_failure(self.about.job.pipeline, at, before))

    def failed(self, at: datetime, error: MinimizeError | None) -> None:
        """Tells that the run failed, or (without an error of ours) that it was stopped."""
        self._tell(lambda: events.failed(self.about, at, error))
        self._measure(lambda before: metrics.of_failure(self.about.job.pipeline, at, before))

    def _tell(self, event: Callable[[], dict[str, Any]]) -> None:
        made = None
        with suppress(Exception):
            made = event()
        if made is None:
            log.warning("lineage could not be told", extra={"code": "W020", "run_id": self.about.run_id})
            return
        if self.places.lineage is not None:
            append(self.places.lineage, made, rotate_at=self.places.rotate_at)
        post(made)

    def _repair(self) -> None:
        if self.places.lineage is not None:
            repair(self.places.lineage)

    def _measure(self, samples: Callable[[str], list[Sample]]) -> None:
        if self.places.metrics is not None:
            text = metrics.text_of(samples(metrics.read(self.places.metrics)))
            metrics.write(self.places.metrics, text)


@contextmanager
def observed(observer: Observer, started: datetime) -> Iterator[Observer]:
    """A run that is watched: leaving the block by an error tells of its failure."""
    observer.began(started)
    try:
        yield observer
    except MinimizeError as error:
        observer.failed(datetime.now(UTC), error)
        raise
    except BaseException:
        observer.failed(datetime.now(UTC), None)
        raise
