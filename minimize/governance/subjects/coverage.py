"""Coverage (`subject coverage`): columns that name a person or device, and the rule by which a request finds them.

Records are found by their subject. Aggregates, quarantine and disclosures are not searched by name, so a key in them is out of
reach of every request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from minimize.errors import Finding
from minimize.governance.published_outputs import (
    SearchableOutput,
    UnreachableOutput,
    WritingRun,
    find_outputs,
    writing_runs,
)
from minimize.governance.subjects.disclosures import DisclosedShares, load_disclosures
from minimize.governance.workspace import Workspace, optional_ledger
from minimize.output.folder import RECORDS
from minimize.policy.fields import identifying_fields
from minimize.receipts import files_in_force
from minimize.stores import LocationLike


@dataclass(frozen=True, slots=True)
class CoverageTarget:
    """A column that names somebody.

    location   the output folder, or the disclosure
    name    of the output; the recipient
    rule    by what his rows are found there; None where nothing does
    reason     where nothing does
    """

    location: str
    name: str
    column: str
    rule: str | None = None
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """The target as `subject coverage --json` prints it."""
        said = {"where": self.location, "name": self.name, "column": self.column, "rule": self.rule}
        return said if self.rule else {**said, "why": self.reason}

    @property
    def finding(self) -> Finding:
        """What is wrong with one that no rule covers."""
        message = f"{self.name} holds {self.column}, {self.reason}"
        hint = "Set `subject:` or drop the field, and run the dates again; until then a deletion request cannot find its records."
        return Finding("Q003", message, hint=hint, file=self.location, field=self.column)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every target, and the outputs that cannot be looked at from here."""

    targets: tuple[CoverageTarget, ...] = ()
    unreached: tuple[UnreachableOutput, ...] = ()

    @property
    def uncovered(self) -> tuple[CoverageTarget, ...]:
        """Those that no rule covers."""
        return tuple(each for each in self.targets if each.rule is None)


def subject_coverage(
    workspace: Workspace, *, named: Iterable[LocationLike] = (), pipeline: str | None = None
) -> Coverage:
    """Where people stand in the outputs that the ledger knows and in those that are named, and in what was handed over.

    Takes one pipeline's name, to look at nothing else. A ledger need not be there where outputs are named. Raises LedgerError,
    OutputError, PolicyError.
    """
    places = tuple(named)
    with optional_ledger(workspace, needed=not places) as ledger:
        found, missed = find_outputs(ledger, places)
        mine = [each for each in found if pipeline in (None, each.pipeline)]
        told = () if ledger is None else load_disclosures(ledger)
    targets = [*(each for output in mine for each in _output_targets(output)), *_disclosure_targets(told, mine)]
    unreached = (each for each in missed if pipeline in (None, each.pipeline) and each.pipeline)
    return Coverage(tuple(dict.fromkeys(targets)), tuple(unreached))


def _output_targets(output: SearchableOutput) -> Iterator[CoverageTarget]:
    """The targets of the files in force, by the policies that they were written under."""
    standing = files_in_force(output.chain)
    written_by = writing_runs(output.folder, output.chain, output.policies)
    for name, files in standing.items():
        runs = {written_by[file.path].receipt.run_id: written_by[file.path] for file in files}
        for written in runs.values():
            yield from _record_targets(written) if name == RECORDS else _aggregate_targets(written, name)


def _record_targets(written: WritingRun) -> Iterator[CoverageTarget]:
    policy, where = written.policy, str(written.output)
    shown = [key for key in identifying_fields(policy) if _is_released(written, key)]
    for key in shown:
        if policy.subject in shown:
            rule = "subject" if key == policy.subject else f"rows of {policy.subject}; --as {key}"
            yield CoverageTarget(where, RECORDS, key, rule)
        else:
            lacks = "but no subject" if policy.subject is None else f"but not {policy.subject}"
            yield CoverageTarget(where, RECORDS, key, reason=f"{lacks} by which its records can be found")


def _aggregate_targets(written: WritingRun, name: str) -> Iterator[CoverageTarget]:
    groups = (written.pipeline.get("aggregates") or {}).get(name, {}).get("group_by") or {}
    keys = frozenset(identifying_fields(written.policy))
    for column, each in groups.items():
        field = str(next(iter(each))) if isinstance(each, dict) else str(each)
        if field in keys:
            yield CoverageTarget(
                str(written.output),
                name,
                str(column),
                reason="which identifies a person, but requests do not search it",
            )


def _is_released(written: WritingRun, key: str) -> bool:
    """Whether a run for that purpose released the field."""
    said = written.receipt.fields.get(key)
    return said is None or said.did != "drop"


def _disclosure_targets(shares: DisclosedShares, found: Iterable[SearchableOutput]) -> Iterator[CoverageTarget]:
    """What was handed over of the policies of these outputs: found by the tokens that stand beside the act."""
    policies = {each.job.policy.policy: each.job.policy for each in found if each.job is not None}
    for act, share in shares:
        policy = policies.get(act.body["policy"]["name"])
        keys = frozenset() if policy is None else frozenset(identifying_fields(policy))
        covered = share.key_version is not None
        for name in act.body["fields"]:
            if name in keys:
                why = "but no subjects, so that a recall cannot name them"
                yield CoverageTarget(
                    act.disclosure, act.recipient, name, "recall" if covered else None, "" if covered else why
                )
