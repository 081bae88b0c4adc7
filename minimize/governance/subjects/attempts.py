"""Attempts at requests: their outcome, what earlier ones did that were interrupted, and the step with which another begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from minimize.errors import MinimizeError
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.governance.subjects.requests import moved_rows, next_step, record_steps, request_outcome
from minimize.ledger.subject_kinds import SUBJECT_REQUEST, SubjectRequestStep

if TYPE_CHECKING:
    from minimize.datasets.published_output import PublishedOutput
    from minimize.ledger.ledger import Ledger
    from minimize.receipts import Receipt


def with_receipts_of_attempts(
    requests: Mapping[DataSubject, SubjectRequestStep], ledger: Ledger, outputs: Iterable[PublishedOutput]
) -> dict[DataSubject, SubjectRequestStep]:
    """The same open requests, also with the receipts and records of an attempt that was killed before it recorded a step.

    Each attempt begins with a step. So a receipt that no step names belongs to the request with the last step before it.
    """
    if not requests:
        return {}
    steps = [each for each in ledger.find(SUBJECT_REQUEST) if each.state != "confirmed"]
    named = {run_id for each in steps for run_id in each.body.get("receipts", ())}
    unnamed = [each for output in outputs for each in output.chain if each.run_id not in named]
    steps_by_subject: dict[DataSubject, SubjectRequestStep] = {}
    for subject, step in requests.items():
        began = {each.recorded_at: False for each in steps if each.kind == step.kind}
        began |= {each.recorded_at: True for each in steps if each.id == step.id}
        receipts = [
            each
            for each in unnamed
            if each.kind == step.kind
            and began.get(max((at for at in began if at <= each.started), default=each.started))
        ]
        body = {**request_outcome(step, [each.run_id for each in receipts], step.body.get("recalls", {}))}
        body |= moved_rows(step, sum(map(processed_rows, receipts))) if step.kind in ("restrict", "lift") else {}
        steps_by_subject[subject] = replace(step, body={**step.body, **body})
    return steps_by_subject


def processed_rows(receipt: Receipt) -> int:
    """The number of records that a receipt of a deletion, restriction or lifting states."""
    gated = {"delete": receipt.gated_by.erased, "restrict": receipt.gated_by.restricted}
    return gated.get(receipt.kind, receipt.rows.written) or 0


def rows_processed_before(requests: Iterable[SubjectRequestStep], outputs: Iterable[PublishedOutput]) -> int:
    """The number of records that these open requests processed before they were interrupted."""
    named = {run_id for each in requests for run_id in each.body.get("receipts", ())}
    return sum(processed_rows(each) for output in outputs for each in output.chain if each.run_id in named)


@contextmanager
def recorded_outcomes(
    ledger: Ledger,
    steps: Sequence[SubjectRequestStep],
    now: datetime,
    body_of: Callable[[SubjectRequestStep], Mapping[str, Any]],
) -> Iterator[None]:
    """Records the outcome of begun requests at the end of a `with` statement: done, or after an error failed, with its code.

    `body_of` gives what the last step of a request states. A process that is killed leaves the requests open.
    """
    try:
        yield
    except MinimizeError as error:
        failed = [next_step(step, "failed", now, error=error.code, **body_of(step)) for step in steps]
        record_steps(ledger, failed, now)
        raise
    record_steps(ledger, [next_step(step, "done", now, **body_of(step)) for step in steps], now)


def reopened(step: SubjectRequestStep, now: datetime) -> SubjectRequestStep:
    """The step with which another attempt at an open request begins."""
    return next_step(step, "open", now, **{name: value for name, value in step.body.items() if name != "error"})
