"""Devices that became personal: the treatment of each field, and the conditions that records must still meet.

The field that names the owner of a device is called `owner_type` or `ownerType`, at any depth, and has the value `personal`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from minimize.policy.condition import (
    Condition,
    FieldEquals,
    atoms,
)
from minimize.policy.evaluation import RowFacts
from minimize.policy.fields import gate_condition, is_dropped
from minimize.policy.model import Field, Policy
from minimize.policy.treatments import DROP
from minimize.techniques import Technique, TechniqueStep
from minimize.techniques.keep import Keep
from minimize.techniques.mask import Mask

OWNER_FIELDS: Final = ("owner_type", "ownerType")
PERSONAL: Final = "personal"


@dataclass(frozen=True, slots=True)
class PersonalTreatment:
    """Treatment of a field's values on a device that became personal.

    gates          conditions to evaluate again
    chain          chain to apply to the values; empty if they stay unchanged, None if they are removed
    is_repeatable  whether the chain may be applied twice
    """

    gates: tuple[Condition, ...] = ()
    chain: tuple[Technique, ...] | None = ()
    is_repeatable: bool = True


def owner_field(policy: Policy) -> str | None:
    """The key of the field that names the owner of a device."""
    keys = (key for key, field in policy.fields.items() if field.pointer.parts[-1] in OWNER_FIELDS)
    return next(keys, None)


def personal_treatment(policy: Policy, key: str, owner: str) -> PersonalTreatment | None:
    """The treatment of a field; None if it does not depend on the owner of the device."""
    field = policy.fields[key]
    gates = tuple(each for each in _gates_of(policy, key) if _depends_on_owner(each, owner))
    if not any(_depends_on_owner(case.when, owner) for case in field.cases):
        return PersonalTreatment(gates) if gates else None
    decided = _personal_chain(field, owner)
    if decided is None or is_dropped(field):
        return PersonalTreatment(gates, None)
    others = [way for way in _releasing_chains(field) if way != decided]
    if not others:
        return PersonalTreatment(gates)
    if not _needs_only_value(decided) or not all(_is_keep_chain(way) for way in others):
        return PersonalTreatment(gates, None)
    chain = tuple(step for step in decided if isinstance(step, Technique))
    return PersonalTreatment(gates, chain, all(isinstance(step, Keep | Mask) for step in chain))


def record_gates_on_owner(policy: Policy, of_pipeline: Condition | None, owner: str) -> tuple[Condition, ...]:
    """The conditions of a policy and its pipeline on whole records that depend on the owner of the device."""
    gates = (*gate_condition(policy.records).parts, *(() if of_pipeline is None else (of_pipeline,)))
    return tuple(each for each in gates if _depends_on_owner(each, owner))


def _gates_of(policy: Policy, key: str) -> Iterator[Condition]:
    gate = gate_condition(policy.fields[key])
    if gate.parts:
        yield gate
    for each in policy.fields[key].from_:
        yield from _gates_of(policy, each)


def _depends_on_owner(condition: Condition, owner: str) -> bool:
    return any(isinstance(atom, FieldEquals) and atom.field == owner for atom in atoms(condition))


def _personal_chain(field: Field, owner: str) -> tuple[TechniqueStep, ...] | None:
    """The chain of the case that applies to a personal device; None if it drops the value or is unknown.

    A case that drops the value, whoever owns the device, did not hold: the value was written.
    """
    personal = RowFacts(
        lambda atom: PERSONAL in atom.values if isinstance(atom, FieldEquals) and atom.field == owner else None
    )
    for case in field.cases:
        if case.do == DROP and not _depends_on_owner(case.when, owner):
            continue
        outcome = personal.outcome(case.when)
        if outcome is not False:
            return case.do if outcome and case.do != DROP else None
    return None if field.otherwise == DROP else field.otherwise


def _releasing_chains(field: Field) -> list[tuple[TechniqueStep, ...]]:
    ways = (*(case.do for case in field.cases), field.otherwise)
    return [way for way in ways if not isinstance(way, str)]


def _is_keep_chain(chain: Sequence[TechniqueStep]) -> bool:
    return all(step.changes_nothing for step in chain)


def _needs_only_value(chain: Sequence[TechniqueStep]) -> bool:
    """Whether a chain needs only the value itself."""
    return all(
        isinstance(step, Technique) and not step.reads() | step.key_names and not step.needs_time for step in chain
    )
