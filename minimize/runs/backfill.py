"""Backfill.

The file that names dates, a reason and a policy; and the dates run again, one by one, each with a receipt of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from minimize.errors import ConfigurationError, Finding, PolicyError, SourceError
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
from minimize.runs.batch_dates import READING_KINDS, BatchDate, DateSelection, SkippedDate, arrivals, error_for
from minimize.runs.execution import ProgressCallback
from minimize.runs.guards import check_output_ledger
from minimize.runs.inputs import find_input_files, path_mask, pipeline_from
from minimize.runs.receipt_builder import RunContext
from minimize.runs.runner import RunOverrides, attempt_run, check_engine, no_progress, observe_refusal
from minimize.stores import Location, ObjectPath, PathText
from minimize.times import parse_iso_date

LONGEST_SPAN_DAYS: Final = 20_000
"""Days that a span may have: more is a slip of the pen."""


class Backfill(FrozenModel):
    """Dates of a pipeline that are run anew.

    pipeline  the path as written, relative to the file's folder
    dates     every date that is named, ascending, without those of `except`
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
        """What receipts say of it: its name, and the digest of the file's bytes."""
        return BackfillRef(self.backfill, sha256_text(self.content))

    @property
    def run_dates(self) -> tuple[date, ...]:
        """The dates to be run."""
        return tuple(day for day in self.dates if day not in self.except_)

    @property
    def pipeline_path(self) -> Path:
        """Where the pipeline lies."""
        return (Path() if self.path is None else self.path.parent) / self.pipeline


def load_backfill(path: str | Path) -> Backfill:
    """The backfill in a file. Raises PolicyError with every fault as a finding."""
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
        faults.add("P006", "a backfill says why", line=root.descend(["reason"]).line, hint="reason: one sentence")
    if found is not None and not found.run_dates and not faults.found:
        faults.add("P006", "no date is left", line=root.descend(["dates"]).line, hint="`except` takes them all away")
    return found


def _read_dates(node: YamlNode, word: str, faults: FaultList) -> tuple[date, ...]:
    """The days of a list of dates and spans, of one span or of one date; ascending, each once."""
    items = node.items if node.is_list else (node,)
    return tuple(sorted({day for item in items for day in _dates_of_item(item, word, faults)}))


def _dates_of_item(node: YamlNode, word: str, faults: FaultList) -> Iterator[date]:
    if not node.is_mapping:
        found = _read_date(node, word, faults)
        yield from () if found is None else (found,)
        return
    if set(node.entries) != {"from", "to"}:
        faults.add("P006", f"a span of `{word}` has `from` and `to`", line=node.line, hint="{from: D, to: D}")
        return
    first, last = (_read_date(node.entries[end], word, faults) for end in ("from", "to"))
    if first is not None and last is not None:
        yield from _dates_of_span(first, last, node, faults)


def _dates_of_span(first: date, last: date, node: YamlNode, faults: FaultList) -> Iterator[date]:
    length = (last - first).days
    if not 0 <= length < LONGEST_SPAN_DAYS:
        faults.add("P006", "a span ends after it begins, and within a lifetime", line=node.line)
        return
    yield from (first + timedelta(day) for day in range(length + 1))


def _read_date(node: YamlNode, word: str, faults: FaultList) -> date | None:
    found = parse_iso_date(node.value) if isinstance(node.value, str) else None
    if found is None:
        faults.add("P006", f"`{word}` wants dates", line=node.line, hint="write YYYY-MM-DD")
    return found


BackfillState = Literal["done", "due", "no input"]


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """What a backfill did, or would do: the state of each date before it, a receipt for each that it ran, and the others."""

    backfill: Backfill
    pipeline: Pipeline
    dates: Mapping[date, BackfillState]
    receipts: Sequence[Receipt] = ()
    failures: Sequence[SkippedDate] = ()

    def as_json(self) -> dict[str, Any]:
        """The name, the state of each date, and the receipts."""
        return {
            "backfill": self.backfill.backfill,
            "policy": self.backfill.policy,
            "dates": {day.isoformat(): state for day, state in self.dates.items()},
            "receipts": [receipt.as_json() for receipt in self.receipts],
            **({"failures": [each.as_json() for each in self.failures]} if self.failures else {}),
        }


def backfill(file: PathText, **options: Any) -> BackfillResult:
    """Runs the dates of a backfill file that are not done yet. Takes and raises what `run_backfill` does.

    If a date could not be run, raises its error once the other dates are run.
    """
    done = run_backfill(file, **options)
    if done.failures:
        raise error_for(done.failures)
    return done


def run_backfill(
    file: PathText,
    *,
    engine: str = "local",
    only_look: bool = False,
    progress: ProgressCallback | None = None,
    allow_shrink: bool = False,
    **options: Any,
) -> BackfillResult:
    """Runs the dates of a backfill file that are not done yet, one by one; says which of them could not be run.

    Takes the file; what stands in for the pipeline's places (`RunOverrides`); `only_look` runs nothing; `allow_shrink` as `run`
    takes it.
    Raises PolicyError for faults of the file, and what `run` raises about more than a date: then the dates before stand, and the
    rest is due.
    """
    name, plan, overrides = check_engine(engine), load_backfill(Path(file)), RunOverrides(**options)
    job = pipeline_from(plan.pipeline_path)
    target = job.target(overrides.output)
    check_output_ledger(target, job.folder, overrides.ledger)
    chain = load_receipts(target) if (target / RUNS).is_dir() else ()
    policies = dict(_former_policies(plan, job, chain, target))
    states = _date_states(plan, job, chain, overrides)
    found = BackfillResult(plan, job, states)
    if only_look:
        return found
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
    """The receipt of a date; else why it was left alone."""
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
    """What is left to do of each date."""
    found = find_input_files(job, overrides.input, None)
    if not found.has_dates:
        raise ConfigurationError("a backfill names dates, and the source has no {date}", hint="run it whole")
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
    """For each date the pipeline with the policy of that date's last receipt, where that is asked."""
    if plan.policy == "now":
        return
    purposes, last = configured_purposes(job.folder, FaultList()), _last_receipts(chain, plan)
    missing = [day for day in plan.run_dates if day not in last]
    if missing:
        hint = "take these dates out, or say `policy: now`"
        findings = [Finding("P019", f"{day} never ran: it has no policy of then", hint=hint) for day in missing]
        raise PolicyError("some dates have no policy of then", findings=findings)
    for day in plan.run_dates:
        yield day, job.model_copy(update={"policy": _stored_policy(last[day], target, purposes)})


def _stored_policy(receipt: Receipt, target: Location, purposes: Sequence[str]) -> Any:
    path = target / RUNS / receipt.run_id / POLICY_FILE
    if isinstance(path, ObjectPath):
        hint = "say `policy: now`, or --output a copy of it on disk"
        raise ConfigurationError("policies of then are not read from an object store", hint=hint)
    policy = load_policy(path, purposes)
    if policy.digest != receipt.policy.digest:
        hint = "`minimize verify` says more; say `policy: now` to do without"
        raise ConfigurationError(f"the policy beside {receipt.run_id} is not the one of its receipt", hint=hint)
    return policy


def _last_receipts(chain: Sequence[Receipt], but: Backfill | None = None) -> dict[date, Receipt]:
    """The last receipt of each date that read it, other than of a backfill."""
    own = None if but is None else but.ref
    valid = (receipt for receipt in effective_receipts(chain) if receipt.kind in READING_KINDS)
    reading = [receipt for receipt in valid if own is None or receipt.backfill != own]
    return {date.fromisoformat(day): receipt for receipt in reading for day in receipt.dates}
