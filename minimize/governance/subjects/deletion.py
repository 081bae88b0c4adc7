"""What a deletion comes to: what goes where, in which portions, who is told, and what its requests say of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from minimize.governance.retention.due import Due
from minimize.governance.retention.plan import Plan
from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.finding import Blind
from minimize.governance.subjects.outputs import Unreached
from minimize.receipt import Receipt

if TYPE_CHECKING:
    from minimize.ledger.requests import Request

PORTION: Final = 32
"""Files that are published together: stopped in between, no more of them is done again."""
Recalls = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is deleted, or was.

    whose      each subject with its tenant, once for each tenant in which it stands
    plans      per output what goes
    receipts   of what was done
    recalls    per subject and recipient the disclosures that it has to delete
    blind      files in which nobody can be looked for
    unreached  outputs that cannot be reached from here
    requests   the names of the requests
    resumed    how many of the subjects have a request that an earlier command began and did not finish
    """

    whose: tuple[Subject, ...] = field(repr=False)
    plans: Mapping[str, Plan]
    recalls: Mapping[Subject, Recalls] = field(default_factory=dict, repr=False)
    blind: tuple[Blind, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    requests: tuple[str, ...] = ()
    resumed: int = 0

    @property
    def rows(self) -> int:
        """How many records."""
        return sum(sum(each.gated.values()) for plan in self.plans.values() for each in plan.due)

    @property
    def stays(self) -> dict[str, dict[str, list[str]]]:
        """Per output the aggregates, by date, that keep figures: they could not be counted anew, or rows of them are deferred."""
        found: dict[str, dict[str, list[str]]] = {}
        for receipt in self.receipts:
            for name, dates in (receipt.stays or {}).items():
                found.setdefault(receipt.pipeline, {}).setdefault(name, []).extend(dates)
        return found

    def as_json(self) -> dict[str, Any]:
        """The deletion as `subject delete --json` prints it."""
        return {
            "subjects": len(self.whose),
            "rows": self.rows,
            "outputs": {name: plan.as_json() for name, plan in self.plans.items()},
            "recalls": by_recipient_all(self.recalls.values()),
            "stays": self.stays,
            "not_searched": [{"file": each.file.path, "why": each.why} for each in self.blind],
            "not_reached": [{"output": each.folder, "why": each.why} for each in self.unreached],
            "receipts": [each.run_id for each in self.receipts],
            "requests": list(self.requests),
        }


def portions(plan: Plan, files: int = PORTION) -> Iterator[Plan]:
    """A plan in parts that are published one after the other: whole dates, of so many files or one more date each.

    What an aggregate was counted from that waited for late rows must go at once, so that such a plan stays whole.
    """
    part: list[Due] = []
    for _, of_date in groupby(sorted(plan.due, key=lambda due: due.date or ""), key=lambda due: due.date):
        part += of_date
        if len(part) >= files and not plan.behind:
            yield replace(plan, due=tuple(part))
            part = []
    if part:
        yield replace(plan, due=tuple(part))


def outcome(step: Request, receipts: Sequence[str], recalls: Recalls) -> dict[str, Any]:
    """What a request came to, with what it came to before it was gone on with."""
    before = json.loads(step.body)
    told = by_recipient_all([before.get("recalls", {}), recalls])
    return {"receipts": [*before.get("receipts", []), *receipts], "recalls": told}


def by_recipient_all(recalls: Iterable[Recalls]) -> dict[str, list[str]]:
    """The disclosures of several subjects, by recipient, each once."""
    found: dict[str, set[str]] = {}
    for each in recalls:
        for recipient, disclosures in each.items():
            found.setdefault(recipient, set()).update(disclosures)
    return {name: sorted(acts) for name, acts in sorted(found.items())}
