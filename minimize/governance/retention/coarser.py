"""Whether what stands of a field can be brought into the form that today's policy gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from minimize.policy.coarser import order
from minimize.policy.fields import is_dropped
from minimize.policy.model import DROP, Do, Field
from minimize.techniques import Step, Technique, TypeRefused
from minimize.techniques.keep import Keep

Verdict = Literal["same", "coarser", "finer", "gone"]


@dataclass(frozen=True, slots=True)
class Form:
    """What today's policy makes of a field as it stands: its values go through `steps` where it became coarser."""

    verdict: Verdict
    steps: tuple[Technique, ...] = ()


def form(then: Field, today: Field | None, purpose: str, type_: pa.DataType) -> Form:
    """How the form of then compares with the one of today.

    `gone`: today's policy drops it, or has it in a form that cannot be made of the one that stands.
    """
    if today is None or is_dropped(today) or (today.purposes and purpose not in today.purposes):
        return Form("gone")
    if (then.cases, then.otherwise, then.do, then.from_) == (today.cases, today.otherwise, today.do, today.from_):
        return Form("same")
    if then.cases or today.cases or then.from_ != today.from_:
        return Form("gone")
    return _chains(_chain(then.do), _chain(today.do), type_)


def _chains(then: Sequence[Step], today: Sequence[Step], type_: pa.DataType) -> Form:
    if _is_keep(today):
        return Form("finer")
    if _is_keep(then) and _can_follow(today, type_):
        return Form("coarser", tuple(step for step in today if isinstance(step, Technique)))
    if len(then) == len(today) == 1 and type(then[0]) is type(today[0]):
        found = order(then[0].name, then[0].model_dump(), today[0].model_dump())
        if found == "coarser" and isinstance(today[0], Technique):
            return Form("coarser", (today[0],))
        if found is not None:
            return Form(found)
    return Form("gone")


def finer(then: Field | None, today: Field) -> bool:
    """Whether today's policy shows a field that the file does not have."""
    return then is None or is_dropped(then)


def _chain(way: Do) -> tuple[Step, ...]:
    return () if way == DROP or isinstance(way, str) else way


def _is_keep(steps: Sequence[Step]) -> bool:
    return bool(steps) and all(isinstance(step, Keep) for step in steps)


def _can_follow(steps: Sequence[Step], type_: pa.DataType) -> bool:
    """Whether a chain needs nothing but the value, and gives values of the type that stands."""
    given = type_
    try:
        for step in steps:
            if not isinstance(step, Technique) or step.reads() | step.key_names or step.needs_time:
                return False
            given = step.gives(given)
    except TypeRefused:
        return False
    return bool(given == type_)
