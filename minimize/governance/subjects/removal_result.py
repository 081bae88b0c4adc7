"""What a deletion or restriction of subjects found and did: the result of `subject delete` and `subject restrict`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from minimize.governance.known_outputs import UnreachableOutput
from minimize.governance.subjects.linked import shared_devices_text
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.governance.subjects.requests import RecallsByRecipient, merge_recalls
from minimize.governance.subjects.search import UnsearchableFile
from minimize.receipts import Receipt
from minimize.receipts.receipt import FIGURES_UNCHANGED
from minimize.removal.plan import RemovalPlan
from minimize.results import UNCHANGED, Line, json_object
from minimize.text import count_noun

RemovalKind = Literal["delete", "restrict"]


_REMOVED: Final[Mapping[RemovalKind, str]] = {"delete": "removed", "restrict": "restricted"}


REMOVAL_REASONS: Final[Mapping[RemovalKind, str]] = {"delete": "erased", "restrict": "restricted"}


@dataclass(frozen=True, slots=True)
class SubjectRemoval:
    """Plan and result of a deletion or restriction."""

    subjects: tuple[DataSubject, ...] = field(repr=False)
    """Each subject with its tenant, once for each tenant in which it is found."""
    plans: Mapping[str, RemovalPlan]
    """The removal plan for each output."""
    recalls: Mapping[DataSubject, RecallsByRecipient] = field(default_factory=dict, repr=False)
    """Per subject and recipient, the disclosures to delete or restrict."""
    unsearchable: tuple[UnsearchableFile, ...] = ()
    """Files that cannot be searched for a subject."""
    unreachable: tuple[UnreachableOutput, ...] = ()
    """Outputs that cannot be reached from here."""
    receipts: tuple[Receipt, ...] = ()
    """Receipts of the removals."""
    requests: tuple[str, ...] = ()
    """Ids of the requests."""
    resumed: int = 0
    """Number of subjects with an unfinished request of an earlier command."""
    restricted: int = 0
    """Number of subjects that are restricted already."""
    unknown: tuple[DataSubject, ...] = field(default=(), repr=False)
    """Subjects of which no data is held, if they are to be restricted."""
    shared: int = 0
    """Number of devices of the subjects that other persons also use."""
    applied: bool = False
    kind: RemovalKind = "delete"
    """Whether the records are deleted, or sealed until the restriction is lifted."""
    by_output: Mapping[str, tuple[Receipt, ...]] = field(default_factory=dict, repr=False)
    """The receipts of the removals, by output folder."""
    tables: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """Per output without records, its tables by date: they may count a subject, and keep their statistics."""

    @property
    def rows(self) -> int:
        """The number of the subjects' records."""
        return sum(each.gated.get(REMOVAL_REASONS[self.kind], 0) for plan in self.plans.values() for each in plan.due)

    @property
    def stays(self) -> dict[str, dict[str, list[str]]]:
        """Per output, the tables whose statistics stay although records of them were removed, by date."""
        tables_by_pipeline: dict[str, dict[str, list[str]]] = {}
        for receipt in self.receipts:
            for name, dates in (receipt.stays or {}).items():
                tables_by_pipeline.setdefault(receipt.pipeline, {}).setdefault(name, []).extend(dates)
        return tables_by_pipeline

    def to_json(self) -> dict[str, Any]:
        """The removal as `subject delete --json` and `subject restrict --json` print it."""
        body = {
            "subjects": len(self.subjects),
            "rows": self.rows,
            "outputs": self.plans,
            "recalls": merge_recalls(self.recalls.values()),
            "stays": self.stays,
            **({"tables_without_records": self.tables} if self.tables else {}),
            "shared_devices": self.shared,
            "not_searched": [{"file": each.file.path, "why": each.reason} for each in self.unsearchable],
            "not_reached": [{"output": each.folder, "why": each.reason} for each in self.unreachable],
            "receipts": [each.run_id for each in self.receipts],
            "requests": self.requests,
            **({"unknown": len(self.unknown)} if self.unknown else {}),
        }
        return json_object(body)

    def lines(self) -> Iterator[Line]:
        """The removed records, then what is left to do."""
        outcome = _REMOVED[self.kind] if self.applied else f"would be {_REMOVED[self.kind]}"
        yield f"{count_noun(self.rows, 'record')} of {self._subjects_text()} {outcome}"
        yield from self._lines_without_records()
        yield from self._restriction_lines()
        for name, plan in self.plans.items():
            yield from (f"  {name}: {each}" for each in self._plan_lines(plan))
        for recipient, acts in merge_recalls(self.recalls.values()).items():
            yield f"  {recipient} must also {self.kind}: {', '.join(acts)}"
        for folder, receipts in self.by_output.items():
            yield from _unchanged_lines(folder, receipts)
        for folder, tables in self.tables.items():
            why = (
                f"may count {self._subjects_text()}, because this output has no records to search: {FIGURES_UNCHANGED}"
            )
            yield from (
                f"  {those} in {folder} {verb} statistics for {days}; {why}" for those, verb, days in _by_dates(tables)
            )
        if self.shared:
            yield shared_devices_text(self.shared)
        yield from (
            f"  not searched: {each.file.output.pipeline} {each.file.path}: {each.reason}" for each in self.unsearchable
        )
        yield from (f"  not reached: {each.folder}: {each.reason}" for each in self.unreachable)
        yield from (f"  request {name}" for name in self.requests)
        if not self.applied:
            yield UNCHANGED

    def _lines_without_records(self) -> Iterator[str]:
        if self.rows:
            return
        if self.resumed:
            interrupted = count_noun(self.resumed, "subject")
            request = {"delete": "deletion", "restrict": "restriction"}[self.kind]
            yield f"  an earlier {request} of {interrupted} was not complete; it is continued"
            return
        if self.restricted:
            number = "1 subject is" if self.restricted == 1 else f"{self.restricted} subjects are"
            yield f"  {number} restricted already. Run `minimize subject status` for details."
        if self.kind == "delete":
            yield "  no data is held of these subjects. Check the spelling of the ids."
        if self.applied:
            yield "  their late records are excluded from later runs"

    def _restriction_lines(self) -> Iterator[str]:
        if self.unknown:
            named = count_noun(len(self.unknown), "named subject")
            yield f"  no data is held of {named}. Check the ids and the tenant."
            if not self.applied:
                yield "  Pass --allow-unknown-subject to exclude their later records, too."
        if self.kind == "restrict" and self.rows:
            yield "  published aggregates keep their statistics; later runs exclude these records until `minimize subject lift`"

    def _plan_lines(self, plan: RemovalPlan) -> Iterator[str]:
        if self.kind == "delete":
            yield from (plan.outcome_text() if self.applied else str(plan)).splitlines()
            return
        for partition in plan.partitions:
            records, files = (
                count_noun(partition.gated.get("restricted", 0), "record"),
                count_noun(partition.rewritten, "file"),
            )
            outlived = partition.gated.get("retention", 0)
            removed = f"; {count_noun(outlived, 'record')} past their retention removed" if outlived else ""
            yield f"{records} {'' if partition.date is None else f'of {partition.date} '}in {files}{removed}"
        yield from plan.notes()

    def _subjects_text(self) -> str:
        tenants = sum(each.is_tenant for each in self.subjects)
        numbers = ((len(self.subjects) - tenants, "subject"), (tenants, "tenant"))
        return " and ".join(count_noun(count, word) for count, word in numbers if count) or "no subject"


def _unchanged_lines(folder: str, receipts: Sequence[Receipt]) -> Iterator[str]:
    """The aggregates of one output that keep their statistics, in one line for all with the same dates."""
    dates: dict[str, list[str]] = {}
    for receipt in receipts:
        for name, table_dates in (receipt.stays or {}).items():
            dates.setdefault(name, []).extend(table_dates)
    for those, verb, days in _by_dates(dates):
        yield f"  {those} in {folder} {verb} statistics for {days}: {FIGURES_UNCHANGED}"


def _by_dates(tables: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str]]:
    """The tables with the same dates, a verb for them, and these dates."""
    names: dict[tuple[str, ...], list[str]] = {}
    for name, dates in tables.items():
        names.setdefault(tuple(dict.fromkeys(dates)), []).append(name)
    for days, those in names.items():
        yield ", ".join(those), "keeps" if len(those) == 1 else "keep", ", ".join(days) or "all"
