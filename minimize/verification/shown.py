"""Whether as many values stand in the records of a run as its receipt says were let through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from minimize.errors import Finding
from minimize.pointer import Pointer
from minimize.verification.codes import found
from minimize.verification.evidence import Run
from minimize.verification.policy import FieldView, PolicyView, StepView

_BLANKS = frozenset({"map", "grid", "h3"})
"""Techniques that may leave nothing of a value that they have treated, as a bin without an end does."""


@dataclass(slots=True)
class Seen:
    """The values that were seen of one run's records, over all its files in force."""

    run: Run
    policy: PolicyView
    files: int = 0
    shown: Counter[Pointer] = field(default_factory=Counter)

    def add(self, files: int, shown: Mapping[Pointer, int]) -> None:
        """Takes in what was seen in so many files."""
        self.files += files
        self.shown.update(shown)

    def contradictions(self) -> Iterator[Finding]:
        """V032, where the whole of the run still stands."""
        receipt = self.run.receipt
        if not self.run.is_first or self.files != len(receipt.outputs["records"].files):
            return
        for pointer, shown in self.shown.items():
            view = self.policy.fields[pointer]
            counted = receipt.fields.get(view.key)
            if counted is None or counted.values is None:
                continue
            due = counted.values - counted.gated - counted.unparsable - counted.dropped
            if shown > due or (shown < due and not _may_blank(view)):
                message = f"{shown} values stand there, and {due} were let through"
                yield found("V032", message, file=self.run.place, field=view.key)


def _may_blank(view: FieldView) -> bool:
    """Whether a value that was let through may be missing. The key of a map goes with the values that a gate closes."""
    return view.pointer.is_keys or any(
        step.word in _BLANKS or _has_open_ends(step) for chain in view.chains for step in chain
    )


def _has_open_ends(step: StepView) -> bool:
    return step.word == "bin" and "edges" in step.given
