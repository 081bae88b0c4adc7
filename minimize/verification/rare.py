"""Whether `top` shows values of too few subjects, where the subjects' pseudonyms stand beside them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from minimize.pointer import Pointer
from minimize.verification.ids import canonical_ids
from minimize.verification.leaves import at
from minimize.verification.policy import FieldView, PolicyView, StepView


def watched(policy: PolicyView) -> Iterator[tuple[FieldView, StepView]]:
    """The fields that end in `top`, where the output has one pseudonym for each subject."""
    subject = None if policy.subject is None else policy.fields.get(policy.subject)
    if subject is None or subject.pointer.stars or len(subject.branches) != 1:
        return
    if any(chain[-1].word not in ("pseudonymize", "keep") for chain in subject.chains) or not subject.chains:
        return
    for view in policy.fields.values():
        if len(view.branches) == 1 and view.chains and view.chains[0][-1].word == "top":
            yield view, view.chains[0][-1]


class Rare:
    """The subjects behind each value of one column of one partition. A row without a pseudonym may be anybody's.

    Takes whether subjects are shown as they are: then they are counted by their canonical form.
    """

    def __init__(self, step: StepView, *, kept: bool = False) -> None:
        self._kept = kept
        self._other = str(step.given.get("other", "other"))
        self._at_least = int(step.given.get("at_least", 10))
        self._pairs: pa.Table | None = None
        self._unknown: dict[str, int] = {}

    def see(self, batch: pa.RecordBatch, pointer: Pointer, subject: Pointer | None) -> None:
        """Takes one batch in."""
        if subject is None:
            self._at_least = 0
            return
        leaf = at(batch, pointer)
        subjects = at(batch, subject).values
        subjects = canonical_ids(subjects) if self._kept else subjects
        pairs = pa.table({"value": leaf.values, "subject": subjects.take(leaf.rows)})
        pairs = pairs.filter(pc.field("value").is_valid())
        nobody = pairs.filter(pc.field("subject").is_null()).group_by("value").aggregate([([], "count_all")])
        for value, count in zip(nobody["value"].to_pylist(), nobody["count_all"].to_pylist(), strict=True):
            self._unknown[value] = self._unknown.get(value, 0) + count
        known = pairs.filter(pc.field("subject").is_valid())
        self._pairs = _unique(known if self._pairs is None else pa.concat_tables([self._pairs, known]))

    def count(self) -> int:
        """How many values are shown that have too few subjects; the other one counts unless it stands alone."""
        if self._pairs is None:
            return 0
        groups = self._pairs.group_by("value").aggregate([("subject", "count")])
        subjects = dict(zip(groups["value"].to_pylist(), groups["subject_count"].to_pylist(), strict=True))
        values = subjects.keys() | self._unknown.keys()
        few = {each for each in values if subjects.get(each, 0) + self._unknown.get(each, 0) < self._at_least}
        return 0 if values == {self._other} else len(few)


def _unique(pairs: pa.Table) -> pa.Table:
    return pairs.group_by(["value", "subject"]).aggregate([])
