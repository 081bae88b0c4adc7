"""How much precision a form gives up, in bits: log2 of how many finer values share a coarser one.

Worked out in one of two ways, and said which. By *width*: where a technique makes cells of a known size of a type whose finest
step is known too (an integer's 1, a time's second, a date's day, an address' bit), it is log2 of the cell over the step. By
*distinct values*: log2 of those that came in over those that stand. Both say how many bits of a value nobody can know
any more who sees the coarser one, all finer values taken as equally likely; neither says how hard it is to guess.
"""

from __future__ import annotations

from math import log2
from typing import Any, Final

from minimize.policy.model import Do
from minimize.report.facts import Bits
from minimize.report.rounding import STEP, Count
from minimize.techniques import Step

SECONDS: Final = {
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_629_746,
    "quarter": 7_889_238,
    "year": 31_556_952,
}
_AGES: Final = {"days": "day", "months": "month", "years": "year"}
_SAME: Final = frozenset({"keep", "pseudonymize", "tokenize"})
"""Forms in which two values that differ still differ."""


def by_width(do: Do, type_: str) -> Bits | None:
    """The bits that a chain gives up by the sizes of its cells; None where they do not tell."""
    if isinstance(do, str):
        return None
    found = [_of(step, type_) for step in do if step.name not in _SAME]
    if not found:
        return Bits(0.0, "values that differ still differ")
    return found[0] if len(found) == 1 else None


def by_distinct(before: Count | None, after: Count | None) -> Bits | None:
    """The bits by distinct values, from rounded figures; None where one of them is not known."""
    if before is None or after is None or not before.value or not after:
        return None
    number = log2(before.value / (STEP - 1 if after.is_few else after.value))
    return Bits(max(0.0, number), "by distinct values", at_least=after.is_few)


def keeps_apart(do: Do) -> bool:
    """Whether values that differ still differ in this form, so that as many stand as came in."""
    return not isinstance(do, str) and all(step.name in _SAME and not getattr(step, "rotate", None) for step in do)


def _of(step: Step, type_: str) -> Bits | None:
    said: Any = step
    match step.name:
        case "truncate_time":
            return _time(said.to, type_)
        case "age":
            return _time(_AGES[said.unit], type_)
        case "truncate_ip":
            return Bits(
                32.0 - said.v4,
                f"by width: {32 - said.v4} of 32 bits of an IPv4 address; {128 - said.v6} of 128 of IPv6",
            )
        case "bin" if said.width is not None and type_ == "integer":
            return _cell(float(said.width), "whole numbers", "an interval")
        case "round" if type_ == "integer":
            return _cell(float(said.to), "whole numbers", "a step")
    return None


def _time(unit: str, type_: str) -> Bits | None:
    if type_ == "date":
        return _cell(SECONDS[unit] / SECONDS["day"], "days", f"a {unit}")
    return _cell(SECONDS[unit], "seconds", f"{'an' if unit == 'hour' else 'a'} {unit}")


def _cell(size: float, finer: str, cell: str) -> Bits:
    return Bits(max(0.0, log2(max(size, 1.0))), f"by width: {size:,.0f} {finer} in {cell}")
