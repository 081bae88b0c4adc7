"""Where people stand, from policies and receipts, and by which rule each place is found and emptied; or that none does.

A target is a column of what was published or handed over that names one person or device. Records are found by their subject;
aggregates, quarantine and disclosures are found by nobody's name, so that a key in them is out of reach of every request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from minimize.errors import Finding
from minimize.governance.retention.written import Written
from minimize.governance.subjects.outputs import RECORDS, Output, Unreached, outputs
from minimize.governance.subjects.shared import Acts, acts
from minimize.governance.subjects.viewing import ledger_of
from minimize.policy.keyed import keys_of
from minimize.receipt import Receipt, in_force
from minimize.stores import Anywhere
from minimize.switching import House


@dataclass(frozen=True, slots=True)
class Target:
    """A column that names somebody.

    where   the output folder, or the disclosure
    name    of the output; the recipient
    rule    by what his rows are found there; None where nothing does
    why     where nothing does
    """

    where: str
    name: str
    column: str
    rule: str | None = None
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """The target as `subject coverage --json` prints it."""
        said = {"where": self.where, "name": self.name, "column": self.column, "rule": self.rule}
        return said if self.rule else {**said, "why": self.why}

    @property
    def finding(self) -> Finding:
        """What is wrong with one that no rule covers."""
        message = f"{self.name} holds {self.column}, {self.why}"
        hint = (
            "say `subject:`, or drop the field, and run the dates anew: whoever asks to be deleted could not be found"
        )
        return Finding("Q003", message, hint=hint, file=self.where, field=self.column)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every target, and the outputs that cannot be looked at from here."""

    targets: tuple[Target, ...] = ()
    unreached: tuple[Unreached, ...] = ()

    @property
    def uncovered(self) -> tuple[Target, ...]:
        """Those that no rule covers."""
        return tuple(each for each in self.targets if each.rule is None)


def coverage(house: House, *, named: Iterable[Anywhere] = (), pipeline: str | None = None) -> Coverage:
    """Where people stand in the outputs that the ledger knows and in those that are named, and in what was handed over.

    Takes one pipeline's name, to look at nothing else. A ledger need not be there where outputs are named. Raises LedgerError,
    OutputError, PolicyError.
    """
    places = tuple(named)
    with ledger_of(house, needed=not places) as ledger:
        found, missed = outputs(ledger, places)
        mine = [each for each in found if pipeline in (None, each.pipeline)]
        told = () if ledger is None else acts(ledger)
    targets = [*(each for output in mine for each in _of_output(output)), *_handed(told, mine)]
    unreached = (each for each in missed if pipeline in (None, each.pipeline) and each.pipeline)
    return Coverage(tuple(dict.fromkeys(targets)), tuple(unreached))


def _of_output(output: Output) -> Iterator[Target]:
    """The targets of the files in force, by the policies that they were written under."""
    standing = in_force(output.chain)
    by = {file.path: each for each in output.chain for one in each.outputs.values() for file in one.files}
    for name, files in standing.items():
        runs: dict[str, Receipt] = {by[file.path].run_id: by[file.path] for file in files}
        for written in (Written(output.folder, each, output.reading) for each in runs.values()):
            yield from _of_records(written) if name == RECORDS else _of_aggregate(written, name)


def _of_records(written: Written) -> Iterator[Target]:
    policy, where = written.policy, str(written.output)
    shown = [key for key in keys_of(policy) if _is_shown(written, key)]
    for key in shown:
        if policy.subject in shown:
            rule = "subject" if key == policy.subject else f"rows of {policy.subject}; --as {key}"
            yield Target(where, RECORDS, key, rule)
        else:
            lacks = "and no subject" if policy.subject is None else f"and not {policy.subject}"
            yield Target(where, RECORDS, key, why=f"{lacks} by which its records are found")


def _of_aggregate(written: Written, name: str) -> Iterator[Target]:
    groups = (written.pipeline.get("aggregates") or {}).get(name, {}).get("group_by") or {}
    keys = frozenset(keys_of(written.policy))
    for column, each in groups.items():
        field = str(next(iter(each))) if isinstance(each, dict) else str(each)
        if field in keys:
            yield Target(str(written.output), name, str(column), why="which names somebody, and nobody looks there")


def _is_shown(written: Written, key: str) -> bool:
    """Whether a run for that purpose released the field."""
    said = written.receipt.fields.get(key)
    return said is None or said.did != "drop"


def _handed(told: Acts, found: Iterable[Output]) -> Iterator[Target]:
    """What was handed over of the policies of these outputs: found by the tokens that stand beside the act."""
    policies = {each.job.policy.policy: each.job.policy for each in found if each.job is not None}
    for act, share in told:
        policy = policies.get(act.body["policy"]["name"])
        keys = frozenset() if policy is None else frozenset(keys_of(policy))
        covered = share.key_version is not None
        for name in act.body["fields"]:
            if name in keys:
                why = "and nothing tells whose records they were, so that no recall names them"
                yield Target(act.disclosure, act.recipient, name, "recall" if covered else None, "" if covered else why)
