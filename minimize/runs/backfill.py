"""Backfill: runs the dates listed in a file again, one by one, each with its own receipt.

The file lists the dates and states the reason and the policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag
from pydantic.json_schema import SkipJsonSchema

from minimize.datasets.ledger_check import check_earlier_receipts
from minimize.errors import ConfigurationError, Finding, PolicyError, SourceError
from minimize.forms import Expected, Form, NotEmpty, OneOrMore, Reading, examine_file
from minimize.forms.values import Day, Name
from minimize.forms.yaml_nodes import FaultList, require_sound
from minimize.linting import check_allowed_codes, check_lint_errors
from minimize.policy.approval import check_approval
from minimize.policy.load import load_policy
from minimize.policy.model import configured_purposes
from minimize.policy.pipeline import Pipeline
from minimize.receipts import BackfillRef, Receipt, sha256_text
from minimize.receipts.chain import READING_KINDS, effective_receipts
from minimize.receipts.shown_counts import rows_text
from minimize.records import POLICY_FILE, RUNS
from minimize.results import LogMessage, json_object
from minimize.runs.batch_dates import BatchDate, DateSelection, SkippedDate, arrivals
from minimize.runs.first_run_check import check_erasures_known
from minimize.runs.guards import run_log_messages, runs_exit_code
from minimize.runs.inputs import find_input_files, path_mask
from minimize.runs.overrides import require_override
from minimize.runs.receipt_builder import RunContext
from minimize.runs.resolve import PLAIN_REQUEST, RunRequest, resolve_run
from minimize.runs.runner import LOCAL_EXECUTION, Execution, attempt_run, check_engine, observe_refusal
from minimize.stores import Location, ObjectPath, PathText
from minimize.text import count_noun
from minimize.workspace import Workspace

LONGEST_SPAN_DAYS: Final = 20_000
"""Maximum number of days of a span. A longer one is a typing error."""


class DateSpan(Form):
    """Consecutive days."""

    noun = "a span of days"

    first: Day = Field(validation_alias="from", description="The first day.")
    last: Day = Field(validation_alias="to", description="The last day.")

    @property
    def days(self) -> Sequence[date]:
        """Its days; none for an invalid span."""
        return [self.first + timedelta(day) for day in range(self._length)] if self._is_valid else []

    def check(self, reading: Reading) -> None:
        """It has at least one day, and is not too long."""
        if not self._is_valid:
            message = f"`to` is before `from`, or the span is longer than {LONGEST_SPAN_DAYS:,} days"
            reading.fault("P006", message)

    @property
    def _length(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def _is_valid(self) -> bool:
        return 1 <= self._length <= LONGEST_SPAN_DAYS


def _date_or_span(value: object) -> str:
    return "span" if isinstance(value, Mapping | DateSpan) else "day"


DateOrSpan = Annotated[
    Annotated[Day, Tag("day")] | Annotated[DateSpan, Tag("span")],
    Discriminator(_date_or_span),
]
Dates = Annotated[tuple[DateOrSpan, ...], NotEmpty(), OneOrMore()]


class Backfill(Form):
    """Dates of a pipeline that are run again."""

    noun = "a backfill"

    backfill: Name = Field(description="The backfill's name.")
    pipeline: str = Field(description="The path of the pipeline, relative to this file.")
    reason: Annotated[
        str, Field(pattern=r"\S"), Expected("must be a text", hint="Write `reason:` with one sentence.")
    ] = Field(description="Why the dates are run again.")
    dates: Dates = Field(description="Days, and spans of days.")
    except_: Dates = Field((), validation_alias="except", description="Days that are not run again.")
    policy: Literal["now", "then"] = Field(
        "now", description="`then` runs each date under the policy of its last receipt. Settings are always today's."
    )
    path: SkipJsonSchema[Path | None] = None
    content: SkipJsonSchema[bytes] = b""

    @property
    def ref(self) -> BackfillRef:
        """The reference in receipts: the backfill's name and the digest of the file's bytes."""
        return BackfillRef(self.backfill, sha256_text(self.content))

    @property
    def run_dates(self) -> tuple[date, ...]:
        """The dates to run."""
        return tuple(sorted(_days(self.dates) - _days(self.except_)))

    def check(self, reading: Reading) -> None:
        """At least one date is run."""
        if not self.run_dates and not reading.faults.found:
            hint = "Remove at least one date from `except`."
            reading.fault("P006", "`except` excludes every date", "dates", hint=hint)

    @property
    def pipeline_path(self) -> Path:
        """The path of the pipeline."""
        return (Path() if self.path is None else self.path.parent) / self.pipeline


def _days(items: Iterable[date | DateSpan]) -> set[date]:
    return {day for item in items for day in (item.days if isinstance(item, DateSpan) else (item,))}


def load_backfill(path: str | Path) -> Backfill:
    """Loads a backfill from a file. Raises PolicyError with every fault as a finding."""
    return require_sound(*examine_file(Backfill, Path(path)), "backfill")


BackfillState = Literal["done", "due", "no input"]


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """Result of a backfill, or of its plan: the former state of each date, the receipts, and the dates that failed."""

    backfill: Backfill
    pipeline: Pipeline
    dates: Mapping[date, BackfillState]
    receipts: Sequence[Receipt] = ()
    failures: Sequence[SkippedDate] = ()
    dry_run: bool = False

    @property
    def _runs(self) -> list[tuple[Receipt, Pipeline]]:
        return [(receipt, self.pipeline) for receipt in self.receipts]

    @property
    def exit_code(self) -> int:
        """The exit code of `minimize backfill`."""
        return runs_exit_code(self._runs, self.failures)

    @property
    def log_messages(self) -> list[LogMessage]:
        """Errors about the runs, the dates that failed, and the dates without files."""
        without = [
            f"{day}: the source has no file of this date" for day, state in self.dates.items() if state == "no input"
        ]
        return [*run_log_messages(self._runs, self.failures), *(LogMessage("W043", text) for text in without)]

    def lines(self) -> Iterator[str]:
        """Counts of dates by state, and each date of a plan or each run."""
        counts = Counter(self.dates.values())
        ahead = f"{counts['due']} due" if self.dry_run else f"{len(self.receipts)} run now"
        yield (
            f"backfill {self.backfill.backfill} of {self.pipeline.pipeline}: "
            f"{ahead}, {counts['done']} already done, {counts['no input']} without input"
        )
        if self.dry_run:
            yield from (f"  {day}  {state}" for day, state in self.dates.items())
            return
        if self.failures:
            yield f"{count_noun(len(self.failures), 'date')} skipped"
        elif not self.receipts:
            yield "nothing to do"
        for receipt in self.receipts:
            read = rows_text(receipt.rows.read, sealed=receipt.rows.is_sealed)
            yield f"  {receipt.dates[0]}  {read} read, {receipt.published_rows:,} written  ({receipt.run_id})"

    def to_json(self) -> dict[str, Any]:
        """The name, the state of each date, and the receipts."""
        body = {"backfill": self.backfill.backfill, "policy": self.backfill.policy, "dates": self.dates}
        failures = {"failures": self.failures} if self.failures else {}
        return json_object({**body, "receipts": self.receipts, **failures})


def run_backfill(
    workspace: Workspace,
    plan: Backfill,
    request: RunRequest = PLAIN_REQUEST,
    execution: Execution = LOCAL_EXECUTION,
    *,
    dry_run: bool = False,
) -> BackfillResult:
    """Runs the dates of a backfill that are not done yet, one by one. The result lists the dates that failed.

    Takes a workspace with the pipeline of the backfill. The dates of the request do not count. With `dry_run`, no date is run.
    Raises the errors of `run` that concern more than one date. In that case the earlier dates remain published, and the others
    are still due.
    """
    require_override(workspace, request)
    allowed, _ = check_allowed_codes(execution.allow), check_engine(execution.engine)
    job, target = workspace.job, workspace.target
    workspace.check_target()
    check_erasures_known(workspace)
    chain = workspace.load_receipts() if (target / RUNS).is_dir() else ()
    if plan.policy == "then" and workspace.keyring_or_none is not None:
        check_earlier_receipts(workspace.keyring_or_none, chain)
    policies = dict(_former_policies(plan, job, chain, target))
    states = _date_states(plan, workspace, chain, request.input)
    if dry_run:
        return BackfillResult(plan, job, states, dry_run=True)
    due = [day for day, state in states.items() if state == "due"]
    codes: dict[str, tuple[str, ...]] = {}
    for due_job in {due_job.policy.digest: due_job for due_job in (policies.get(day, job) for day in due)}.values():
        check_approval(due_job)
        codes[due_job.policy.digest] = check_lint_errors(due_job, allowed)
    receipts: list[Receipt] = []
    failures: list[SkippedDate] = []
    for day in due:
        of_day = workspace.with_pipeline(policies.get(day, job))
        context = execution.context(of_day, "run", backfill=plan, allowed=codes[of_day.job.policy.digest])
        receipt, failed = _run_date(of_day, replace(request, selection=DateSelection(day)), context)
        receipts += [] if receipt is None else [receipt]
        failures += failed
    return BackfillResult(plan, job, states, receipts, failures)


def _run_date(
    workspace: Workspace, request: RunRequest, context: RunContext
) -> tuple[Receipt | None, Sequence[SkippedDate]]:
    """The receipt of a date, or the reason why the date was skipped."""
    try:
        with observe_refusal(workspace, context):
            resolved = resolve_run(workspace, request)
    except SourceError as error:
        assert request.selection.only is not None
        return None, [SkippedDate.unreadable(request.selection.only, error)]
    result, skipped = attempt_run(resolved, context)
    return None if result is None else result.receipt, skipped


def _date_states(
    plan: Backfill, workspace: Workspace, chain: Sequence[Receipt], input: PathText | None
) -> dict[date, BackfillState]:
    """The state of each date: done, due or without input."""
    job = workspace.job
    source_files = find_input_files(job, input, None)
    if not source_files.has_dates:
        raise ConfigurationError(
            "the backfill lists dates, but the source's path has no {date}", hint="Use `minimize run` instead."
        )
    files_by_date: dict[BatchDate, Sequence[Location]] = {
        when: files for when, files in source_files.files.items() if when in plan.run_dates
    }
    shown = path_mask(job, workspace.keyring_or_none)
    arrived = arrivals(replace(source_files, files=files_by_date), chain, shown)
    last = _last_receipts(chain)
    states: dict[date, BackfillState] = {}
    for day in plan.run_dates:
        ran = day in last and last[day].backfill is not None and last[day].backfill == plan.ref
        same = day in arrived and arrived[day].state == "same"
        states[day] = "no input" if not files_by_date.get(day) else "done" if ran and same else "due"
    return states


def _former_policies(
    plan: Backfill, job: Pipeline, chain: Sequence[Receipt], target: Location
) -> Iterator[tuple[date, Pipeline]]:
    """For each date the pipeline with the policy of the date's last receipt. Empty unless the backfill asks for `then`."""
    if plan.policy == "now":
        return
    purposes, last = configured_purposes(job.config, FaultList()), _last_receipts(chain, plan)
    missing = [day for day in plan.run_dates if day not in last]
    if missing:
        hint = "Remove these dates, or write `policy: now`."
        findings = [
            Finding("P019", f"{day} was never run, so no earlier policy is stored", hint=hint) for day in missing
        ]
        raise PolicyError("some dates have no earlier policy", findings=findings)
    for day in plan.run_dates:
        yield day, job.model_copy(update={"policy": _stored_policy(last[day], target, purposes)})


def _stored_policy(receipt: Receipt, target: Location, purposes: Sequence[str]) -> Any:
    path = target / RUNS / receipt.run_id / POLICY_FILE
    if isinstance(path, ObjectPath):
        hint = "Write `policy: now`, or pass a copy on disk with --output DIR."
        raise ConfigurationError("earlier policies cannot be read from an object store", hint=hint)
    policy = load_policy(path, purposes)
    if policy.digest != receipt.policy.digest:
        hint = "Run `minimize verify` for details, or write `policy: now`."
        raise ConfigurationError(f"the policy stored with {receipt.run_id} does not match its receipt", hint=hint)
    return policy


def _last_receipts(chain: Sequence[Receipt], but: Backfill | None = None) -> dict[date, Receipt]:
    """The last receipt of each date that read the date's input, without the receipts of a given backfill."""
    own_ref = None if but is None else but.ref
    valid = (receipt for receipt in effective_receipts(chain) if receipt.kind in READING_KINDS)
    reading = [receipt for receipt in valid if own_ref is None or receipt.backfill != own_ref]
    return {date.fromisoformat(day): receipt for receipt in reading for day in receipt.dates}
