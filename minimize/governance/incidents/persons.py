"""How a file names persons: in which space of names, and whether one name there is one person and the other way round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from minimize.governance.incidents.columns import made_with
from minimize.pointer import Pointer
from minimize.policy.fields import ways_of
from minimize.policy.model import Policy
from minimize.techniques import Step
from minimize.techniques.keep import Keep
from minimize.techniques.pseudonymize import Pseudonymize


@dataclass(frozen=True, slots=True)
class Space:
    """Names of persons that can be compared with each other.

    id     the same for files in which one person has one name
    exact  whether nobody has two names there
    """

    id: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Persons:
    """Where a file names persons, and how; None where it does not, or names several alike."""

    pointer: Pointer | None = None
    space: Space | None = None

    @classmethod
    def of(cls, policy: Policy, pointers: dict[str, Pointer], schema: pa.Schema) -> Self:
        """How files of a policy name persons. Takes where its fields stand."""
        key = policy.subject
        pointer = None if key is None else pointers.get(key)
        if key is None or pointer is None or pointer.stars:
            return cls()
        chains = [way for way in ways_of(policy.fields[key]) if not isinstance(way, str)]
        chain = [step for step in chains[0] if not isinstance(step, Keep)] if len(chains) == 1 else None
        space = None if chain is None else _space(key, chain, schema.field(pointer.top))
        return cls() if space is None else cls(pointer, space)


def _space(key: str, chain: list[Step], field: pa.Field) -> Space | None:
    """The space of one way; None for a way that gives several persons one name, or is not known to give them different ones."""
    if not chain:
        return Space(f"as it came, {key}", exact=True)
    step = chain[0]
    if len(chain) > 1 or not isinstance(step, Pseudonymize):
        return None
    keys = ", ".join(sorted(made_with(field)))
    said = (step.link or key, keys, step.per or "", step.rotate or "", "folded" if step.fold else "")
    return Space("pseudonyms, " + "|".join(said), exact=step.rotate is None)
