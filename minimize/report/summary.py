"""A report on a terminal: the figures that a reader asks for first, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from minimize.counts import counted
from minimize.report.facts import Facts

_LABEL: Final = 16


def summary(facts: Facts, width: int) -> str:
    """The report as lines of text, without a newline at the end."""
    dates = f", {facts.dates[0]} to {facts.dates[-1]}" if facts.dates else ""
    title = f"{facts.pipeline}: {counted(len(facts.runs), 'run')}{dates}, for {', '.join(facts.purposes)}"
    lines = [_line(label, text, width) for label, text in _lines(facts) if text]
    return "\n".join([title, *lines])


def _lines(facts: Facts) -> Iterator[tuple[str, str]]:
    parts = [f"{count} {name}" for name, count in facts.flow.parts.items() if count]
    yield "rows", f"{facts.flow.read} read = {' + '.join(parts) or '0'}"
    yield "quarantined as", ", ".join(f"{code} {count}" for code, count in facts.flow.quarantined.items())
    for each in facts.outputs:
        small = f"; {each.suppressed} groups too small to show" if each.suppressed else ""
        waiting = f"; {each.deferred} rows deferred" if each.deferred else ""
        yield each.name, f"{each.rows} rows, {each.category}{', encrypted' if each.encrypted else ''}{small}{waiting}"
    yield "fields", _fields(facts)
    yield "collection", _collection(facts)
    yield "retention", _retention(facts)
    yield "sharing", _sharing(facts)
    for policy in facts.policies:
        yield "policy", f"{policy.name} {policy.version}, {counted(policy.runs, 'run')}, approved: {policy.approved}"
    yield "receipts", f"{facts.receipts}; signatures {facts.signatures}"
    for hidden in facts.hidden:
        yield "not shown", f"{hidden.what}: {hidden.why}"


def _fields(facts: Facts) -> str:
    dropped = sum(each.is_dropped for each in facts.fields)
    same = sum(each.form == "as it came" for each in facts.fields)
    rest = len(facts.fields) - dropped - same
    return f"{dropped} dropped, {rest} made coarser or replaced, {same} kept" if facts.fields else ""


def _collection(facts: Facts) -> str:
    found = facts.collection
    if found is None:
        return ""
    on = ", ".join(f"{name} {numbers[-1]}" for name, numbers in found.on.items())
    return f"of {counted(found.tenants, 'tenant')} have turned on: {on}"


def _retention(facts: Facts) -> str:
    kept = facts.retention.retention or "without end"
    late = f"; {facts.retention.overdue} OVERDUE" if facts.retention.overdue else "; nothing overdue"
    return f"kept {kept}{late}" if facts.retention.due is not None else f"kept {kept}"


def _sharing(facts: Facts) -> str:
    each = [function for recipient in facts.sharing or () for function in recipient.functions]
    acts = [function.acts for function in each if function.acts is not None]
    return (
        f"{counted(len(facts.sharing), 'recipient')}, {counted(sum(acts), 'act')} of sharing" if facts.sharing else ""
    )


def _line(label: str, text: str, width: int) -> str:
    indent = " " * (_LABEL + 2)
    lines = wrap(text, max(20, width - len(indent)), break_long_words=False, break_on_hyphens=False)
    head = f"  {label:<{_LABEL}}{lines[0]}" if len(label) < _LABEL else f"  {label} {lines[0]}"
    return "\n".join([head, *(indent + each for each in lines[1:])])
