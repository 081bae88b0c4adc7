"""Lint about where an output stands."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding, LedgerError
from minimize.ledger import find_ledger
from minimize.policy.lint.subject import Subject
from minimize.stores import is_uri


def in_bucket(subject: Subject) -> Iterator[Finding]:
    """L071: an output in an object store, and no ledger outside of it."""
    job = subject.pipeline
    if job is None or not is_uri(job.output):
        return
    try:
        find_ledger(start=job.folder, output=job.output)
    except LedgerError:
        message = "the output lies in an object store, and no ledger is named: without its lease no run may write there"
        hint = "say `ledger:` in minimize.yaml, or set MINIMIZE_LEDGER where it runs"
        yield subject.in_pipeline("L071", message, "output", hint=hint)
