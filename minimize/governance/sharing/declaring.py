"""What each field that leaves was declared to be, in the words of the rules that judge it: our steps, then the manifest's.

Of what a run has released, too, today's policy says what it may look like: a value that is finer than that does not leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from minimize.governance.sharing.composing import Composed, composed
from minimize.governance.sharing.released import Entry
from minimize.plan.fields import branches_of
from minimize.policy.model import Field, Policy
from minimize.recipients import Function, Recipient
from minimize.techniques import Step
from minimize.techniques.generalize import Generalize
from minimize.verification.forms import Declared
from minimize.verification.policy import StepView

PER_DATE = "top"
"""What it lets out depends on all the rows of a date: of several dates of an output more values may stand there."""


def declared(
    policy: Policy, function: Function, recipient: Recipient, made: Composed, entry: Entry
) -> dict[str, Declared]:
    """By key what the fields that leave were declared to be; secrets that pass through are what they are."""
    whole = made if entry.aggregated else composed(Entry(policy, {}), function, recipient, None)
    keys = [key for key in made.sent if key not in made.passing]
    skipped = () if entry.columns is None else (PER_DATE,)
    return {key: _declared(whole.policy.fields[key], skipped) for key in keys}


def _declared(field: Field, skipped: Sequence[str]) -> Declared:
    chains = [branch.steps for branch in branches_of(field) if branch.steps is not None]
    views = tuple(tuple(view_of(step) for step in chain if step.name not in skipped) for chain in chains)
    return Declared(views, next(_folders(step for chain in chains for step in reversed(chain)), Path()))


def view_of(step: Step) -> StepView:
    """A step as the rules read it: its word, and what a policy's file would say."""
    return StepView(step.name, step.model_dump(by_alias=True, exclude_none=True))


def _folders(steps: Iterator[Step]) -> Iterator[Path]:
    """Where the hierarchies of these steps stand."""
    return (step.file.parent for step in steps if isinstance(step, Generalize))
