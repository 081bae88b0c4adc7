"""The receipt of a run, put together from what was given, what was staged and what the engine counted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import PathLike
from typing import TYPE_CHECKING, Final

from minimize.engines.base import Outcome
from minimize.io.base import Written
from minimize.io.publish import Staging
from minimize.job import account
from minimize.job.dates import Day
from minimize.job.given import Given, text_of
from minimize.job.late import Late
from minimize.job.pending import last_inputs
from minimize.job.watched import Progress
from minimize.observability.places import Places
from minimize.policy.approval import reference
from minimize.receipt import Digest, FileRef, Input, Kind, Receipt, Received, new_run_id, sha256_text

if TYPE_CHECKING:
    from minimize.policy.backfill import Backfill

log = logging.getLogger("minimize")
NOTHING: Final = 0
"""The sequence of a receipt that was not published, because there was nothing to do."""


@dataclass(frozen=True, slots=True)
class How:
    """How a run was made: its kind, by which engine, since when, who watches, where lineage and metrics go, its backfill, the
    ledger that was given, and whether the shrink guard is off."""

    kind: Kind
    engine: str
    started: datetime
    progress: Progress
    places: Places
    backfill: Backfill | None = None
    ledger: str | PathLike[str] | None = None
    allow_shrink: bool = False


def receipt_of(
    given: Given,
    staging: Staging,
    outcomes: Mapping[Day, Outcome],
    late: Late,
    files: Mapping[str, Sequence[Written]],
    attachments: Mapping[str, bytes],
    how: How,
) -> Receipt:
    """The receipt of what is staged, not signed yet."""
    chain = staging.output.receipts()
    plan, found = given.plan, list(outcomes.values())
    counts = account.total(found)
    inputs = account.inputs(given, outcomes)
    _tell_losses(given, chain, inputs, outcomes)
    return replace(
        _head(given, how, staging.run_id, chain[-1].sequence + 1 if chain else 1),
        previous=chain[-1].digest if chain else None,
        dates=tuple(day.isoformat() for day in outcomes if day is not None),
        settings=None if given.settings is None else Digest(given.settings.digest),
        keys=account.key_ids(given, files),
        versions=account.versions(),
        inputs=inputs,
        rows=account.rows(plan, found, late),
        gated_by=account.gated_by(counts),
        fields=account.fields(plan, counts),
        undeclared=account.undeclared(plan, found),
        outputs=late.account(account.outputs(plan, found, files)),
        replaces=_replaced(chain, staging),
        kept_sketches=tuple(staging.kept_sketches) or None,
        quarantine=account.quarantine(found, files.get("quarantine", ())),
        stays=_stays(outcomes),
        backfill=None if how.backfill is None else how.backfill.ref,
        origin=given.origin,
        received=_received(given),
        files={name: sha256_text(content) for name, content in attachments.items()},
    )


def _received(given: Given) -> Received | None:
    periods = given.consents(given.at)
    return None if given.sender is None or periods is None else given.sender.received(periods)


def nothing_done(given: Given, how: How) -> Receipt:
    """The receipt of a run that had nothing to do; it is not published."""
    if not given.skipped:
        log.warning("%s", given.looked_at, extra={"code": "I002"})
    return _head(given, how, new_run_id(how.started), NOTHING)


def _head(given: Given, how: How, run_id: str, sequence: int) -> Receipt:
    """What is known of a run before anything is read."""
    policy = given.plan.policy
    return Receipt(
        kind=how.kind,
        run_id=run_id,
        sequence=sequence,
        pipeline=given.pipeline.pipeline,
        purpose=given.pipeline.purpose,
        engine=how.engine,
        at=given.at,
        at_given=given.at_given,
        started=how.started,
        finished=max(how.started, datetime.now(UTC)),  # a clock may go back
        policy=reference(policy),
        plan=Digest(given.plan.digest),
        skipped=_skipped(given),
        from_="source" if how.kind == "retract" else None,
    )


def _skipped(given: Given) -> dict[str, str] | None:
    """The dates that are left alone, by reason; the log says why."""
    for each in given.skipped:
        log.warning("%s", each.left_alone, extra={"code": each.log_code, "data": each.as_json()})
    return {each.date: each.reason for each in given.skipped} or None


def _tell_losses(
    given: Given, chain: Sequence[Receipt], inputs: Sequence[Input], outcomes: Mapping[Day, Outcome]
) -> None:
    """Says which of these dates were read from files before that are gone."""
    before, read = last_inputs(chain, given.shown), {each.path for each in inputs}
    for when in outcomes:
        lost = len(before.get(when, {}).keys() - read)
        if lost:
            message = "%s: %d of the files that it was made from before are gone"
            log.warning(message, text_of(when) or "the batch", lost, extra={"code": "W013"})


def _stays(outcomes: Mapping[Day, Outcome]) -> dict[str, tuple[str, ...]] | None:
    """By aggregate the dates whose table in force stays as it is."""
    names = sorted({name for each in outcomes.values() for name in each.stays})
    dates = {name: [str(text_of(day)) for day, each in outcomes.items() if name in each.stays] for name in names}
    return {name: tuple(sorted(found)) for name, found in dates.items()} or None


def _replaced(chain: Sequence[Receipt], staging: Staging) -> tuple[FileRef, ...]:
    """The files that stand in the partitions of this run, with the digests that their receipts gave them."""
    known = {path: digest for receipt in chain for path, digest in _files_of(receipt)}
    return tuple(FileRef(path, known[path]) for path in staging.standing())


def _files_of(receipt: Receipt) -> Iterator[tuple[str, str]]:
    for output in receipt.outputs.values():
        yield from ((file.path, file.digest) for file in output.files)
    yield from ((file.path, file.digest) for file in receipt.quarantine.files)
    yield from ((each.path, each.digest) for each in receipt.kept_sketches or ())
