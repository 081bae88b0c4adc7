"""Removal plan: counts by statistics, due files, removals per output and date, open deadlines.

A file is read only if its statistics and its subject index do not decide, and then only the deciding columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from minimize.checkpoints import checkpoint
from minimize.datasets.lifecycle_events import ALL_EVENT_TIMES, RetentionEvent
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.record_age import age_limit
from minimize.output.folder import RESTRICTED
from minimize.policy.condition import AnyOf, Condition, conjuncts, fields_read_by_condition
from minimize.policy.model import Policy
from minimize.records import RECORDS, BatchCounts
from minimize.removal.decision import FileInstructions, RewriteRequest
from minimize.removal.retention_rules import FieldRule, RetentionRules, features_in, written_conditions
from minimize.removal.rewrite_receipt import PlannedFile
from minimize.removal.verdict import BatchJudge, SuccessiveJudges, verdict_counts
from minimize.results import JsonResult, Line, json_member
from minimize.sources.parquet import ParquetFooter
from minimize.text import count_noun
from minimize.times import time_text

TimeBounds = tuple[int, int]


def count_by_statistics(instructions: FileInstructions) -> dict[str, int] | None:
    """The number of values to remove, by field; None if the file must be read.

    The first and last oldest instant of the file suffice if no event concerns the file, no record is due, and for each feature
    with a shorter retention either all values or none are due.
    """
    rules, bounds = instructions.rules, instructions.file.time_bounds
    if bounds is None or rules.records or _has_affected(instructions):
        return None
    if rules.age is not None and bounds[0] <= age_limit(instructions.as_of, rules.age):
        return None
    stored = instructions.file.stored_file
    footer = ParquetFooter(stored.file.metadata, stored.schema)
    counts_by_field: dict[str, int] = {}
    for rule in rules.fields:
        count = _due_values(instructions, rule, footer, bounds)
        if count is None:
            return None
        counts_by_field |= {rule.key: count} if count else {}
    return counts_by_field


def _due_values(
    instructions: FileInstructions, rule: FieldRule, footer: ParquetFooter, bounds: TimeBounds
) -> int | None:
    names = {
        name for condition in rule.conditions for name in features_in(condition)
    } & instructions.rules.features.keys()
    last = age_limit(instructions.as_of, min(instructions.rules.features[name] for name in names))
    if bounds[0] > last:
        return 0
    depends = any(isinstance(part, AnyOf) for condition in rule.conditions for part in conjuncts(condition))
    if bounds[1] > last or depends or rule.pointer.top not in footer.schema.names:
        return None
    leaf = footer.flat_leaf(rule.pointer)
    filled = [None if leaf is None else footer.count_non_null(group, leaf) for group in range(footer.groups)]
    return None if None in filled else sum(count or 0 for count in filled)


def _has_affected(instructions: FileInstructions) -> bool:
    return any(affected.tenant_forms or affected.subject_forms for affected in instructions.all_affected)


DAY_MICROSECONDS: Final = 86_400_000_000
"""One day in microseconds."""


@dataclass(frozen=True, slots=True)
class DueFile(PlannedFile):
    """A checked file, and its due data: `values` to remove or replace in remaining rows, by field."""

    judge: BatchJudge = field(repr=False)
    values: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_due(self) -> bool:
        """Whether any data is due."""
        return bool(self.gated or self.values) or not self.is_counted

    @property
    def is_reclassified(self) -> bool:
        """Whether values are removed because a device became personal, or the organization's data was removed from it."""
        return bool(self.values.keys() & self._owner_fields)

    def may_concern(self, event: RetentionEvent) -> bool:
        """Whether data is removed that this event may concern."""
        instructions = self.judge
        return (
            (self.gated.get("erased", 0) > 0 or self.is_reclassified)
            and isinstance(instructions, FileInstructions)
            and instructions.may_concern(event)
        )

    @property
    def is_aged(self) -> bool:
        """Whether data is removed because of its age."""
        return bool(self.gated.get("retention") or self.values.keys() - self._owner_fields)

    @property
    def is_changed(self) -> bool:
        """Whether data is removed for another reason than its age."""
        others = any(count for reason, count in self.gated.items() if reason != "retention")
        is_new_form = bool(self.values) and not isinstance(self.judge, FileInstructions)
        return others or self.is_reclassified or is_new_form or not self.is_counted

    @property
    def _owner_fields(self) -> set[str | None]:
        if not isinstance(self.judge, FileInstructions):
            return set()
        return {*self.judge.treatments, self.judge.owner, *self.judge.company_fields}


def find_due(request: RewriteRequest, file: OutputFile, *, counts: bool = True) -> DueFile | None:
    """The due data of a file; None if its keys were destroyed and its batch date is not past its retention.

    Without `counts`, a file is not read if its subject index alone shows that records are due; its rewrite counts them. An
    aggregate is opened only if its batch date does not decide. Raises OutputError if a file that is read is damaged.
    """
    checkpoint("removal.planned", file.path)
    if file.is_shredded:
        return find_due_unreadable(request, file)
    instructions = request.instructions(file)
    if _is_expired(instructions):
        return DueFile(file, instructions, True, {"retention": file.entry.rows})
    if not _may_be_expired(instructions) and not any(map(file.may_hold, instructions.all_affected)):
        return DueFile(file, instructions)
    if not counts and _is_decided_by_index(instructions):
        return _without_outlived(request, DueFile(file, instructions, is_counted=False))
    known = count_by_statistics(instructions)
    if known is not None:
        return DueFile(file, instructions, values=known)
    columns = deciding_columns(instructions, file.schema)
    return _without_outlived(request, counted_file(file, instructions, file.batches(columns)))


def _without_outlived(request: RewriteRequest, due: DueFile) -> DueFile:
    return due if request.by_age else with_retention(due, request.today, request.as_of)


def with_retention(due: DueFile, today: Policy, as_of: datetime) -> DueFile:
    """A due file of a rewrite that does not select by age: it also loses what is past its retention.

    Its receipt states that today's policy was applied at this time, so nothing older may be in the new file.
    """
    file = due.file
    rules = RetentionRules.for_file(file.policy, today, file.pointers)
    retention = FileInstructions(file, rules, as_of, file.times)
    if not due.is_due or due.is_whole or not _may_be_expired(retention):
        return due
    both = replace(due, retention=retention)
    if not both.is_counted:
        return both
    judge = SuccessiveJudges(due.judge, retention)
    counted = counted_file(file, judge, file.stored_file.batches())
    return replace(both, gated=counted.gated, is_whole=counted.is_whole)


def find_due_unreadable(request: RewriteRequest, file: OutputFile) -> DueFile | None:
    """A file whose keys were destroyed, which is due once its batch date is past its retention; else None."""
    instructions = request.instructions_unread(file)
    age, born = instructions.rules.age, file.partition_start
    if age is None or born is None or born + DAY_MICROSECONDS > age_limit(instructions.as_of, age):
        return None
    return DueFile(file, instructions, True, {"retention": file.entry.rows})


def whole_table(request: RewriteRequest, file: OutputFile, reason: str) -> DueFile:
    """A table that is removed whole, for this reason in receipts."""
    return DueFile(file, request.instructions_unread(file), True, {reason: file.entry.rows})


def plan_by_rules(
    request: RewriteRequest, output: PublishedOutput, *, removes_tables: bool = False, counts: bool = True
) -> RemovalPlan:
    """The plan of the data of an output that is due; see `find_due` for `counts`.

    With `removes_tables`, all tables are due. Records to be sealed are always read, also if they are a whole file.
    """
    seals = request.removal_reason == "restricted"
    files = (*output.files(), *(() if seals else output.restricted_files()))
    checked_files = [
        (
            file.path,
            whole_table(request, file, "retention")
            if removes_tables and not file.has_records
            else find_due(request, file, counts=counts or seals),
        )
        for file in files
    ]
    due = [due_file for _, due_file in checked_files if due_file is not None]
    unreadable = tuple(path for path, due_file in checked_files if due_file is None)
    plan = replace(plan_removal(request.as_of, due), unreadable=unreadable)
    if not seals:
        return plan
    return replace(plan, due=tuple(replace(each, is_whole=False) for each in plan.due), tables_left={})


def _is_expired(instructions: FileInstructions) -> bool:
    """Whether the youngest event is past its retention."""
    bounds, age = instructions.file.time_bounds, instructions.rules.age
    return (
        bounds is not None
        and age is not None
        and bounds[1] <= age_limit(instructions.as_of, age)
        and instructions.file.has_rows
    )


def _is_decided_by_index(instructions: FileInstructions) -> bool:
    """Whether every record that the subject index finds is due: its form shows its tenant, and its time does not matter."""
    file, column = instructions.file, instructions.file.column(instructions.file.policy.subject)
    if file.entry.index is None or column is None or not column.column.shows_tenant:
        return False
    indexed = [each for each in instructions.erased if each.subject == column.pointer]
    others = [
        affected for affected in instructions.all_affected if not any(affected is subjects for subjects in indexed)
    ]
    reaches_all = (
        not subjects.tenant_forms and all(until == ALL_EVENT_TIMES for until in subjects.subject_forms.values())
        for subjects in indexed
    )
    if not all(reaches_all) or any(map(file.may_hold, others)):
        return False
    return all(file.candidate_groups(each) is not None for each in indexed)


def _may_be_expired(instructions: FileInstructions) -> bool:
    bounds, shortest = instructions.file.time_bounds, instructions.rules.shortest_age
    if shortest is None or not instructions.knows_times:
        return False
    may_be_old = bounds is None or bounds[0] <= age_limit(instructions.as_of, shortest)
    return may_be_old and instructions.file.has_rows


def counted_file(file: OutputFile, judge: BatchJudge, batches: Iterable[pa.RecordBatch]) -> DueFile:
    """A file with the data that the verdicts on its batches remove. The batches may have only the deciding columns."""
    counts = BatchCounts()
    for batch in batches:
        verdict = judge(batch)
        counts += verdict_counts(batch, verdict, verdict.remaining_rows(batch.num_rows), judge.pointers)
    values = {key: each.gated + each.changed for key, each in counts.fields.items() if each.gated + each.changed}
    whole = 0 < file.entry.rows == sum(counts.gated.values())
    return DueFile(file=file, judge=judge, is_whole=whole, gated=counts.gated, values={} if whole else values)


def deciding_columns(instructions: FileInstructions, schema: pa.Schema) -> list[str]:
    """The columns that decide on removals, and the columns with values to remove."""
    pointers = instructions.rules.pointers
    keys = {rule.key for rule in instructions.rules.fields} | set(_condition_fields(instructions))
    if instructions.company_fields:
        keys |= {*instructions.company_fields, *instructions.own}
    column_names = {pointers[key].top for key in keys if key in pointers}
    column_names |= set() if instructions.clock is None else {instructions.clock.pointer.top}
    for affected in instructions.all_affected:
        column_names |= {place.top for place in (affected.tenant, affected.subject) if place is not None}
    return [name for name in schema.names if name in column_names]


def _condition_fields(instructions: FileInstructions) -> Iterator[str]:
    """The fields that conditions read, and those that depend on the owner."""
    conditions: Sequence[Condition] = [
        *instructions.rules.records,
        *instructions.owner_gates,
        *(condition for rule in instructions.rules.fields for condition in rule.conditions),
        *(
            condition
            for key in instructions.treatments
            for condition in written_conditions(instructions.file.policy.fields[key])
        ),
    ]
    yield from (field for condition in conditions for field in fields_read_by_condition(condition))
    yield from instructions.treatments
    if instructions.owner is not None:
        yield instructions.owner


@dataclass(frozen=True, slots=True)
class PlannedPartition:
    """Planned changes of one output and date: files to remove or rewrite, rows by reason, values by field."""

    name: str
    date: str | None
    removed: int
    rewritten: int
    gated: Mapping[str, int]
    values: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """The partition as `expire --json` prints it."""
        files = {"removed": self.removed, "rewritten": self.rewritten}
        counts = {"rows": sum(self.gated.values()), "why": dict(self.gated), "values": dict(self.values)}
        return {"output": self.name, "date": self.date, "files": files, **counts}

    def __str__(self) -> str:
        why = ", ".join(f"{count:,} {_REASON_TEXTS[reason]}" for reason, count in self.gated.items() if count)
        values = ", ".join(f"{count:,} of {name}" for name, count in self.values.items())
        parts = [f"rows: {why}" if why else "", f"values: {values}" if values else ""]
        summary = "; ".join(part for part in parts if part) or "no rows"
        name = "sealed records" if self.name == RESTRICTED else self.name
        return f"{name} {self.date or 'all'}: {summary} (files removed: {self.removed}, rewritten: {self.rewritten})"


_REASON_TEXTS: Mapping[str, str] = {
    "retention": "past their retention",
    "erased": "of tenants or subjects with a lifecycle event",
    "restricted": "of restricted tenants or subjects",
    "setting": "switched off by a setting",
    "condition": "excluded by a condition",
    "consent": "not covered by a consent of their tenant",
    "risk": "left in combinations that miss the bound on disclosure risk",
}


@dataclass(frozen=True, slots=True)
class RemovalPlan(JsonResult):
    """The plan of an expiry."""

    as_of: datetime = field(metadata=json_member("at"))
    due: tuple[DueFile, ...] = field(default=(), repr=False)
    """The files with due data."""
    tables_left: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict, repr=False)
    """Tables that stay although some of their records are removed: per name and date, the dates of the records."""
    undated: tuple[str, ...] = field(default=(), metadata=json_member("undated_partitions", earlier="untold"))
    """Partitions whose rows have an unknown age."""
    unfindable: int = field(default=0, metadata=json_member("unfindable", earlier="lost"))
    """Number of pairs of file and event whose tenant or subject cannot be found in the file."""
    uncertain: Mapping[RetentionEvent, int] = field(
        default_factory=dict, repr=False, metadata=json_member("uncertain_subjects", earlier="unsure", convert=len)
    )
    """Per event of the ledger, the number of files in which its subject may have an unknown form."""
    unreadable: tuple[str, ...] = field(default=(), metadata=json_member("unreadable_files", earlier="closed"))
    """Files with destroyed keys; they are removed by the retention of their batch date, or when it is run again."""
    json_names = "as_of partitions dates_left undated unfindable uncertain unreadable"

    @property
    def partitions(self) -> tuple[PlannedPartition, ...]:
        """The planned changes, by output and date."""
        places = sorted({(each.name, each.date) for each in self.due}, key=lambda place: (place[0], place[1] or ""))
        return tuple(_planned_partition(place, self.due) for place in places)

    @property
    def dates_left(self) -> dict[str, tuple[str, ...]]:
        """The dates of the tables that stay, by name."""
        names = dict.fromkeys(name for name, _ in self.tables_left)
        return {name: tuple(on for table, on in self.tables_left if table == name) for name in names}

    def __str__(self) -> str:
        names_by_dates: dict[tuple[str, ...], list[str]] = {}
        for name, dates in self.dates_left.items():
            names_by_dates.setdefault(dates, []).append(name)
        kept = [
            f"{', '.join(tables)}: statistics for {', '.join(dates) or 'all'} stay, although some of their records are removed"
            for dates, tables in names_by_dates.items()
        ]
        return self._text(kept)

    def outcome_text(self) -> str:
        """The plan after its execution. The receipts name the tables that stay."""
        return self._text([])

    def _text(self, names: Sequence[str]) -> str:
        return (
            "\n".join([*map(str, self.partitions), *names, *self.notes()])
            or "nothing to do: no data is due for removal"
        )

    def notes(self) -> Iterator[str]:
        """The limits of the plan: files and events that it cannot decide about."""
        if self.unreadable:
            yield f"{len(self.unreadable)} files stay and cannot be read: their keys were destroyed"
        if self.undated:
            yield f"the age of the rows is unknown: {', '.join(self.undated)}"
        if self.unfindable:
            yield f"{self.unfindable} events name subjects that cannot be found in some files"
        if self.uncertain:
            yield f"{len(self.uncertain)} events may match subjects in a form that the ledger does not know: add them again"


@dataclass(frozen=True, slots=True)
class OpenDeadline(JsonResult):
    """An open removal after an event or by age, and its deadline."""

    kind: str = field(metadata=json_member(earlier="what"))
    deadline: datetime = field(metadata=json_member(earlier="by"))
    files: int
    """Files with data to remove."""
    tenant: str | None = field(default=None, metadata=json_member("tenant_id", omit_none=True))
    overdue: bool = False
    uncertain: int = field(default=0, metadata=json_member("uncertain_files", earlier="unsure", omit_empty=True))
    """Files in which the subject may have a form that the ledger does not know."""
    json_names = "kind deadline files overdue uncertain tenant"

    def lines(self) -> Iterator[Line]:
        """The removal in one line."""
        yield str(self)

    def __str__(self) -> str:
        tenant = "" if self.tenant is None else f" of {self.tenant}"
        late = " OVERDUE" if self.overdue else ""
        uncertain = f" (and {self.uncertain} that may be concerned)" if self.uncertain else ""
        return f"{self.kind}{tenant}: by {time_text(self.deadline)}, {count_noun(self.files, 'file')}{uncertain}{late}"


def plan_removal(at: datetime, due_files: Sequence[DueFile]) -> RemovalPlan:
    """Combines the checked files into a plan."""
    due = tuple(each for each in due_files if each.is_due)
    instructed = [(each, each.judge) for each in due_files if isinstance(each.judge, FileInstructions)]
    undated = {
        _partition_name(due_file)
        for due_file, instructions in instructed
        if not instructions.knows_times and instructions.rules.shortest_age is not None
    }
    unfindable = sum(
        len(affected.unfindable) for _, instructions in instructed for affected in instructions.all_affected
    )
    uncertain = Counter(
        event
        for _, instructions in instructed
        for affected in instructions.all_affected
        for event in affected.uncertain
    )
    return RemovalPlan(
        as_of=at,
        due=due,
        tables_left=_tables_left(due_files),
        undated=tuple(sorted(undated)),
        unfindable=unfindable,
        uncertain=dict(uncertain),
    )


def _tables_left(due_files: Sequence[DueFile]) -> dict[tuple[str, str], frozenset[str]]:
    """The tables of dates that lose records for another reason than age, unless they are removed themselves."""
    touched = {each.date for each in due_files if each.name in (RECORDS, RESTRICTED) and each.is_changed}
    dates_by_table = {
        (due_file.name, due_file.date or ""): frozenset(on or "" for on in due_file.file.batch_dates)
        for due_file in due_files
        if not due_file.file.has_records and due_file.file.batch_dates & touched and not due_file.is_whole
    }
    return dict(sorted(dates_by_table.items()))


def _partition_name(due_file: DueFile) -> str:
    return due_file.name if due_file.date is None else f"{due_file.name}/date={due_file.date}"


def open_deadlines(
    plan: RemovalPlan, events: Sequence[RetentionEvent], concerned: Mapping[RetentionEvent, int]
) -> list[OpenDeadline]:
    """The open removals, earliest deadline first."""
    aged, at = sum(each.is_aged for each in plan.due), plan.as_of
    deadlines = [OpenDeadline("retention", at, aged, overdue=True)] if aged else []
    for event in events:
        files, uncertain = concerned.get(event, 0), plan.uncertain.get(event, 0)
        if files or uncertain or event.occurred_at > at:
            late = event.deadline < at and event.occurred_at <= at
            deadlines.append(
                OpenDeadline(
                    kind=event.kind,
                    deadline=event.deadline,
                    files=files,
                    tenant=event.tenant,
                    overdue=late,
                    uncertain=uncertain,
                )
            )
    return sorted(deadlines, key=lambda deadline: deadline.deadline)


def _planned_partition(place: tuple[str, str | None], due: Sequence[DueFile]) -> PlannedPartition:
    partition_files = [each for each in due if (each.name, each.date) == place]
    gated: Counter[str] = Counter()
    values: Counter[str] = Counter()
    for due_file in partition_files:
        gated.update(due_file.gated)
        values.update(due_file.values)
    whole = sum(each.is_whole for each in partition_files)
    return PlannedPartition(*place, whole, len(partition_files) - whole, dict(gated), dict(sorted(values.items())))
