"""What lint says about conditions: what their outcome gives away, and what can never hold."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding
from minimize.policy.condition import Condition, Equals, Scalar, atoms
from minimize.policy.lint.subject import Subject
from minimize.policy.model import Field


def reads(subject: Subject) -> Iterator[Finding]:
    """L050, L051: a record shows the outcome of a condition, and with it something of what the condition reads."""
    for equals, field in _reads(subject):
        read = subject.policy.fields[equals.field]
        if read.role in ("secret", "identifier"):
            message = f"the condition reads `{read.key}`, whose role is {read.role}"
            hint = "whether the value is there tells about what was read"
            yield _finding(subject, "L050", message, field, hint)
        elif not subject.is_held(read.key):
            message = f"the condition reads `{read.key}`, which the output does not hold, and gives some of it away"
            yield _finding(subject, "L051", message, field, "")


def values(subject: Subject) -> Iterator[Finding]:
    """L052: a value of a type that the field never has."""
    for equals, field in _reads(subject):
        read = subject.policy.fields[equals.field]
        if not all(_fits(value, read.type) for value in equals.values):
            message = f"the condition compares `{read.key}`, a {read.type}, with a value of another type"
            yield _finding(subject, "L052", message, field, "it never matches; quote a string, do not quote a number")


def _reads(subject: Subject) -> Iterator[tuple[Equals, Field | None]]:
    """Each field that a condition reads, once for each field whose condition it is."""
    seen: set[tuple[Equals, str | None]] = set()
    for condition, field in subject.conditions():
        for equals in _equals(condition, subject):
            place = (equals, None if field is None else field.key)
            if place not in seen:
                seen.add(place)
                yield equals, field


def _equals(condition: Condition, subject: Subject) -> Iterator[Equals]:
    for atom in atoms(condition):
        if isinstance(atom, Equals) and atom.field in subject.policy.fields:
            yield atom


def _fits(value: Scalar, type_: str) -> bool:
    if type_ == "boolean":
        return isinstance(value, bool)
    if type_ == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if type_ == "double" or type_.startswith("decimal"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def _finding(subject: Subject, code: str, message: str, field: Field | None, hint: str) -> Finding:
    if field is not None:
        return subject.finding(code, message, field=field, hint=hint)
    if subject.policy.records.collect_if is not None:
        return subject.finding(code, message, at="records.collect_if", hint=hint)
    return subject.in_pipeline(code, message, "records", "collect_if", hint=hint)
