"""What lint says about conditions: what their outcome gives away, and what can never hold."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding
from minimize.policy.condition import Atom, Equals, Scalar, atoms, fields_of
from minimize.policy.lint.subject import Subject
from minimize.policy.model import Field


def reads(subject: Subject) -> Iterator[Finding]:
    """L050, L051: a record shows the outcome of a condition, and with it something of what the condition reads.

    Conditions of a field that is for other purposes show nothing.
    """
    for key, field in _reads(subject):
        read = subject.policy.fields[key]
        if field is not None and not subject.is_for_purpose(field):
            continue
        if read.role in ("secret", "identifier"):
            message = f"the condition reads `{read.key}`, whose role is {read.role}"
            hint = "whether the value is there tells about what was read"
            yield _finding(subject, "L050", message, field, hint)
        elif not subject.is_held(read.key):
            message = f"the condition reads `{read.key}`, which the output does not hold, and gives some of it away"
            yield _finding(subject, "L051", message, field, "")


def values(subject: Subject) -> Iterator[Finding]:
    """L052: a value of a type that the field never has."""
    for equals, field in _compared(subject):
        read = subject.policy.fields[equals.field]
        if not all(_fits(value, read.type) for value in equals.values):
            message = f"the condition compares `{read.key}`, a {read.type}, with a value of another type"
            yield _finding(subject, "L052", message, field, "it never matches; quote a string, do not quote a number")


def _reads(subject: Subject) -> Iterator[tuple[str, Field | None]]:
    """Each field that an atom of a condition reads, once for each field whose condition it is."""
    for atom, field in _atoms(subject):
        yield from ((key, field) for key in fields_of(atom) if key in subject.policy.fields)


def _compared(subject: Subject) -> Iterator[tuple[Equals, Field | None]]:
    for atom, field in _atoms(subject):
        if isinstance(atom, Equals) and atom.field in subject.policy.fields:
            yield atom, field


def _atoms(subject: Subject) -> Iterator[tuple[Atom, Field | None]]:
    """Each atom of a condition, once for each field whose condition it is."""
    seen: set[tuple[Atom, str | None]] = set()
    for condition, field in subject.conditions():
        for atom in atoms(condition):
            place = (atom, None if field is None else field.key)
            if place not in seen:
                seen.add(place)
                yield atom, field


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
