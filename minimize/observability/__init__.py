"""Observability of a run: an OpenLineage event when it begins and when it ends, and metrics when it ends.

Events and metrics hold names and counts only. A failure to write or send them is logged and never fails a run.

Metrics of a pipeline's last run in Prometheus' text format: one file per pipeline, for node_exporter's textfile collector.

    minimize_rows{pipeline,fate}                        rows of the last published run, by outcome; without records, only the
                                                        rounded number of rows read
    minimize_quarantined_rows{pipeline,code}            quarantined rows of that run, by code
    minimize_quarantine_share{pipeline}                 quarantined rows among those read, 0 to 1
    minimize_output_rows{pipeline,output}               rows written, by output
    minimize_undeclared_records{pipeline}               records with an undeclared path, summed over paths
    minimize_run_duration_seconds{pipeline}             duration of that run
    minimize_last_success_timestamp_seconds{pipeline}   end of the last run that was published or had nothing to do
    minimize_last_run_timestamp_seconds{pipeline}       end of the last run, with any result
    minimize_last_run_success{pipeline}                 1 if that was published or had nothing to do, else 0

A run that fails, or has nothing to do, does not change the figures of the last published run.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from minimize.errors import MinimizeError
from minimize.observability import openlineage
from minimize.observability.destinations import Destinations, append_event, post_event, repair_events
from minimize.observability.openlineage import RunDescription
from minimize.receipts import Receipt
from minimize.times import Clock, utc_now

METRIC_HELP: Final[Mapping[str, str]] = {
    "minimize_rows": "Rows of the last published run, by outcome.",
    "minimize_quarantined_rows": "Quarantined rows of the last published run, by code.",
    "minimize_quarantine_share": "Quarantined rows among the rows read in the last published run.",
    "minimize_output_rows": "Rows written in the last published run, by output.",
    "minimize_undeclared_records": "Records with an undeclared path in the last published run, summed over paths.",
    "minimize_run_duration_seconds": "Duration of the last published run.",
    "minimize_last_success_timestamp_seconds": "End of the last run that was published or had nothing to do.",
    "minimize_last_run_timestamp_seconds": "End of the last run, published or not.",
    "minimize_last_run_success": "Whether the last run was published or had nothing to do.",
}
Sample = tuple[str, Mapping[str, str], float]
"""Name, labels and value of a metric."""


def success_samples(receipt: Receipt) -> list[Sample]:
    """The metrics of a run that was published."""
    region = "" if receipt.region is None else f".{receipt.region.name}"
    labels = {"pipeline": f"{receipt.pipeline}{region}"}
    rows, ended = receipt.rows, receipt.finished.timestamp()
    return [
        *(("minimize_rows", {**labels, "fate": fate}, count) for fate, count in rows.by_result.items()),
        *(("minimize_quarantined_rows", {**labels, "code": code}, n) for code, n in receipt.quarantine.by_code.items()),
        ("minimize_quarantine_share", labels, receipt.quarantine_share),
        *(("minimize_output_rows", {**labels, "output": name}, each.rows) for name, each in receipt.outputs.items()),
        ("minimize_undeclared_records", labels, sum(receipt.undeclared.values())),
        ("minimize_run_duration_seconds", labels, (receipt.finished - receipt.started).total_seconds()),
        ("minimize_last_success_timestamp_seconds", labels, ended),
        ("minimize_last_run_timestamp_seconds", labels, ended),
        ("minimize_last_run_success", labels, 1),
    ]


def idle_samples(pipeline: str, at: datetime, before: str) -> list[Sample]:
    """The metrics of a run that had nothing to do: figures of the last published run, and the end of this one."""
    labels = {"pipeline": pipeline}
    kept = [sample for sample in parse_samples(before) if not sample[0].startswith("minimize_last_")]
    return [
        *kept,
        ("minimize_last_success_timestamp_seconds", labels, at.timestamp()),
        ("minimize_last_run_timestamp_seconds", labels, at.timestamp()),
        ("minimize_last_run_success", labels, 1),
    ]


def failure_samples(pipeline: str, at: datetime, before: str) -> list[Sample]:
    """The metrics of a failed run: figures of the last success in the file, and the end of this one."""
    labels = {"pipeline": pipeline}
    kept = [sample for sample in parse_samples(before) if not sample[0].startswith("minimize_last_run_")]
    return [
        *kept,
        ("minimize_last_run_timestamp_seconds", labels, at.timestamp()),
        ("minimize_last_run_success", labels, 0),
    ]


def format_samples(samples: Iterable[Sample]) -> str:
    """The samples as text, each metric with its help and type.

    >>> print(format_samples([("minimize_last_run_success", {"pipeline": "p"}, 1)]), end="")
    # HELP minimize_last_run_success Whether the last run was published or had nothing to do.
    # TYPE minimize_last_run_success gauge
    minimize_last_run_success{pipeline="p"} 1
    """
    grouped: dict[str, list[Sample]] = {}
    for sample in samples:
        grouped.setdefault(sample[0], []).append(sample)
    lines = [line for name, some in grouped.items() for line in _metric_lines(name, some)]
    return "".join(f"{line}\n" for line in lines)


def parse_samples(text: str) -> list[Sample]:
    """The samples in a metrics file. Other lines are ignored."""
    matches = (_SAMPLE_LINE.fullmatch(line) for line in text.splitlines())
    return [
        (m["name"], _parse_labels(m["labels"]), float(m["value"])) for m in matches if m and m["name"] in METRIC_HELP
    ]


def write_file(path: Path, text: str) -> None:
    """Replace the file atomically. A failure is logged and never fails a run."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")  # does not end in .prom: no collector reads it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        log.warning("metrics could not be written to %s", path.name, extra={"code": "W021"})
        with suppress(OSError):
            temporary.unlink()


def read_file(path: Path) -> str:
    """The content of the file; empty if it does not exist."""
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")
    return ""


_SAMPLE_LINE: Final = re.compile(r"(?P<name>[a-z_]+)\{(?P<labels>.*)\} (?P<value>[-+.\deE]+)")
_LABEL_PAIR: Final = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


def _metric_lines(name: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {METRIC_HELP[name]}"
    yield f"# TYPE {name} gauge"
    for _, labels, value in samples:
        inside = ",".join(f'{key}="{_escape_label(text)}"' for key, text in labels.items())
        yield f"{name}{{{inside}}} {value:.17g}"


def _parse_labels(text: str) -> dict[str, str]:
    return {key: _unescape_label(value) for key, value in _LABEL_PAIR.findall(text)}


def _escape_label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _unescape_label(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), text)


log = logging.getLogger("minimize")


@dataclass(frozen=True, slots=True)
class Observer:
    """Sends events and metrics of a run to their destinations. A failure to do so is logged and never fails the run."""

    about: RunDescription
    places: Destinations
    clock: Clock = utc_now

    def record_start(self, at: datetime) -> None:
        """Record the start of the run."""
        self._send_event(lambda: openlineage.start_event(self.about, at))

    def record_published(self, receipt: Receipt) -> None:
        """Record that the run was published."""
        self._send_event(lambda: openlineage.complete_event(self.about, receipt))
        self._update_metrics(lambda _: success_samples(receipt))

    def record_idle(self, at: datetime) -> None:
        """Record that the run had nothing to do. Only metrics: lineage has no run to describe."""
        self._repair()
        self._update_metrics(lambda before: idle_samples(self.about.job.run_name, at, before))

    def record_incomplete(self, at: datetime) -> None:
        """Record that the run published nothing and skipped dates. Only metrics."""
        self._repair()
        self._update_metrics(lambda before: failure_samples(self.about.job.run_name, at, before))

    def record_failure(self, at: datetime, error: MinimizeError | None) -> None:
        """Record that the run failed, or was stopped (`error` is None)."""
        self._send_event(lambda: openlineage.failure_event(self.about, at, error))
        self._update_metrics(lambda before: failure_samples(self.about.job.run_name, at, before))

    def _send_event(self, event: Callable[[], dict[str, Any]]) -> None:
        document = None
        with suppress(Exception):
            document = event()
        if document is None:
            log.warning("lineage event could not be created", extra={"code": "W020", "run_id": self.about.run_id})
            return
        if self.places.lineage is not None:
            append_event(self.places.lineage, document, rotate_at=self.places.rotate_at)
        post_event(document)

    def _repair(self) -> None:
        if self.places.lineage is not None:
            repair_events(self.places.lineage)

    def _update_metrics(self, samples: Callable[[str], list[Sample]]) -> None:
        if self.places.metrics is not None:
            text = format_samples(samples(read_file(self.places.metrics)))
            write_file(self.places.metrics, text)


@contextmanager
def observe_run(observer: Observer, started: datetime) -> Iterator[Observer]:
    """Observe a run: record its start, and its failure if the block raises an error."""
    observer.record_start(started)
    try:
        yield observer
    except MinimizeError as error:
        observer.record_failure(observer.clock(), error)
        raise
    except BaseException:
        observer.record_failure(observer.clock(), None)
        raise
