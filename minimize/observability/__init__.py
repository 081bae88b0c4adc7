"""Observability of a run: an OpenLineage event when it begins and when it ends, and metrics when it ends.

Events and metrics hold names and counts only. A failure to write or send them is logged and never fails a run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from minimize.errors import MinimizeError
from minimize.observability import metrics, openlineage
from minimize.observability.destinations import Destinations, append_event, post_event, repair_events
from minimize.observability.metrics import Sample
from minimize.observability.openlineage import RunDescription
from minimize.receipts import Receipt

log = logging.getLogger("minimize")


@dataclass(frozen=True, slots=True)
class Observer:
    """Sends events and metrics of a run to their destinations. A failure to do so is logged and never fails the run."""

    about: RunDescription
    places: Destinations

    def record_start(self, at: datetime) -> None:
        """Record the start of the run."""
        self._send_event(lambda: openlineage.start_event(self.about, at))

    def record_published(self, receipt: Receipt) -> None:
        """Record that the run was published."""
        self._send_event(lambda: openlineage.complete_event(self.about, receipt))
        self._update_metrics(lambda _: metrics.success_samples(receipt))

    def record_idle(self, at: datetime) -> None:
        """Record that the run had nothing to do. Only metrics: lineage has no run to describe."""
        self._repair()
        self._update_metrics(lambda before: metrics.idle_samples(self.about.job.run_name, at, before))

    def record_incomplete(self, at: datetime) -> None:
        """Record that the run published nothing and skipped dates. Only metrics."""
        self._repair()
        self._update_metrics(lambda before: metrics.failure_samples(self.about.job.run_name, at, before))

    def record_failure(self, at: datetime, error: MinimizeError | None) -> None:
        """Record that the run failed, or was stopped (`error` is None)."""
        self._send_event(lambda: openlineage.failure_event(self.about, at, error))
        self._update_metrics(lambda before: metrics.failure_samples(self.about.job.run_name, at, before))

    def _send_event(self, event: Callable[[], dict[str, Any]]) -> None:
        made = None
        with suppress(Exception):
            made = event()
        if made is None:
            log.warning("lineage event could not be created", extra={"code": "W020", "run_id": self.about.run_id})
            return
        if self.places.lineage is not None:
            append_event(self.places.lineage, made, rotate_at=self.places.rotate_at)
        post_event(made)

    def _repair(self) -> None:
        if self.places.lineage is not None:
            repair_events(self.places.lineage)

    def _update_metrics(self, samples: Callable[[str], list[Sample]]) -> None:
        if self.places.metrics is not None:
            text = metrics.format_samples(samples(metrics.read_file(self.places.metrics)))
            metrics.write_file(self.places.metrics, text)


@contextmanager
def observe_run(observer: Observer, started: datetime) -> Iterator[Observer]:
    """Observe a run: record its start, and its failure if the block raises an error."""
    observer.record_start(started)
    try:
        yield observer
    except MinimizeError as error:
        observer.record_failure(datetime.now(UTC), error)
        raise
    except BaseException:
        observer.record_failure(datetime.now(UTC), None)
        raise
