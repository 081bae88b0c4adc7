"""Corporate to personal: what a field that depends on who owns the device comes to once its owner is a person.

The owner's field is called `owner_type` (or `ownerType`, at any depth), and says `personal`. A gate that asks for it is asked
again; of cases the one decides that a personal device would have. Where that gives another form, a value that stood as it
came in is brought into it, and any other goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from minimize.policy.condition import All, AnyOf, Condition, Equals, atoms
from minimize.policy.fields import is_dropped
from minimize.policy.model import DROP, Field, Policy
from minimize.stages.facts import gate_of
from minimize.techniques import Step, Technique
from minimize.techniques.keep import Keep
from minimize.techniques.mask import Mask

OWNER: Final = ("owner_type", "ownerType")
PERSONAL: Final = "personal"


@dataclass(frozen=True, slots=True)
class Reduced:
    """What becomes of a field's values on a device that became personal.

    gates  conditions that must hold again
    into   the chain that values go through; none where they stay as they are, None where they go
    again  whether they may go through it twice
    """

    gates: tuple[Condition, ...] = ()
    into: tuple[Technique, ...] | None = ()
    again: bool = True


def owner_of(policy: Policy) -> str | None:
    """The key of the field that says who owns a device."""
    keys = (key for key, field in policy.fields.items() if field.pointer.parts[-1] in OWNER)
    return next(keys, None)


def reduced(policy: Policy, key: str, owner: str) -> Reduced | None:
    """What becomes of a field; None where nobody asks who owns the device."""
    field = policy.fields[key]
    gates = tuple(each for each in _gates(policy, key) if _asks(each, owner))
    if not any(_asks(case.when, owner) for case in field.cases):
        return Reduced(gates) if gates else None
    decided = _decided(field, owner)
    if decided is None or is_dropped(field):
        return Reduced(gates, None)
    others = [way for way in _kept(field) if way != decided]
    if not others:
        return Reduced(gates)
    if not _can_follow(decided) or not all(_is_kept(way) for way in others):
        return Reduced(gates, None)
    chain = tuple(step for step in decided if isinstance(step, Technique))
    return Reduced(gates, chain, all(isinstance(step, Keep | Mask) for step in chain))


def _gates(policy: Policy, key: str) -> Iterator[Condition]:
    gate = gate_of(policy.fields[key])
    if gate.of:
        yield gate
    for each in policy.fields[key].from_:
        yield from _gates(policy, each)


def _asks(condition: Condition, owner: str) -> bool:
    return any(isinstance(atom, Equals) and atom.field == owner for atom in atoms(condition))


def _decided(field: Field, owner: str) -> tuple[Step, ...] | None:
    """The chain of the case that decides for a personal device; None where it drops the value, or that is not known."""
    for case in field.cases:
        outcome = _outcome(case.when, owner)
        if outcome is not False:
            return case.do if outcome and case.do != DROP else None
    return None if field.otherwise == DROP else field.otherwise


def _outcome(condition: Condition, owner: str) -> bool | None:
    """Whether a condition holds for a personal device, whatever else is so; None where that depends."""
    match condition:
        case All(of):
            found = {_outcome(part, owner) for part in of}
            return False if False in found else None if None in found else True
        case AnyOf(of):
            found = {_outcome(part, owner) for part in of}
            return True if True in found else None if None in found else False
        case Equals(field, values) if field == owner:
            return PERSONAL in values
    return None


def _kept(field: Field) -> list[tuple[Step, ...]]:
    ways = (*(case.do for case in field.cases), field.otherwise)
    return [way for way in ways if not isinstance(way, str)]


def _is_kept(way: Sequence[Step]) -> bool:
    return all(isinstance(step, Keep) for step in way)


def _can_follow(way: Sequence[Step]) -> bool:
    """Whether a chain needs nothing but the value."""
    return all(
        isinstance(step, Technique) and not step.reads() | step.key_names and not step.needs_time for step in way
    )
