"""Lint about the records output as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding
from minimize.policy.lint.subject import Subject


def found_again(subject: Subject) -> Iterator[Finding]:
    """L070: records that hold their subjects, and no index of them."""
    records = None if subject.pipeline is None else subject.pipeline.records
    named = subject.policy.subject
    if records is not None and not records.index and named is not None and subject.is_held(named):
        message = f"a {named} is found only by reading all records"
        hint = "leave `index` out: expiry, deletion and answers to requests then read a part"
        yield subject.in_pipeline("L070", message, "records", "index", hint=hint)
