"""Lint about the records output as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding
from minimize.policy.fields import ways_of
from minimize.policy.keyed import tells
from minimize.policy.lint.fields import leaves
from minimize.policy.lint.subject import Subject
from minimize.policy.model import Field
from minimize.policy.roles import is_coordinate


def found_again(subject: Subject) -> Iterator[Finding]:
    """L070: records that hold their subjects, and no index of them."""
    records = None if subject.pipeline is None else subject.pipeline.records
    named = subject.policy.subject
    if records is not None and not records.index and named is not None and subject.is_held(named):
        message = f"a {named} is found only by reading all records"
        hint = "leave `index` out: expiry, deletion and answers to requests then read a part"
        yield subject.in_pipeline("L070", message, "records", "index", hint=hint)


def located(subject: Subject) -> Iterator[Finding]:
    """L048: positions in records that are not encrypted."""
    job = subject.pipeline
    if job is None or job.records is None:
        return
    encrypt = job.demanded if job.records.encrypt is None else job.records.encrypt.by
    for field in subject.fields:
        if encrypt == "none" and subject.is_held(field.key) and _is_position(field):
            message = f"`{field.key}` is a position, and records are not encrypted"
            hint = "say `encrypt: by_category` in `records` of the pipeline"
            yield subject.finding("L048", message, field=field, hint=hint)


def _is_position(field: Field) -> bool:
    """Whether a field shows a position: by its technique, or as a coordinate that is kept as it is."""
    ways = [way for way in ways_of(field) if not isinstance(way, str)]
    kept = any(leaves(way) == "everything" for way in ways)
    return any(step.locates for way in ways for step in way) or (kept and is_coordinate(field.pointer))


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
