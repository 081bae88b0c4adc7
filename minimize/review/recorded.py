"""The steps of an explanation that one record tells, seen in the stages of a run: outcomes and forms, and none of its values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa

from minimize.plan.model import FieldPlan
from minimize.pointer import Pointer
from minimize.policy.condition import Condition, Feature, Level, atoms
from minimize.policy.words import chain_text, condition_text
from minimize.review.step import Step, Verdict
from minimize.review.trial import Trial, Tried
from minimize.settings import SettingRow
from minimize.settings.seen import LEVEL, Explained
from minimize.stage import Batch, FieldCounts
from minimize.stages.conditions import holds
from minimize.stages.facts import BatchFacts, gate_of
from minimize.stages.places import place_of

WHOLE: Final = {
    "erased": "it is of somebody of whom the ledger tells that they are gone",
    "consent": "no consent of its tenant covers what the third party sent, then and now",
    "retention": "it is past its retention",
    "setting": "a setting that gates whole records is off",
    "condition": "a condition on whole records does not hold",
    "deduplicated": "another record of the same day stands for it",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One field of one record that was tried."""

    trial: Trial
    tried: Tried
    key: str
    settings: Explained | None

    @property
    def field(self) -> FieldPlan:
        """The field in the plan."""
        return self.trial.job.plan.fields[self.key]

    def outcome(self) -> str:
        """What became of it, in a word or two."""
        if self.tried.fate != "leaves" or self.tried.behind is None:
            return f"record {self.tried.fate}"
        if self.field.gives is None:
            return "dropped"
        return outcome_of(self.tried.behind.counts.fields.get(self.key, FieldCounts()))

    def steps(self) -> Iterator[Step]:
        """The way of the record, then that of the field's values."""
        yield self.whole()
        if self.tried.raw is not None and self.field.gives is not None:
            facts = BatchFacts(self.tried.raw, self.trial.job.plan.policy, self.trial.job.settings, self.trial.job.at)
            for key in (self.key, *self.field.field.from_):
                yield from self.gates(facts, key)
        if self.tried.behind is not None and self.field.gives is not None:
            yield from self.cases(self.tried.behind)
            yield self.values(self.tried.behind)

    def whole(self) -> Step:
        """What became of the record as a whole."""
        if self.tried.fate == "quarantined":
            where = f" at {self.tried.path}" if self.tried.path else ""
            return Step("record", f"quarantined: {self.tried.reason}{where}", "stops")
        if self.tried.fate == "leaves":
            return Step("record", "it leaves", "passes")
        return Step("record", f"{self.tried.fate}: {WHOLE.get(str(self.tried.reason), self.tried.reason)}", "stops")

    def gates(self, facts: BatchFacts, key: str) -> Iterator[Step]:
        """Each part of a field's gate, by the stage's own answer."""
        what = "gate" if key == self.key else f"gate of {key}"
        for part in gate_of(self.trial.job.plan.policy.fields[key]).of:
            found = holds(part, facts, place_of(self.field))
            yield Step(what, f"{condition_text(part)}: {_share(found)}", _verdict(found), rows=self.rows(part))

    def rows(self, part: Condition) -> tuple[SettingRow, ...]:
        """The rows of settings in force when the event happened and when the run does."""
        raw, policy = self.tried.raw, self.trial.job.plan.policy
        if self.settings is None or raw is None:
            return ()
        facts = BatchFacts(raw, policy, None, self.trial.job.at)
        tenant, subject = (_text(facts, name) for name in (policy.tenant, policy.subject))
        asked = [
            LEVEL if isinstance(atom, Level) else atom.name for atom in atoms(part) if isinstance(atom, Feature | Level)
        ]
        if tenant is None:
            return ()
        found = (
            self.settings.why(tenant, setting, when, subject, policy.levels)
            for setting in asked
            for when in self._times(facts)
        )
        return tuple(dict.fromkeys(row for rows in found for row in rows))

    def _times(self, facts: BatchFacts) -> list[datetime]:
        times = facts.times()
        event = None if times is None else times.cast(pa.timestamp("us", "UTC"), safe=False)[0].as_py()
        return [self.trial.job.at] if event is None else [event, self.trial.job.at]

    def cases(self, behind: Batch) -> Iterator[Step]:
        """Which case decides, for each of its values."""
        found = behind.cases.get(self.key)
        if found is None:
            return
        last = len(self.field.branches) - 1
        for index in dict.fromkeys(each if each >= 0 else last for each in found.to_pylist()):
            branch = self.field.branches[index]
            name = "otherwise" if branch.when is None else f"case {index + 1} matches"
            verdict: Verdict = "stops" if branch.steps is None else "passes"
            yield Step("case", f"{name}: {chain_text(branch.steps or 'drop')}", verdict)

    def values(self, behind: Batch) -> Step:
        """What became of its values, in counts."""
        counts = behind.counts.fields.get(self.key, FieldCounts())
        left = counts.values - counts.gated - counts.dropped - counts.unparsable
        parts = {
            "gated": counts.gated,
            "dropped by its case": counts.dropped,
            "could not be treated": counts.unparsable,
            "made coarser": counts.changed,
            "as it came in": left - counts.changed,
        }
        told = ", ".join(f"{number} {name}" for name, number in parts.items() if number)
        return Step("values", told or "the record has no value here", "passes" if left else "stops")


def outcome_of(counts: FieldCounts) -> str:
    """What became of a field's values, where all went one way; else `mixed`."""
    if not counts.values:
        return "no value"
    kinds = {
        "gated": counts.gated,
        "dropped": counts.dropped,
        "unparsable": counts.unparsable,
        "generalized": counts.changed,
        "kept": counts.values - counts.gated - counts.dropped - counts.unparsable - counts.changed,
    }
    return next((name for name, number in kinds.items() if number == counts.values), "mixed")


def _share(found: pa.BooleanArray) -> str:
    if len(found) == 1:
        return "it is so" if found.true_count else "it is not so"
    return f"it is so for {found.true_count} of {len(found)} elements"


def _verdict(found: pa.BooleanArray) -> Verdict:
    return "stops" if not found.true_count else "passes" if found.true_count == len(found) else "depends"


def _text(facts: BatchFacts, name: str | None) -> str | None:
    value = None if name is None else facts.leaf(Pointer.parse(name)).values[0].as_py()
    return None if value is None else str(value)
