"""Lint about the records output as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding
from minimize.policy.keyed import tells
from minimize.policy.lint.subject import Subject


def found_again(subject: Subject) -> Iterator[Finding]:
    """L070: records that hold their subjects, and no index of them."""
    records = None if subject.pipeline is None else subject.pipeline.records
    named = subject.policy.subject
    if records is not None and not records.index and named is not None and subject.is_held(named):
        message = f"a {named} is found only by reading all records"
        hint = "leave `index` out: expiry, deletion and answers to requests then read a part"
        yield subject.in_pipeline("L070", message, "records", "index", hint=hint)


def covered(subject: Subject) -> Iterator[Finding]:
    """L072: records that hold somebody's identifier, and not the subject by which his records are found and erased."""
    records = None if subject.pipeline is None else subject.pipeline.records
    named = subject.policy.subject
    if records is None or (named is not None and subject.is_held(named)):
        return
    for field in subject.fields:
        if field.role == "identifier" and subject.is_held(field.key) and tells(field):
            lacks = "the policy names no subject" if named is None else f"the records do not hold {named}"
            hint = f"say `subject: {field.key}`, or drop it: whoever asks to be deleted could not be found"
            yield subject.finding("L072", f"the records hold {field.key}, and {lacks}", field=field, hint=hint)
