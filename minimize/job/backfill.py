"""Backfill: the dates that a file names are run anew, one by one, each with a receipt that names the backfill.

Stopped anywhere, the same command goes on where it stopped: a date that this backfill ran, from the inputs that are there, is
done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from minimize.errors import ConfigurationError, Finding, PolicyError, SourceError
from minimize.io.history import RUNS
from minimize.io.published import receipts
from minimize.job.dates import Day, Wanted
from minimize.job.given import as_pipeline, found_files, veil
from minimize.job.job import Instead, attempted, engine_named, quiet
from minimize.job.ledgers import check_ledger_of
from minimize.job.observers import told_if_refused
from minimize.job.pending import READING, Skipped, arrivals, error_of
from minimize.job.told import How
from minimize.job.watched import Progress
from minimize.keys import find_keyring
from minimize.observability.places import places
from minimize.policy.backfill import Backfill, load_backfill
from minimize.policy.faults import Faults
from minimize.policy.load import load_policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.purposes import house_purposes
from minimize.policy.unapproved import check_approval
from minimize.receipt import Receipt
from minimize.receipt.void import counting
from minimize.stores import Place, Remote

State = Literal["done", "due", "no input"]


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What a backfill did, or would do: the state of each date before it, a receipt for each that it ran, and the others."""

    backfill: Backfill
    pipeline: Pipeline
    dates: Mapping[date, State]
    receipts: Sequence[Receipt] = ()
    failures: Sequence[Skipped] = ()

    def as_json(self) -> dict[str, Any]:
        """The name, the state of each date, and the receipts."""
        return {
            "backfill": self.backfill.backfill,
            "policy": self.backfill.policy,
            "dates": {day.isoformat(): state for day, state in self.dates.items()},
            "receipts": [receipt.as_json() for receipt in self.receipts],
            **({"failures": [each.as_json() for each in self.failures]} if self.failures else {}),
        }


def backfill(file: str | PathLike[str], **options: Any) -> Backfilled:
    """Runs the dates of a backfill file that are not done yet. Takes and raises what `run_backfill` does.

    If a date could not be run, raises its error once the other dates are run.
    """
    done = run_backfill(file, **options)
    if done.failures:
        raise error_of(done.failures)
    return done


def run_backfill(
    file: str | PathLike[str],
    *,
    engine: str = "local",
    only_look: bool = False,
    progress: Progress | None = None,
    allow_shrink: bool = False,
    **instead: Any,
) -> Backfilled:
    """Runs the dates of a backfill file that are not done yet, one by one; says which of them could not be run.

    Takes the file; what stands in for the pipeline's places (see `Instead`); `only_look` runs nothing; `allow_shrink` as `run`
    takes it.
    Raises PolicyError for faults of the file, and what `run` raises about more than a date: then the dates before stand, and the
    rest is due.
    """
    name, asked, given = engine_named(engine), load_backfill(Path(file)), Instead(**instead)
    job = as_pipeline(asked.pipeline_path)
    target = job.target(given.output)
    check_ledger_of(target, job.folder, given.ledger)
    chain = receipts(target) if (target / RUNS).is_dir() else ()
    policies = dict(_policies(asked, job, chain, target))
    states = _states(asked, job, chain, given)
    found = Backfilled(asked, job, states)
    if only_look:
        return found
    due = [day for day, state in states.items() if state == "due"]
    for each in {each.digest: each for each in (policies.get(day, job).policy for day in due)}.values():
        check_approval(each, job.folder)
    made: list[Receipt] = []
    failures: list[Skipped] = []
    for day in due:
        receipt, failed = _one(asked, policies.get(day, job), day, given, name, progress or quiet, allow_shrink)
        made += [] if receipt is None else [receipt]
        failures += failed
    return Backfilled(asked, job, states, made, failures)


def _one(
    asked: Backfill, job: Pipeline, day: date, instead: Instead, engine: str, progress: Progress, allow_shrink: bool
) -> tuple[Receipt | None, Sequence[Skipped]]:
    """The receipt of a date; else why it was left alone."""
    target = job.target(instead.output)
    where = places(job.folder, target, job.pipeline, instead.lineage, instead.metrics)
    how = How("run", engine, datetime.now(UTC), progress, where, asked, instead.ledger, allow_shrink)
    try:
        with told_if_refused(job, target, how):
            given = instead.resolved(job, Wanted(day))
    except SourceError as error:
        return None, [Skipped.unreadable(day, error)]
    done, skipped = attempted(given, how)
    return None if done is None else done.receipt, skipped


def _states(asked: Backfill, job: Pipeline, chain: Sequence[Receipt], instead: Instead) -> dict[date, State]:
    """What is left to do of each date."""
    found = found_files(job, instead.input, None)
    if not found.dated:
        raise ConfigurationError("a backfill names dates, and the source has no {date}", hint="run it whole")
    wanted: dict[Day, Sequence[Place]] = {when: files for when, files in found.files.items() if when in asked.wanted}
    shown = veil(job, find_keyring(instead.keys, job.folder))
    arrived = arrivals(replace(found, files=wanted), chain, shown)
    last = _last(chain)
    states: dict[date, State] = {}
    for day in asked.wanted:
        ran = day in last and last[day].backfill is not None and last[day].backfill == asked.ref
        same = day in arrived and arrived[day].state == "same"
        states[day] = "no input" if not wanted.get(day) else "done" if ran and same else "due"
    return states


def _policies(
    asked: Backfill, job: Pipeline, chain: Sequence[Receipt], target: Place
) -> Iterator[tuple[date, Pipeline]]:
    """For each date the pipeline with the policy of that date's last receipt, where that is asked."""
    if asked.policy == "now":
        return
    purposes, last = house_purposes(job.folder, Faults()), _last(chain, asked)
    missing = [day for day in asked.wanted if day not in last]
    if missing:
        hint = "take these dates out, or say `policy: now`"
        findings = [Finding("P019", f"{day} never ran: it has no policy of then", hint=hint) for day in missing]
        raise PolicyError("some dates have no policy of then", findings=findings)
    for day in asked.wanted:
        yield day, job.model_copy(update={"policy": _policy_of(last[day], target, purposes)})


def _policy_of(receipt: Receipt, target: Place, purposes: Sequence[str]) -> Any:
    path = target / RUNS / receipt.run_id / "policy.yaml"
    if isinstance(path, Remote):
        hint = "say `policy: now`, or --output a copy of it on disk"
        raise ConfigurationError("policies of then are not read from an object store", hint=hint)
    policy = load_policy(path, purposes)
    if policy.digest != receipt.policy.digest:
        hint = "`minimize verify` says more; say `policy: now` to do without"
        raise ConfigurationError(f"the policy beside {receipt.run_id} is not the one of its receipt", hint=hint)
    return policy


def _last(chain: Sequence[Receipt], but: Backfill | None = None) -> dict[date, Receipt]:
    """The last receipt of each date that read it, other than of a backfill."""
    own = None if but is None else but.ref
    valid = (receipt for receipt in counting(chain) if receipt.kind in READING)
    reading = [receipt for receipt in valid if own is None or receipt.backfill != own]
    return {date.fromisoformat(day): receipt for receipt in reading for day in receipt.dates}
