"""Replay of the quarantine.

Quarantined records are checked again under today's policy, and each date with a difference is run again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from minimize.datasets.ledger_check import check_earlier_receipts
from minimize.datasets.pipelines import find_pipeline, origin_place, origin_settings
from minimize.datasets.reader import load_receipts
from minimize.errors import Finding, OutputError, RefusedError, call_redacted
from minimize.linting import check_allowed_codes, check_lint_errors
from minimize.output.folder import batch_date_of
from minimize.output.sink import QUARANTINE_SCHEMA
from minimize.output.stored_file import open_stored_file
from minimize.pages import Table
from minimize.policy.approval import check_approval
from minimize.policy.pipeline import Pipeline
from minimize.receipts import InputFile, Receipt, RunOrigin, quarantine_files_in_force
from minimize.results import OMIT_IF_EMPTY, JsonResult, Line, LogMessage, json_member
from minimize.runs.batch_dates import DateSelection, SkippedDate, error_for, parse_batch_date
from minimize.runs.guards import run_log_messages, runs_exit_code
from minimize.runs.overrides import require_output_override
from minimize.runs.resolve import PLAIN_REQUEST, ResolvedRun, RunRequest, resolve_run
from minimize.runs.runner import LOCAL_EXECUTION, Execution, attempt_run, check_engine
from minimize.sources.base import Source, accepted_positions
from minimize.sources.files import FilePart, batch_parts
from minimize.stores import Location
from minimize.stores.path_patterns import split_pattern
from minimize.text import count_noun, format_number
from minimize.times import parse_date
from minimize.workspace import Workspace

QuarantineGroup = tuple[str, str | None, str]
"""Code, field, file."""


@dataclass(frozen=True, slots=True)
class QuarantinedDate:
    """The quarantined records of one batch date (None for a source without dates), and the receipt of the run that quarantined
    them."""

    day: str | None
    receipt: Receipt
    places: Mapping[str, Mapping[int, tuple[str, str | None]]]
    """Code and field, by file and position."""

    @property
    def rows(self) -> int:
        """Number of quarantined records."""
        return sum(map(len, self.places.values()))

    def groups(self) -> Counter[QuarantineGroup]:
        """Number of records per code, field and file."""
        return Counter((*what, source) for source, some in self.places.items() for what in some.values())


def quarantined_dates(output: Location, day: date | str | None = None) -> list[QuarantinedDate]:
    """The quarantined records, one item per date, in order; only of one date if it is passed. Raises OutputError."""
    only = None if day is None else parse_date(day).isoformat()
    chain = load_receipts(output)
    writers = {file.path: receipt for receipt in chain for file in receipt.quarantine.files}
    by_day: dict[str | None, list[str]] = {}
    for file in quarantine_files_in_force(chain):
        by_day.setdefault(batch_date_of(file.path), []).append(file.path)
    days = sorted((on for on in by_day if only in (None, on)), key=lambda on: on or "")
    return [_read_date(output, each, by_day[each], writers) for each in days]


def count_groups(dates: list[QuarantinedDate]) -> list[dict[str, Any]]:
    """Groups by code, field and file over all dates, with their number of rows; largest first."""
    rows: Counter[QuarantineGroup] = Counter()
    for quarantined in dates:
        rows.update(quarantined.groups())
    ordered = sorted(rows.items(), key=lambda pair: (-pair[1], pair[0][0], pair[0][1] or "", pair[0][2]))
    return [{"code": code, "field": field, "file": source, "rows": count} for (code, field, source), count in ordered]


@dataclass(frozen=True, slots=True)
class QuarantineCounts(JsonResult):
    """The number of quarantined records, and the groups of `count_groups`, which can have the number that would pass now."""

    rows: int
    groups: Sequence[Mapping[str, Any]]

    def lines(self) -> Iterator[Line]:
        """A table of the groups, and their total."""
        if not self.groups:
            yield "no records are quarantined"
            return
        words = ("code", "field", "file")
        counts = [name for name in ("rows", "passing") if name in self.groups[0]]
        rows = [
            [*(group[word] or "" for word in words), *(format_number(group[name]) for name in counts)]
            for group in self.groups
        ]
        yield Table("", [*words, *counts], rows, len(words))
        passing = f"; {sum(each['passing'] for each in self.groups):,} would pass now" if "passing" in counts else ""
        yield f"{count_noun(self.rows, 'record')} in quarantine{passing}"


def show_quarantine(
    workspace: Workspace, *, date: date | str | None = None, check: bool = False, request: RunRequest = PLAIN_REQUEST
) -> QuarantineCounts:
    """Counts the quarantined records of an output by code, field and file.

    With `check` also counts the records that would pass now, which are read from the source. Takes the arguments of `replay` and
    raises its errors.
    """
    workspace.require("run/read")
    if check:
        require_output_override(workspace, request)
    dates = quarantined_dates(workspace.target, date)
    groups = count_groups(dates)
    if check:
        rechecked = recheck_quarantine(workspace, date=date, request=request)
        passing = Counter(group for rechecked_date in rechecked for group in rechecked_date.groups())
        groups = [{**each, "passing": passing[each["code"], each["field"], each["file"]]} for each in groups]
    return QuarantineCounts(sum(each.rows for each in dates), groups)


def _read_date(output: Location, day: str | None, paths: list[str], writers: Mapping[str, Receipt]) -> QuarantinedDate:
    places: dict[str, dict[int, tuple[str, str | None]]] = {}
    for path in paths:
        table = open_stored_file(output, path).table()
        if table.schema.names != QUARANTINE_SCHEMA.names:
            raise OutputError(f"{path} is not a quarantine file", hint="Run `minimize verify` to check all files.")
        columns = (table[name].to_pylist() for name in ("source", "position", "code", "field"))
        for source, position, code, name in zip(*columns, strict=True):
            places.setdefault(source, {})[position] = (code, name)
    return QuarantinedDate(day, writers[paths[0]], places)


def source_differences(quarantined: QuarantinedDate, resolved: ResolvedRun | None) -> Iterator[Finding]:
    """Differences between the inputs of a date and its receipt: R011 for another digest, R012 for a missing file."""
    now: dict[str, FilePart] = {}
    if resolved is not None and _date_source(quarantined, resolved) is not None:
        parts = batch_parts(resolved.found, parse_batch_date(quarantined.day), resolved.shown)
        now = {part.name: part for part in parts}
    for input_file in quarantined.receipt.inputs:
        name = input_file.path if resolved is None else resolved.shown.mask_recorded(input_file.path)
        if name in now:
            if not now[name].has_digest(input_file.digest):
                message = f"has the digest {now[name].digest}; it was {input_file.digest} at the run"
                yield Finding("R011", message, hint="Run the changed date with `minimize run`.", file=name)
        elif input_file.path in quarantined.places or _belongs_to_date(input_file, quarantined):
            message = f"is missing; its digest was {input_file.digest}"
            yield Finding(
                "R012", message, hint="Restore the file, or use `minimize run` for the remaining files.", file=name
            )


def _belongs_to_date(file: InputFile, quarantined: QuarantinedDate) -> bool:
    """Whether a file belongs to the date: according to its receipt, or because the receipt does not assign the file to a date."""
    return file.date in (None, quarantined.day)


@dataclass(frozen=True, slots=True)
class RecheckedDate:
    """The quarantine of one date under the current policy: the run that would follow, and the records that pass now, by file."""

    quarantined: QuarantinedDate
    resolved: ResolvedRun
    passing: Mapping[str, frozenset[int]]

    @property
    def rows(self) -> int:
        """Number of records that pass now."""
        return sum(map(len, self.passing.values()))

    def groups(self) -> list[QuarantineGroup]:
        """Code, field and file of each record that passes now."""
        return [
            (*self.quarantined.places[name][place], name) for name, places in self.passing.items() for place in places
        ]

    def to_json(self) -> dict[str, Any]:
        """The date with its counts."""
        return {"date": self.quarantined.day, "quarantined": self.quarantined.rows, "passing": self.rows}


@dataclass(frozen=True, slots=True)
class ReplayResult(JsonResult):
    """Result of a replay: dates and counts of the checked records, a receipt and the current pipeline for each date that was run
    again, and the dates that failed."""

    rechecked: Sequence[RecheckedDate] = field(metadata=json_member("dates"))
    receipts: Sequence[Receipt]
    pipelines: Sequence[Pipeline] = ()
    failures: Sequence[SkippedDate] = field(default=(), metadata=OMIT_IF_EMPTY)
    json_names = "rechecked receipts failures"

    @property
    def exit_code(self) -> int:
        """The exit code of `minimize replay`."""
        return runs_exit_code(zip(self.receipts, self.pipelines, strict=True), self.failures)

    @property
    def log_messages(self) -> list[LogMessage]:
        """Errors about the runs, and the dates that failed."""
        return run_log_messages(zip(self.receipts, self.pipelines, strict=True), self.failures)

    def lines(self) -> Iterator[Line]:
        """Counts by date, and the summaries of the receipts."""
        if not self.rechecked:
            yield "nothing to do: no records are quarantined"
        for rechecked_date in self.rechecked:
            yield (
                f"{rechecked_date.quarantined.day or 'all'}: "
                f"{rechecked_date.rows:,} of {rechecked_date.quarantined.rows:,} quarantined records now pass"
            )
        if self.failures:
            yield f"{count_noun(len(self.failures), 'date')} skipped"
        elif self.rechecked and not self.receipts:
            yield "nothing to do: no quarantined record passes"
        yield from self.receipts


def replay(
    workspace: Workspace,
    *,
    date: date | str | None = None,
    request: RunRequest = PLAIN_REQUEST,
    execution: Execution = LOCAL_EXECUTION,
) -> ReplayResult:
    """Checks the quarantined records of an output again. A date of which a record now passes is run again as a whole.

    Takes a workspace with the output, and perhaps a pipeline that replaces those of the receipts; a batch date (default: all with
    a quarantine); and a request, whose time, source and settings replace those named in the receipts, in their current state. A
    date that cannot be published is among the failures if another date was run.

    Raises the errors of `run` that concern more than one date. Raises RefusedError if an input of such a date changed or is
    missing; then no date is run.
    """
    workspace.require("run/read")
    require_output_override(workspace, request)
    allowed, _ = check_allowed_codes(execution.allow), check_engine(execution.engine)
    rechecked = recheck_quarantine(workspace, date=date, request=request)
    receipts: list[Receipt] = []
    pipelines: list[Pipeline] = []
    failures: list[SkippedDate] = []
    codes: dict[str, tuple[str, ...]] = {}
    for job in {
        rechecked_date.resolved.pipeline.digest: rechecked_date.resolved.pipeline
        for rechecked_date in rechecked
        if rechecked_date.rows
    }.values():
        check_approval(job)
        codes[job.digest] = check_lint_errors(job, allowed)
    for rechecked_date in rechecked:
        if rechecked_date.rows:
            job = rechecked_date.resolved.pipeline
            context = execution.context(rechecked_date.resolved.workspace, "replay", allowed=codes[job.digest])
            result, skipped = attempt_run(rechecked_date.resolved, context)
            failures += skipped
            if result is not None:
                receipts.append(result.receipt)
                pipelines.append(job)
    if failures and not receipts:
        raise error_for(failures)
    return ReplayResult(rechecked, receipts, tuple(pipelines), tuple(failures))


def recheck_quarantine(
    workspace: Workspace, *, date: date | str | None = None, request: RunRequest = PLAIN_REQUEST
) -> list[RecheckedDate]:
    """The quarantined records of an output under the current policy. Only these records are read from the source, by position.

    Takes the arguments of `replay` and raises its errors.
    """
    chain = workspace.load_receipts()
    if chain:
        current = workspace.with_pipeline(find_pipeline(workspace.target, chain[-1], workspace.pipeline))
        current.check_target()
        if current.keyring_or_none is not None:
            check_earlier_receipts(current.keyring_or_none, chain)
    dates = quarantined_dates(workspace.target, date)
    resolved_dates = [(quarantined, _resolve_date(workspace, quarantined, request)) for quarantined in dates]
    refused = [
        finding for quarantined, resolved in resolved_dates for finding in source_differences(quarantined, resolved)
    ]
    if refused:
        raise _changed_source_error(refused)
    bound = [(quarantined, resolved) for quarantined, resolved in resolved_dates if resolved is not None]
    return [
        RecheckedDate(quarantined, resolved, call_redacted(partial(_passing_records, quarantined, resolved)))
        for quarantined, resolved in bound
    ]


def _resolve_date(workspace: Workspace, quarantined: QuarantinedDate, request: RunRequest) -> ResolvedRun | None:
    """The resolved run of the date; None if the path of its source is missing."""
    origin, output = quarantined.receipt.origin or RunOrigin(), workspace.target
    source = request.input or origin_place(output, origin.input)
    checked = isinstance(source, Path) or (isinstance(source, str) and not request.input)
    if checked and not split_pattern(str(source), Path())[0].exists():
        return None
    current = replace(
        request,
        selection=DateSelection.from_options(quarantined.day),
        input=source,
        settings=request.settings if request.settings is not None else origin_settings(output, origin),
    )
    return resolve_run(workspace.with_pipeline(find_pipeline(output, quarantined.receipt, workspace.pipeline)), current)


def _date_source(quarantined: QuarantinedDate, resolved: ResolvedRun) -> Source | None:
    return resolved.sources.get(parse_batch_date(quarantined.day))


def _passing_records(quarantined: QuarantinedDate, resolved: ResolvedRun) -> dict[str, frozenset[int]]:
    source = _date_source(quarantined, resolved)
    parts = {part.name: part for part in (() if source is None else source.parts)}
    parts_by_name = {name: parts[resolved.shown.mask_recorded(name)] for name in quarantined.places}
    return {name: accepted_positions(part, quarantined.places[name]) for name, part in parts_by_name.items()}


def _changed_source_error(findings: Sequence[Finding]) -> RefusedError:
    hint = "Use `minimize run` to read the current files, or pass --date D to replay another date."
    message = f"the source has changed since its records were quarantined (files: {len(findings)}); nothing was run"
    return RefusedError(message, findings=findings, hint=hint)
