"""Today's policy and settings over a batch of a file: what of it could be collected today, as far as the file tells.

A value stays where its condition surely holds: its features on in every instant that its time may stand for and now, its facts
shown. When in doubt it goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.governance.retention.agreed import Agreed
from minimize.governance.retention.clock import Bools, Clock, limit
from minimize.governance.retention.coarser import Form
from minimize.governance.retention.collected import Collected
from minimize.governance.retention.look import RECORD, Verdict
from minimize.governance.retention.rules import conditions_of
from minimize.governance.retention.sure import Sure
from minimize.nested import leaf
from minimize.pointer import Pointer
from minimize.policy.condition import Atom, Condition, Feature, Level
from minimize.policy.model import Policy
from minimize.stages.chain import run_chain
from minimize.techniques import Context


@dataclass(frozen=True, slots=True)
class Again:
    """Everything that counts for one file.

    then      the policy that it was written under; `today` the one of today
    forms     per field of the file what today's policy makes of it
    records   conditions of today on whole records
    agreed    today's consents, where a third party sent the records
    """

    then: Policy
    today: Policy
    at: datetime
    pointers: Mapping[str, Pointer]
    forms: Mapping[str, Form]
    records: tuple[Condition, ...]
    collected: Collected = field(repr=False)
    clock: Clock | None = None
    agreed: Agreed | None = field(default=None, repr=False)

    def __call__(self, batch: pa.RecordBatch) -> Verdict:
        """The verdict on one batch."""
        closed = dict(self._closed(batch))
        everything = np.ones(batch.num_rows, np.bool_)
        return Verdict(self._gone(batch), closed, dict(self._instead(batch)), dict.fromkeys(closed, everything))

    def _gone(self, batch: pa.RecordBatch) -> dict[str, Bools]:
        stays, gone = np.ones(batch.num_rows, np.bool_), dict[str, Bools]()
        if self.agreed is not None:
            stays = self.agreed(batch)
            gone["consent"] = ~stays
        for condition in self.records:
            holds = self._sure(batch, RECORD).holds(condition, known=False)
            reason = "setting" if isinstance(condition, Feature | Level) else "condition"
            gone[reason] = gone.get(reason, np.zeros(batch.num_rows, np.bool_)) | (stays & ~holds)
            stays &= holds
        return gone

    def _closed(self, batch: pa.RecordBatch) -> Iterator[tuple[str, Bools]]:
        for key, form in self.forms.items():
            if form.verdict == "gone":
                yield key, np.ones(len(leaf(batch, self.pointers[key]).values), np.bool_)
                continue
            sure = self._sure(batch, self.pointers[key])
            holding = [sure.holds(each, known=False) for each in conditions_of(key, self.today)]
            if holding and not np.logical_and.reduce(holding).all():
                yield key, ~np.logical_and.reduce(holding)

    def _instead(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
        for key, form in self.forms.items():
            if form.verdict == "coarser":
                values = leaf(batch, self.pointers[key]).values
                made = run_chain(form.steps, values, Context(key, self.at)).values
                plain = made.dictionary_decode() if pa.types.is_dictionary(made.type) else made
                yield key, pc.cast(plain, values.type)

    def _sure(self, batch: pa.RecordBatch, place: Pointer) -> Sure:
        return Sure(batch, self.then, dict(self.pointers), place, lambda atom: self._now(atom, batch))

    def _now(self, atom: Atom, batch: pa.RecordBatch) -> Bools | None:
        if not isinstance(atom, Feature | Level):
            return None
        on = self.collected.on(atom, batch)
        feature = self.today.features.get(atom.name) if isinstance(atom, Feature) else None
        if feature is None or feature.retention is None:
            return on
        if self.clock is None:
            return np.zeros(batch.num_rows, np.bool_)
        return np.asarray(on & (self.clock.oldest(batch) > limit(self.at, feature.retention)), np.bool_)
