"""Conditions asked again of what a run released, as far as a row still holds what they read; what is not there never matches.

Conditions have no `not`, so that a part that is taken out only makes one hold less often. What lets a value through errs to
dropping it that way; what drops a value must be there whole, or nobody can tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from minimize.policy.condition import All, AnyOf, Condition, fields_of, read_by
from minimize.policy.model import DROP, Case, Do, Field
from minimize.techniques.keep import Keep

NEVER: Condition = AnyOf(())


def askable(condition: Condition, held: Collection[str]) -> Condition | None:
    """The condition without what reads fields that are not held as they came in; None where it can never be said to hold.

    >>> from minimize.policy.condition import Equals
    >>> askable(AnyOf((Equals("owner", ("corporate",)), Equals("managed", (True,)))), {"owner"})
    AnyOf(of=(Equals(field='owner', values=('corporate',)),))
    """
    if not isinstance(condition, All | AnyOf):
        return condition if set(fields_of(condition)) <= set(held) else None
    found = [askable(part, held) for part in condition.of]
    parts = tuple(part for part in found if part is not None)
    if isinstance(condition, All):
        return All(parts) if len(parts) == len(found) else None
    return AnyOf(parts) if parts else None


def asked_again(field: Field, held: Collection[str]) -> Field | None:
    """A field whose values a run has released, with its gate and its cases; None where nobody can tell any more.

    A case that let something through lets the released value through, one that drops it drops it.
    """
    gate = None if field.collect_if is None else askable(field.collect_if, held)
    if (field.collect_if is not None and gate is None) or not all(_told(case, held) for case in field.cases):
        return None
    cases = tuple(_cases(field, held))
    last = _released(field.otherwise if field.cases else field.do)
    if last == DROP and not cases:
        return None if field.cases else field.model_copy(update={"collect_if": gate, "do": DROP})
    if last != DROP and all(case.do != DROP for case in cases):
        return field.model_copy(update={"collect_if": gate, "cases": (), "do": last, "otherwise": DROP})
    return field.model_copy(update={"collect_if": gate, "cases": cases, "do": DROP, "otherwise": last})


def _told(case: Case, held: Collection[str]) -> bool:
    """Whether it can be told where a case that drops decides."""
    return case.do != DROP or set(read_by(case.when)) <= set(held)


def _cases(field: Field, held: Collection[str]) -> Iterator[Case]:
    """The cases that can still be told."""
    for case in field.cases:
        when = askable(case.when, held)
        if when is not None:
            yield Case(when=when, do=_released(case.do))


def _released(do: Do) -> Do:
    return DROP if do == DROP else (Keep(),)
