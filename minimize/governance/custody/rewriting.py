"""Files in force encrypted anew, under the newest versions of their master keys: the rows, the policies and the times stay."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from itertools import chain as chained
from os import PathLike
from typing import Final

from minimize.encryption import open_parquet
from minimize.errors import KeyringError
from minimize.governance.retention.written import Written, writers
from minimize.io.places import place_of
from minimize.io.publish import RECORDS, open_output
from minimize.io.published import receipts
from minimize.io.rewrite import Rewritten, rewrite
from minimize.io.stated import files_stated, indexes_stated, keys_stated, sketches_stated
from minimize.job import account
from minimize.job.booking import booked, catch_up, told
from minimize.job.job import quiet
from minimize.job.leaving import Leaving
from minimize.job.told import How
from minimize.keys import Keyring, Kms, Master, find_kms
from minimize.keys.keyring import DESTROYED
from minimize.keys.masters import is_master
from minimize.observability.places import Places
from minimize.policy.pipeline import Pipeline
from minimize.receipt import FieldReceipt, Output, OutputFile, Receipt, Rows, in_force, sha256_text
from minimize.stage import Batch
from minimize.stores import Place, local

log = logging.getLogger("minimize")
NOWHERE: Final = Places(None, None)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """An output whose files are encrypted anew. What each run wrote gets a receipt of its own, under its policy and time."""

    output: Place
    pipeline: Pipeline
    keys: Keyring = field(repr=False)
    now: datetime
    ledger: str | PathLike[str] | None = None
    fence: Place | None = None

    def out(self) -> tuple[Receipt, ...]:
        """The receipts. Raises KeyringError before anything is written where a key is not to be had."""
        kms = find_kms(self.keys, local(self.output))
        groups: dict[str, list[OutputFile]] = {}
        chain = receipts(self.output)
        by = writers(chain)
        for file in stale(self.output, chain, kms):
            groups.setdefault(by[file.path].run_id, []).append(file)
        return tuple(self._group(by[files[0].path], files, kms) for files in groups.values())

    def _group(self, wrote: Receipt, files: Sequence[OutputFile], kms: Kms) -> Receipt:
        how = How("rotate", "local", datetime.now(UTC), quiet, NOWHERE, ledger=self.ledger)
        everything = Written(self.output, wrote).everything
        with booked(self, how) as booking, open_output(self.output, create=False, lease=booking.head) as folder:
            catch_up(booking, folder.receipts())
            paths = [file.path for file in files]
            going = Leaving.of(self.output, folder.receipts(), paths, self.keys)

            def receipt(done: Rewritten) -> Receipt:
                everything.update(going.attachments())
                unsigned = _receipt(folder.receipts(), wrote, done, how, everything)
                return replace(unsigned, run_id=booking.run_id, audit=booking.head()).signed(self.keys)

            signed = rewrite(
                folder, booking.run_id, paths, _same, receipt, everything, keys=self.keys, kms=kms, shown=going
            )
            told(booking, signed)
        log.info("%d files encrypted anew", len(files), extra={"code": "I004", "run_id": signed.run_id})
        return signed


def stale(output: Place, chain: Sequence[Receipt], kms: Kms) -> Iterator[OutputFile]:
    """The files in force that are encrypted under another than the newest version of one of their master keys.

    Those whose keys were destroyed are not among them: nobody can read them any more. Raises KeyringError.
    """
    newest = cache(partial(_newest, kms))
    for file in chained.from_iterable(in_force(chain).values()):
        old = any(newest(Master.parse(key).name) != key for key in file.keys or ())
        if old and _is_readable(output, file, kms):
            yield file


def _newest(kms: Kms, name: str) -> str | None:
    """The id of the newest version; None where that was destroyed, so that nothing new can be written under it."""
    try:
        return kms.newest(name).id
    except KeyringError as error:
        if error.code == DESTROYED:
            return None
        raise


def _is_readable(output: Place, file: OutputFile, kms: Kms) -> bool:
    try:
        open_parquet(output / file.path, kms, name=file.path)
    except KeyringError as error:
        if error.code == DESTROYED:
            return False
        raise
    return True


def _same(batch: Batch) -> Batch:
    return batch


def _receipt(
    chain: Sequence[Receipt], wrote: Receipt, done: Rewritten, how: How, attachments: Mapping[str, bytes]
) -> Receipt:
    """What is told: as of the time of the run that wrote the rows, for nothing else was decided about them since."""
    written = [each for files in done.written.values() for each in files]
    outputs = {name: _output(wrote, name, done) for name in done.written}
    rows = outputs[RECORDS].rows if RECORDS in outputs else sum(each.rows for each in written)
    techniques = [key for key in wrote.keys if not is_master(key)]
    return Receipt(
        kind="rotate",
        run_id="",
        sequence=chain[-1].sequence + 1,
        previous=chain[-1].digest,
        pipeline=wrote.pipeline,
        purpose=wrote.purpose,
        engine="local",
        at=wrote.at,
        at_given=wrote.at_given,
        started=how.started,
        finished=max(how.started, datetime.now(UTC)),
        dates=tuple(sorted({on for each in written if (on := place_of(each.path)[1]) is not None})),
        policy=wrote.policy,
        plan=wrote.plan,
        keys=(*techniques, *sorted(keys_stated(written))),
        versions=account.versions(),
        rows=Rows(read=rows, written=rows),
        fields={key: FieldReceipt(said.did, None if said.values is None else 0) for key, said in wrote.fields.items()},
        outputs=outputs,
        replaces=done.replaces,
        removes=done.removes,
        retention=wrote.retention,
        files={name: sha256_text(content) for name, content in attachments.items()},
        origin=wrote.origin,
    )


def _output(wrote: Receipt, name: str, done: Rewritten) -> Output:
    files = files_stated(done.written[name])
    index = indexes_stated(done.written[name]) if name == RECORDS else None
    return Output(
        wrote.outputs[name].category,
        sum(file.rows for file in files),
        files=files,
        index=index,
        sketches=sketches_stated(done.written[name]),
    )
