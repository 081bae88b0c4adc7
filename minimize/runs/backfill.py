"""Backfill: runs the dates listed in a file again, one by one, each with its own receipt.

The file lists the dates and states the reason and the policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from minimize.errors import ConfigurationError, Finding, PolicyError, SourceError
from minimize.json_form import json_object
from minimize.keys import find_keyring
from minimize.observability.destinations import find_destinations
from minimize.output.folder import POLICY_FILE, RUNS
from minimize.output.reader import load_receipts
from minimize.policy.approval import check_approval
from minimize.policy.faults import FaultList, require_sound
from minimize.policy.load import load_policy
from minimize.policy.mapping_reader import DeclaredNames, MappingShape, read_mapping
from minimize.policy.model import FrozenModel, Pipeline
from minimize.policy.policy_reader import read_name
from minimize.policy.purposes import configured_purposes
from minimize.policy.yaml_nodes import YamlNode, parse_yaml, read_utf8
from minimize.receipts import BackfillRef, Receipt, sha256_text
from minimize.receipts.chain import effective_receipts
from minimize.results import LogMessage
from minimize.runs.batch_dates import READING_KINDS, BatchDate, DateSelection, SkippedDate, arrivals, error_for
from minimize.runs.execution import ProgressCallback
from minimize.runs.guards import check_output_ledger, run_log_messages, runs_exit_code
from minimize.runs.inputs import find_input_files, path_mask, pipeline_from
from minimize.runs.receipt_builder import RunContext
from minimize.runs.runner import RunOverrides, attempt_run, check_engine, no_progress, observe_refusal
from minimize.stores import Location, ObjectPath, PathText
from minimize.text import count_noun
from minimize.times import parse_iso_date

LONGEST_SPAN_DAYS: Final = 20_000
"""Maximum number of days of a span. A longer one is a typing error."""


class Backfill(FrozenModel):
    """Dates of a pipeline that are run again.

    pipeline  the path as written, relative to the file's folder
    dates     every listed date, ascending; also those in `except`
    policy    `now`, or `then`: for each date the policy of its last receipt. Settings are always today's
    """

    backfill: str
    pipeline: str
    reason: str
    dates: tuple[date, ...]
    except_: tuple[date, ...] = ()
    policy: Literal["now", "then"] = "now"
    path: Path | None = None
    content: bytes = b""

    @property
    def ref(self) -> BackfillRef:
        """The reference in receipts: the backfill's name and the digest of the file's bytes."""
        return BackfillRef(self.backfill, sha256_text(self.content))

    @property
    def run_dates(self) -> tuple[date, ...]:
        """The dates to run."""
        return tuple(day for day in self.dates if day not in self.except_)

    @property
    def pipeline_path(self) -> Path:
        """The path of the pipeline."""
        return (Path() if self.path is None else self.path.parent) / self.pipeline


def load_backfill(path: str | Path) -> Backfill:
    """Loads a backfill from a file. Raises PolicyError with every fault as a finding."""
    file, faults = Path(path), FaultList(str(path))
    content = read_utf8(file, faults)
    root = None if content is None else parse_yaml(content.decode("utf-8-sig"), faults)
    found = None if root is None or content is None else _read_backfill(root, file, content, faults)
    return require_sound(found, faults.found, "backfill")


def _read_backfill(root: YamlNode, file: Path, content: bytes, faults: FaultList) -> Backfill | None:
    readers = {
        "backfill": lambda node: read_name(node, "backfill", DeclaredNames(faults, file.parent, None, {})),
        "dates": lambda node: _read_dates(node, "dates", faults),
        "except": lambda node: _read_dates(node, "except", faults),
    }
    shape = MappingShape(
        "a backfill",
        readers,
        {"path": file, "content": content},
        aliases={"except": "except_"},
        hidden=frozenset({"path", "content"}),
    )
    found = read_mapping(Backfill, root, faults, shape)
    if found is not None and not found.reason.strip():
        faults.add(
            "P006",
            "the reason of the backfill is empty",
            line=root.descend(["reason"]).line,
            hint="Write `reason:` with one sentence.",
        )
    if found is not None and not found.run_dates and not faults.found:
        faults.add(
            "P006",
            "`except` excludes every date",
            line=root.descend(["dates"]).line,
            hint="Remove at least one date from `except`.",
        )
    return found


def _read_dates(node: YamlNode, word: str, faults: FaultList) -> tuple[date, ...]:
    """The days in a list of dates and spans, or in one span or date; ascending, without duplicates."""
    items = node.items if node.is_list else (node,)
    return tuple(sorted({day for item in items for day in _dates_of_item(item, word, faults)}))


def _dates_of_item(node: YamlNode, word: str, faults: FaultList) -> Iterator[date]:
    if not node.is_mapping:
        found = _read_date(node, word, faults)
        yield from () if found is None else (found,)
        return
    if set(node.entries) != {"from", "to"}:
        faults.add(
            "P006",
            f"a span in `{word}` needs `from` and `to`, and no other key",
            line=node.line,
            hint="Write {from: YYYY-MM-DD, to: YYYY-MM-DD}.",
        )
        return
    first, last = (_read_date(node.entries[end], word, faults) for end in ("from", "to"))
    if first is not None and last is not None:
        yield from _dates_of_span(first, last, node, faults)


def _dates_of_span(first: date, last: date, node: YamlNode, faults: FaultList) -> Iterator[date]:
    length = (last - first).days
    if not 0 <= length < LONGEST_SPAN_DAYS:
        faults.add(
            "P006", f"`to` is before `from`, or the span is longer than {LONGEST_SPAN_DAYS:,} days", line=node.line
        )
        return
    yield from (first + timedelta(day) for day in range(length + 1))


def _read_date(node: YamlNode, word: str, faults: FaultList) -> date | None:
    found = parse_iso_date(node.value) if isinstance(node.value, str) else None
    if found is None:
        faults.add(
            "P006", f"`{word}` contains something other than dates", line=node.line, hint="Write dates as YYYY-MM-DD."
        )
    return found


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
        """Errors about the runs, and the dates that failed."""
        return run_log_messages(self._runs, self.failures)

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
        for each in self.receipts:
            yield f"  {each.dates[0]}  {each.rows.read:,} read, {each.rows.written:,} written  ({each.run_id})"

    def to_json(self) -> dict[str, Any]:
        """The name, the state of each date, and the receipts."""
        body = {"backfill": self.backfill.backfill, "policy": self.backfill.policy, "dates": self.dates}
        failures = {"failures": self.failures} if self.failures else {}
        return json_object({**body, "receipts": self.receipts, **failures})


def backfill(file: PathText, **options: Any) -> BackfillResult:
    """Runs the dates of a backfill file that are not done yet. Takes the arguments of `run_backfill` and raises its errors.

    If a date fails, its error is raised after the other dates have been run.
    """
    done = run_backfill(file, **options)
    if done.failures:
        raise error_for(done.failures, "the backfill is not complete")
    return done


def run_backfill(
    file: PathText,
    *,
    engine: str = "local",
    dry_run: bool = False,
    progress: ProgressCallback | None = None,
    allow_shrink: bool = False,
    **options: Any,
) -> BackfillResult:
    """Runs the dates of a backfill file that are not done yet, one by one. The result lists the dates that failed.

    Takes the file and overrides of the pipeline's paths (`RunOverrides`). With `dry_run`, no date is run. `allow_shrink` has
    the same meaning as for `run`. Raises PolicyError for faults of the file, and the errors of `run` that concern more than one
    date. In that case the earlier dates remain published, and the others are still due.
    """
    name, plan, overrides = check_engine(engine), load_backfill(Path(file)), RunOverrides(**options)
    job = pipeline_from(plan.pipeline_path)
    target = job.target(overrides.output)
    check_output_ledger(target, job.folder, overrides.ledger)
    chain = load_receipts(target) if (target / RUNS).is_dir() else ()
    policies = dict(_former_policies(plan, job, chain, target))
    states = _date_states(plan, job, chain, overrides)
    if dry_run:
        return BackfillResult(plan, job, states, dry_run=True)
    due = [day for day, state in states.items() if state == "due"]
    for each in {each.digest: each for each in (policies.get(day, job).policy for day in due)}.values():
        check_approval(each, job.folder)
    made: list[Receipt] = []
    failures: list[SkippedDate] = []
    for day in due:
        receipt, failed = _run_date(
            plan, policies.get(day, job), day, overrides, name, progress or no_progress, allow_shrink
        )
        made += [] if receipt is None else [receipt]
        failures += failed
    return BackfillResult(plan, job, states, made, failures)


def _run_date(
    plan: Backfill,
    job: Pipeline,
    day: date,
    overrides: RunOverrides,
    engine: str,
    progress: ProgressCallback,
    allow_shrink: bool,
) -> tuple[Receipt | None, Sequence[SkippedDate]]:
    """The receipt of a date, or the reason why the date was skipped."""
    target = job.target(overrides.output)
    where = find_destinations(job.folder, target, job.pipeline, overrides.lineage, overrides.metrics)
    context = RunContext("run", engine, datetime.now(UTC), progress, where, plan, overrides.ledger, allow_shrink)
    try:
        with observe_refusal(job, target, context):
            resolved = overrides.resolve(job, DateSelection(day))
    except SourceError as error:
        return None, [SkippedDate.unreadable(day, error)]
    done, skipped = attempt_run(resolved, context)
    return None if done is None else done.receipt, skipped


def _date_states(
    plan: Backfill, job: Pipeline, chain: Sequence[Receipt], overrides: RunOverrides
) -> dict[date, BackfillState]:
    """The state of each date: done, due or without input."""
    found = find_input_files(job, overrides.input, None)
    if not found.has_dates:
        raise ConfigurationError(
            "the backfill lists dates, but the source's path has no {date}", hint="Use `minimize run` instead."
        )
    wanted: dict[BatchDate, Sequence[Location]] = {
        when: files for when, files in found.files.items() if when in plan.run_dates
    }
    shown = path_mask(job, find_keyring(overrides.keys, job.folder))
    arrived = arrivals(replace(found, files=wanted), chain, shown)
    last = _last_receipts(chain)
    states: dict[date, BackfillState] = {}
    for day in plan.run_dates:
        ran = day in last and last[day].backfill is not None and last[day].backfill == plan.ref
        same = day in arrived and arrived[day].state == "same"
        states[day] = "no input" if not wanted.get(day) else "done" if ran and same else "due"
    return states


def _former_policies(
    plan: Backfill, job: Pipeline, chain: Sequence[Receipt], target: Location
) -> Iterator[tuple[date, Pipeline]]:
    """For each date the pipeline with the policy of the date's last receipt. Empty unless the backfill asks for `then`."""
    if plan.policy == "now":
        return
    purposes, last = configured_purposes(job.folder, FaultList()), _last_receipts(chain, plan)
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
    own = None if but is None else but.ref
    valid = (receipt for receipt in effective_receipts(chain) if receipt.kind in READING_KINDS)
    reading = [receipt for receipt in valid if own is None or receipt.backfill != own]
    return {date.fromisoformat(day): receipt for receipt in reading for day in receipt.dates}
