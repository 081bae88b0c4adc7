"""What stands of one subject's values in a file, and what must stand instead once they were put right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.governance.retention.clock import Clock
from minimize.governance.retention.forms import pinned
from minimize.governance.retention.look import Verdict
from minimize.governance.retention.whose import Whose
from minimize.governance.retention.written import Written
from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.looking import Look
from minimize.io.stored import Stored
from minimize.io.text import one
from minimize.io.types import arrow_type
from minimize.keys import Keyring
from minimize.nested import leaf
from minimize.pointer import Pointer
from minimize.policy.fields import ways_of
from minimize.policy.model import Field, Policy
from minimize.stages.chain import run_chain
from minimize.techniques import Context, Technique

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Made:
    """What stands for a field: the value in its released form, or nothing where that cannot be told from the file alone.

    fills  whether it stands also where nothing stood: not where a gate may have been closed
    """

    value: pa.Scalar | None = field(repr=False)
    fills: bool


@dataclass(frozen=True, slots=True)
class Instead:
    """Says of each batch of a file what stands in place of a subject's values."""

    pointers: Mapping[str, Pointer]
    whose: Whose
    clock: Clock | None
    made: Mapping[str, Made] = field(repr=False)

    @classmethod
    def of(
        cls,
        written: Written,
        stored: Stored,
        subject: Subject,
        values: Mapping[str, str | None],
        now: datetime,
        keys: Keyring,
    ) -> Iterator[Instead]:
        """The judging of a file; none where it holds none of the fields, or nobody can be looked for in it."""
        policy = written.policy
        look = Look(written.output, policy, str(policy.subject), stored, keys)
        if policy.subject is None or look.blind(knows_tenants=True):
            return
        shown = [name for name in values if name in look.pointers]
        whose = look.whose(subject, [str(subject.tenant)])
        if shown and whose.own:
            made = {name: _made(policy, name, values[name], subject, stored, now, keys) for name in shown}
            yield cls(look.pointers, whose, look.clock, made)

    @property
    def columns(self) -> list[str]:
        """The columns that are looked at."""
        places = (self.pointers[name].top for name in self.made)
        deciding = (each.top for each in (self.whose.tenant, self.whose.subject) if each is not None)
        return sorted({*places, *deciding})

    def __call__(self, batch: pa.RecordBatch) -> Verdict:
        """What stands instead, and what goes where that cannot be told."""
        mine = self.whose.concerns(batch, np.zeros(batch.num_rows, np.int64))
        instead: dict[str, pa.Array] = {}
        closed: dict[str, Bools] = {}
        for name, made in self.made.items() if mine.any() else ():
            values = _plain(leaf(batch, self.pointers[name]).values)
            there = np.asarray(values.is_valid())
            if made.value is None:
                closed[name] = mine & there
            else:
                mask = pa.array(mine if made.fills else mine & there)
                instead[name] = pc.if_else(mask, made.value.cast(values.type), values)
        return Verdict(closed=closed, instead=instead)


def _made(
    policy: Policy, name: str, text: str | None, subject: Subject, stored: Stored, now: datetime, keys: Keyring
) -> Made:
    """The value as the policy of the file releases it."""
    field_ = policy.fields[name]
    steps = _steps(field_, policy)
    if steps is None or text is None:
        return Made(None, fills=False)
    type_ = arrow_type(field_.type)
    values = pa.array([text if field_.type == "string" else one(text, field_.type)], type_)
    columns = {} if policy.tenant is None else {policy.tenant: pa.array([subject.tenant])}
    context = Context(name, now, pinned(keys, stored.whole, field_.pointer), columns)
    value = run_chain(steps, values, context).values[0]
    return Made(value if value.is_valid else None, fills=not field_.is_gated)


def _steps(field_: Field, policy: Policy) -> Sequence[Technique] | None:
    """The one chain of a field that asks for nothing but its tenant; None where there is none."""
    ways = list(ways_of(field_))
    chain = ways[0] if len(ways) == 1 else "drop"
    if isinstance(chain, str):
        return None
    steps = [step for step in chain if isinstance(step, Technique)]
    simple = len(steps) == len(chain) and not any(step.needs_time or step.reads() - {policy.tenant} for step in chain)
    return steps if simple else None


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
