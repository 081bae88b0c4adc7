"""Coverage (`subject coverage`): columns that name a person or device, and the rule by which a request finds them.

Records are found by their subject. Aggregates, quarantine and disclosures are not searched by name, so no request reaches an
identifier in them. A removal is complete only if every file that may hold records of its subjects was searched, or if a reason is
recorded for leaving its output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final

from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.writing_run import WritingRun
from minimize.errors import CheckFailed, ConfigurationError, Finding
from minimize.governance.known_outputs import ON_ANOTHER_MACHINE, UnreachableOutput, find_outputs
from minimize.governance.subjects.disclosures import DisclosedShares, load_disclosures
from minimize.governance.subjects.linked import LinkedIdentifiers
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.governance.subjects.search import SubjectSearch, UnsearchableFile, shows_identifier
from minimize.policy.fields import identifying_fields
from minimize.records import RECORDS
from minimize.results import JsonResult, Line, json_member, json_value
from minimize.stores import LocationLike
from minimize.text import count_noun
from minimize.workspace import Workspace, optional_ledger


@dataclass(frozen=True, slots=True)
class CoverageTarget(JsonResult):
    """A column that identifies a person."""

    location: str = field(metadata=json_member("where"))
    """The output folder, or the disclosure."""
    name: str
    """Name of the output; the recipient."""
    column: str
    rule: str | None = None
    """The rule by which the person's rows are found; None if there is none."""
    reason: str = field(default="", metadata=json_member("why", omit_empty=True))
    """The reason if there is none."""

    @property
    def finding(self) -> Finding:
        """The finding for a target without a rule."""
        message = f"{self.name} holds {self.column}, {self.reason}"
        hint = "Set `subject:` or drop the field, and run the dates again; until then a deletion request cannot find its records."
        return Finding("Q003", message, hint=hint, file=self.location, field=self.column)


@dataclass(frozen=True, slots=True)
class Coverage:
    """All targets, and the outputs that cannot be checked from here."""

    targets: tuple[CoverageTarget, ...] = ()
    unreached: tuple[UnreachableOutput, ...] = ()

    @property
    def uncovered(self) -> tuple[CoverageTarget, ...]:
        """The targets without a rule."""
        return tuple(each for each in self.targets if each.rule is None)

    @property
    def exit_code(self) -> int:
        """1 if a column has no rule."""
        return int(bool(self.uncovered))

    def to_json(self) -> dict[str, Any]:
        """The targets as `subject coverage --json` prints them."""
        missed = [{"output": each.folder, "pipeline": each.pipeline, "why": each.reason} for each in self.unreached]
        return {"ok": not self.uncovered, "targets": json_value(self.targets), "not_reached": missed}

    def lines(self) -> Iterator[Line]:
        """A line for each target and each output that cannot be checked."""
        for target in self.targets:
            yield f"{target.location}  {target.name}  {target.column}: {target.rule or 'NO RULE, ' + target.reason}"
        yield from (f"not reached: {each.folder} of {each.pipeline}: {each.reason}" for each in self.unreached)
        if not self.targets and not self.unreached:
            yield "no column names a subject"


def subject_coverage(workspace: Workspace, *, named: Iterable[LocationLike] = ()) -> Coverage:
    """The columns that identify persons, for the current actor, who may view subjects. See `find_coverage`."""
    workspace.require("subject/view")
    return find_coverage(workspace, named=named)


def find_coverage(workspace: Workspace, *, named: Iterable[LocationLike] = (), pipeline: str | None = None) -> Coverage:
    """The columns that identify persons in the outputs that the ledger knows, in the given outputs, and in disclosures.

    Optionally checks only one pipeline. The ledger is optional if outputs are given. Raises LedgerError,
    OutputError, PolicyError.
    """
    places = tuple(named)
    with optional_ledger(workspace, needed=not places) as ledger:
        outputs, missed = find_outputs(ledger, places, configured=workspace.configured_outputs)
        selected = [each for each in outputs if pipeline in (None, each.pipeline)]
        disclosures = () if ledger is None else load_disclosures(ledger)
    targets = [
        *(each for output in selected for each in _output_targets(output)),
        *_disclosure_targets(disclosures, selected),
    ]
    unreached = (each for each in missed if pipeline in (None, each.pipeline) and each.pipeline)
    return Coverage(tuple(dict.fromkeys(targets)), tuple(unreached))


def _output_targets(output: PublishedOutput) -> Iterator[CoverageTarget]:
    """The targets in the files in force, by the policies under which they were written."""
    runs = {(each.name, each.written_by.receipt.run_id): each for each in output.files()}
    for (name, _), file in runs.items():
        yield from _record_targets(file.written_by) if name == RECORDS else _aggregate_targets(file.written_by, name)


def _record_targets(written: WritingRun) -> Iterator[CoverageTarget]:
    policy, where = written.policy, str(written.output)
    shown = [key for key in identifying_fields(policy) if _is_released(written, key)]
    for key in shown:
        if policy.subject in shown:
            rule = "subject" if key == policy.subject else f"rows of {policy.subject}; --id-field {key}"
            yield CoverageTarget(where, RECORDS, key, rule)
        else:
            lacks = "but no subject" if policy.subject is None else f"but not {policy.subject}"
            yield CoverageTarget(where, RECORDS, key, reason=f"{lacks} by which its records can be found")


def _aggregate_targets(written: WritingRun, name: str) -> Iterator[CoverageTarget]:
    keys = frozenset(identifying_fields(written.policy))
    for column, key, _ in written.group_fields(name):
        if key in keys:
            yield CoverageTarget(
                str(written.output), name, column, reason="which identifies a person, but requests do not search it"
            )


def _is_released(written: WritingRun, key: str) -> bool:
    """Whether a run for that purpose released the field."""
    receipt_field = written.receipt.fields.get(key)
    return receipt_field is None or receipt_field.did != "drop"


def _disclosure_targets(shares: DisclosedShares, outputs: Iterable[PublishedOutput]) -> Iterator[CoverageTarget]:
    """The disclosures under the policies of these outputs. They are found by the tokens stored with each disclosure."""
    policies = {each.job.policy.policy: each.job.policy for each in outputs if each.job is not None}
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


NO_REASONS: Final[Mapping[str, str]] = MappingProxyType({})


def check_reasons(reasons: Mapping[str, str], outputs: Iterable[PublishedOutput]) -> None:
    """Raises ConfigurationError for a reason without text, or for an output that is not among these."""
    known = {name for output in outputs for name in _names(output)}
    for name, reason in reasons.items():
        if name not in known:
            raise ConfigurationError(
                "no output of this name is known", hint="Name the pipeline or the folder of the output."
            )
        if not reason.strip():
            raise ConfigurationError(f"no reason was given for {name}", hint="Pass --unsearchable OUTPUT=REASON.")


def find_unsearched(
    subjects: Iterable[DataSubject], files: Sequence[OutputFile], linked: Mapping[DataSubject, LinkedIdentifiers]
) -> dict[DataSubject, list[UnsearchableFile]]:
    """Per subject, the files that cannot be searched for it or for its linked ids.

    Takes subjects with a tenant. Files of other tenants are excluded. The files of one field are checked once.
    """
    of_field: dict[tuple[bool, str | None], list[UnsearchableFile]] = {}
    unsearched_by_subject: dict[DataSubject, list[UnsearchableFile]] = {}
    for subject in subjects:
        search, key = SubjectSearch(subject), (subject.is_tenant, subject.field)
        if key not in of_field:
            of_field[key] = list(search.unsearchable(files))
        unsearchable_files = [each for each in of_field[key] if not search.is_of_other_tenant(each.file)]
        tenant_files = [file for file in files if not search.is_of_other_tenant(file)]
        unsearched_by_subject[subject] = (
            list(linked[subject].unsearched(tenant_files, unsearchable_files))
            if subject in linked
            else unsearchable_files
        )
    return unsearched_by_subject


def reasons_to_record(unsearchable: Iterable[UnsearchableFile], reasons: Mapping[str, str]) -> dict[str, str]:
    """Per output that was not searched, the reason, which a request records."""
    closed = {each.file.output.pipeline: each.reason for each in unsearchable if each.file.is_shredded}
    return {**closed, **reasons}


def unexplained_files(
    unsearched: Iterable[UnsearchableFile], reasons: Mapping[str, str] = NO_REASONS
) -> list[UnsearchableFile]:
    """The files that may hold records of a subject and were not searched, without those for which a reason is given.

    A file with an identifier may hold records of any subject. A file without rows or whose keys were destroyed holds none.
    """
    files = {(str(each.file.output.folder), each.file.path): each for each in unsearched}
    return [
        each
        for each in files.values()
        if not each.file.is_shredded
        and each.file.has_rows
        and shows_identifier(each.file)
        and not _names(each.file.output) & reasons.keys()
    ]


def check_searched(unsearched: Mapping[DataSubject, Sequence[UnsearchableFile]], reasons: Mapping[str, str]) -> None:
    """Raises CheckFailed (Q004) if a file that may hold records of a subject was not searched, and no reason is given for it."""
    missed_files = unexplained_files(
        (file for unsearched_files in unsearched.values() for file in unsearched_files), reasons
    )
    if not missed_files:
        return
    findings = {
        (str(each.file.output.folder), each.reason): Finding(
            "Q004", f"{each.file.output.pipeline} was not searched: {each.reason}", file=str(each.file.output.folder)
        )
        for each in missed_files
    }
    raise CheckFailed(
        f"{count_noun(len(missed_files), 'file')} that may hold records of the named subjects could not be searched",
        code="Q004",
        hint="The records that were found are removed, and the request stays open. Pass --linked to search by the devices of a"
        " person that --id-field names. For an output that cannot be searched, pass --unsearchable OUTPUT=REASON.",
        findings=list(findings.values()),
    )


def check_reached(unreachable: Iterable[UnreachableOutput]) -> None:
    """Raises CheckFailed if an output of this machine could not be reached, because it may still contain records."""
    missed = [each.folder for each in unreachable if each.reason != ON_ANOTHER_MACHINE]
    if missed:
        hint = (
            "Make it reachable and run the command again. If it was moved, first record its new folder: `minimize runs --rebuild"
            " --output DIR`. Pass --allow-unreached (allow_unreached=True) only if it is lost."
        )
        raise CheckFailed(
            f"{count_noun(len(missed), 'output')} that the ledger knows could not be reached: {', '.join(missed)}",
            hint=hint,
        )


def _names(output: PublishedOutput) -> frozenset[str]:
    """The names by which a reason can name an output: its pipeline, its folder, or the end of the folder's path."""
    folder = PurePath(str(output.folder))
    ends = {"/".join(folder.parts[-length:]) for length in range(1, len(folder.parts) + 1)}
    return frozenset({output.pipeline, str(output.folder), *ends})
