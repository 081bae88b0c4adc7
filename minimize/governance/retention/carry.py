"""A plan carried out: files rewritten or removed in one publication for each policy that they were written under."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import PathLike
from typing import Final

from minimize.errors import OutputError, RefusedError
from minimize.governance.retention.anew import Anew
from minimize.governance.retention.due import Due
from minimize.governance.retention.ordered import Asked
from minimize.governance.retention.plan import Plan
from minimize.governance.retention.recompute import Recomputed
from minimize.governance.retention.remains import Remains
from minimize.governance.retention.told import Telling, retention_files
from minimize.io.publish import Output, Staging, open_output
from minimize.io.rewrite import EachFile, Rewritten, rewrite
from minimize.job.booking import booked, catch_up, told
from minimize.job.erasure_list import stored_digest
from minimize.job.job import quiet
from minimize.job.leaving import Leaving
from minimize.job.shrinking import check_expiry, clock_beside
from minimize.job.told import How
from minimize.keys import Keyring
from minimize.observability.places import Places
from minimize.policy.pipeline import Pipeline
from minimize.receipt import FileRef, Kind, OutputFile, Receipt, in_force
from minimize.receipt.void import counting
from minimize.stores import Place

log = logging.getLogger("minimize")
NOWHERE: Final = Places(None, None)
"""Lineage and metrics are about runs."""


@dataclass(frozen=True, slots=True)
class Carrying:
    """An expiry that is carried out."""

    asked: Asked
    pipeline: Pipeline
    at_given: bool
    ledger: str | PathLike[str] | None = None
    fence: Place | None = None
    kind: Kind = "expire"
    allow_shrink: bool = True
    """Whether a time that is implausible is believed."""

    @property
    def output(self) -> Place:
        """The output folder."""
        return self.asked.output

    @property
    def keys(self) -> Keyring:
        """The keyring."""
        return self.asked.keys

    def out(self, plan: Plan) -> tuple[Receipt, ...]:
        """The receipts, one for each policy and pipeline that files were written under."""
        groups: dict[tuple[object, ...], list[Due]] = {}
        for each in plan.due:
            groups.setdefault(each.written.same, []).append(each)
        return tuple(self._group(plan, group) for group in groups.values())

    def _anew(self, chain: Sequence[Receipt], plan: Plan, group: Sequence[Due]) -> Iterator[Recomputed]:
        reading = group[0].written.reading
        return Anew(self.asked, self.pipeline, chain, plan, reading, self.ledger).made(group)

    def _group(self, plan: Plan, group: Sequence[Due]) -> Receipt:
        how = How(self.kind, "local", datetime.now(UTC), quiet, NOWHERE, ledger=self.ledger)
        with (
            booked(self, how) as booking,
            open_output(self.output, create=False, lease=booking.head) as folder,
        ):
            catch_up(booking, folder.receipts())
            if not self.allow_shrink:
                check_expiry(self.asked.at, folder.receipts(), clock_beside(booking.ledger, self.output, how.started))
            _check_at(self.asked.at, folder, {each.date for each in group})
            attachments = {**group[0].written.attachments, **retention_files(self.pipeline, group[0].written)}
            going = Leaving.of(self.output, folder.receipts(), [each.file.path for each in group], self.keys)
            made = tuple(self._anew(folder.receipts(), plan, group)) if self.kind in ("expire", "delete") else ()
            telling = Telling(
                folder.receipts(),
                booking.run_id,
                tuple(group),
                plan,
                self.pipeline.policy,
                self.at_given,
                how.started,
                self.kind,
                made,
            )

            def receipt(done: Rewritten) -> Receipt:
                attachments.update(going.attachments())
                made = telling.receipt(done, attachments)
                erasures = stored_digest(self.output)
                return replace(made, audit=booking.head(), erasures=erasures).signed(self.keys)

            signed = _rewritten(folder, booking.run_id, group, receipt, attachments, self.asked, made, going)
            told(booking, signed)
        _check_gone(self.output, signed)
        log.info("%d rows went", signed.rows.gated, extra={"code": "I003", "run_id": signed.run_id})
        return signed


def _rewritten(
    folder: Output,
    run_id: str,
    group: Sequence[Due],
    receipt: Callable[[Rewritten], Receipt],
    attachments: Mapping[str, bytes],
    asked: Asked,
    made: Sequence[Recomputed],
    going: Leaving,
) -> Receipt:
    orders = {each.file.path: each.orders for each in group}
    return rewrite(
        folder,
        run_id,
        [each.file.path for each in group if not each.whole],
        EachFile(lambda file: Remains(orders[file.path])),
        receipt,
        attachments,
        removes=[each.file.path for each in group if each.whole],
        keys=asked.keys,
        kms=asked.kms,
        also=lambda staging: _put(staging, made),
        shown=going,
    )


def _put(staging: Staging, made: Sequence[Recomputed]) -> Rewritten:
    """Aggregates that were made anew, in place of those that stand."""
    known = {path: file.digest for path, file in standing_files(staging.output.receipts()).items()}
    done = Rewritten()
    for each in made:
        gone, written = each.put(staging)
        done += Rewritten({each.name: tuple(written)}, tuple(FileRef(path, known[path]) for path in gone))
    return done


def standing_files(chain: Sequence[Receipt]) -> dict[str, OutputFile]:
    """The files in force, by path."""
    return {file.path: file for files in in_force(chain).values() for file in files}


def _check_at(at: datetime, folder: Output, dates: set[str | None]) -> None:
    """What was decided as of a later time is not decided again as of an earlier one."""
    for receipt in counting(folder.receipts()):
        if receipt.at > at and (not receipt.dates or None in dates or dates & set(receipt.dates)):
            message = f"a receipt of these dates is as of a later time ({receipt.run_id})"
            raise RefusedError(message, hint="give a later --at")


def _check_gone(output: Place, receipt: Receipt) -> None:
    """Raises OutputError where a file that was replaced or removed is still there."""
    left = [file.path for file in (*receipt.replaces, *receipt.removes) if (output / file.path).exists()]
    if left:
        raise OutputError(
            f"{len(left)} files are still there after they were removed", hint="`minimize verify` names them"
        )
