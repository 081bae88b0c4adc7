"""Replay: what is in quarantine is looked at again under today's policy; each date of which something passes is run anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from minimize.errors import Finding, RefusedError, quietly
from minimize.io.base import Source
from minimize.io.find import split
from minimize.io.positions import accepted
from minimize.io.published import receipts
from minimize.job.dates import Wanted
from minimize.job.given import Given, day_of, resolve
from minimize.job.job import attempted, engine_named, quiet
from minimize.job.ledgers import check_ledger_of
from minimize.job.origin import pipeline_behind, place_of, settings_of
from minimize.job.pending import Skipped, error_of
from minimize.job.quarantined import Group, Held, held
from minimize.job.told import How
from minimize.job.unchanged import differences
from minimize.job.watched import Progress
from minimize.keys import Keyring
from minimize.observability.places import places
from minimize.policy.pipeline import Pipeline
from minimize.policy.unapproved import check_approval
from minimize.receipt import Origin, Receipt
from minimize.stores import Anywhere, Place, output_at
from minimize.times import day as day_named

PathLike_ = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a replay was given in place of what the receipts say: pipeline, source, settings; and time, keyring and ledger."""

    pipeline: PathLike_ | None = None
    at: datetime | str | None = None
    input: PathLike_ | None = None
    settings: Any = None
    keys: Keyring | PathLike_ | None = None
    ledger: PathLike_ | None = None


@dataclass(frozen=True, slots=True)
class Rechecked:
    """One date's quarantine under today's policy: what would be run, and which records pass now, by file."""

    held: Held
    given: Given
    passing: Mapping[str, frozenset[int]]

    @property
    def rows(self) -> int:
        """How many records pass now."""
        return sum(map(len, self.passing.values()))

    def groups(self) -> list[Group]:
        """Code, field and file of each record that passes now."""
        return [(*self.held.places[name][place], name) for name, places in self.passing.items() for place in places]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: dates and counts of what was looked at, a receipt and today's pipeline for each date run anew, and the
    dates that could not be run."""

    looked_at: Sequence[Rechecked]
    receipts: Sequence[Receipt]
    pipelines: Sequence[Pipeline] = ()
    failures: Sequence[Skipped] = ()

    def as_json(self) -> dict[str, Any]:
        """Counts by date, and the receipts."""
        dates = [
            {"date": each.held.day, "quarantined": each.held.rows, "passing": each.rows} for each in self.looked_at
        ]
        failures = {"failures": [each.as_json() for each in self.failures]} if self.failures else {}
        return {"dates": dates, "receipts": [receipt.as_json() for receipt in self.receipts], **failures}


def replay(
    output: Anywhere,
    *,
    date: date | str | None = None,
    engine: str = "local",
    progress: Progress | None = None,
    lineage: PathLike_ | None = None,
    metrics: PathLike_ | None = None,
    allow_shrink: bool = False,
    **asked: Any,
) -> Replayed:
    """Looks at the quarantined records of an output again, and runs each date of which one passes now anew, whole.

    Takes the output folder; a batch date (all with a quarantine where none is given); what stands in for pipeline, source,
    settings and keyring (see `Asked`), which otherwise are those that the receipts name, as they are today; `allow_shrink` as
    `run` takes it. A date that cannot be published is among the failures if another one was run.
    Raises what `run` raises about more than a date, and RefusedError where an input of such a date changed or is gone:
    then nothing is run.
    """
    name = engine_named(engine)
    found = recheck(output, date=date, **asked)
    receipts: list[Receipt] = []
    pipelines: list[Pipeline] = []
    failures: list[Skipped] = []
    for job in {each.given.pipeline.digest: each.given.pipeline for each in found if each.rows}.values():
        check_approval(job.policy, job.folder)
    for each in found:
        if each.rows:
            job = each.given.pipeline
            where = places(job.folder, each.given.output, job.pipeline, lineage, metrics)
            ledger, started = asked.get("ledger"), datetime.now(UTC)
            how = How("replay", name, started, progress or quiet, where, None, ledger, allow_shrink)
            done, skipped = attempted(each.given, how)
            failures += skipped
            if done is not None:
                receipts.append(done.receipt)
                pipelines.append(job)
    if failures and not receipts:
        raise error_of(failures)
    return Replayed(found, receipts, tuple(pipelines), tuple(failures))


def recheck(output: Anywhere, *, date: date | str | None = None, **asked: Any) -> list[Rechecked]:
    """The quarantined records of an output under today's policy, read by position from the source and nothing else of it.

    Takes and raises what `replay` does.
    """
    want, folder = Asked(**asked), output_at(output)
    chain = receipts(folder)
    if chain:
        check_ledger_of(folder, pipeline_behind(folder, chain[-1], want.pipeline).folder, want.ledger)
    standing = held(folder, None if date is None else day_named(date).isoformat())
    found = [(each, _given(folder, each, want)) for each in standing]
    refused = [finding for each, given in found for finding in differences(each, _source(each, given))]
    if refused:
        raise _changed(refused)
    bound = [(each, given) for each, given in found if given is not None]
    return [Rechecked(each, given, quietly(partial(_passing, each, given))) for each, given in bound]


def _given(output: Place, each: Held, want: Asked) -> Given | None:
    """What a run of the date would do; None where the place that its source was read from is gone."""
    origin = each.receipt.origin or Origin()
    source = want.input or place_of(output, origin.input)
    checked = isinstance(source, Path) or (isinstance(source, str) and not want.input)
    if checked and not split(str(source), Path())[0].exists():
        return None
    return resolve(
        pipeline_behind(output, each.receipt, want.pipeline),
        wanted=Wanted.of(each.day),
        at=want.at,
        input=source,
        settings=want.settings if want.settings is not None else settings_of(output, origin),
        output=output,
        keys=want.keys,
        ledger=want.ledger,
    )


def _source(each: Held, given: Given | None) -> Source | None:
    return None if given is None else given.sources.get(day_of(each.day))


def _passing(each: Held, given: Given) -> dict[str, frozenset[int]]:
    source = _source(each, given)
    parts = {part.name: part for part in (() if source is None else source.parts)}
    return {name: accepted(parts[name], places) for name, places in each.places.items()}


def _changed(findings: Sequence[Finding]) -> RefusedError:
    hint = "`minimize run` reads what is there now; --date D replays another date"
    message = (
        f"the source is not what it was when its records were quarantined (files: {len(findings)}); nothing was run"
    )
    return RefusedError(message, findings=findings, hint=hint)
