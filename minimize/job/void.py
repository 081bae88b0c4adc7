"""`runs void`: a signed receipt that a run does not count, so that its dates can be run again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from os import PathLike
from typing import Final

from minimize.errors import ConfigurationError, KeyringError, OutputError
from minimize.io.history import RUNS
from minimize.io.publish import Output, open_output
from minimize.io.published import receipts
from minimize.job import account
from minimize.job.booking import ChangedOutput, booked, catch_up, told
from minimize.job.job import quiet
from minimize.job.origin import pipeline_behind
from minimize.job.told import How
from minimize.keys import Keyring, find_keyring
from minimize.ledger import find_ledger
from minimize.observability.places import Places
from minimize.receipt import Receipt, sha256_text
from minimize.receipt.void import VOID, VOIDABLE, voided
from minimize.stores import Anywhere, Place, output_at
from minimize.techniques.redact import hits

log = logging.getLogger("minimize")
PathLike_ = str | PathLike[str]
LONGEST: Final = 500
"""Characters of a reason."""


def void_run(
    run: str,
    reason: str,
    *,
    output: Anywhere | None = None,
    pipeline: PathLike_ | None = None,
    ledger: PathLike_ | None = None,
    keys: Keyring | PathLike_ | None = None,
) -> Receipt:
    """Records that a run does not count, and gives the signed receipt that says so.

    Takes the run's id or the beginning of it, and why; the output folder (else the one that the ledger knows); what stands in for
    its pipeline, ledger and keyring. Nothing is deleted: the run's files stay in force until its dates are run again. These may
    then be run as of an earlier time, and are pending.
    Raises ConfigurationError for a run that is not known, is void already, or is of a kind that cannot be void; KeyringError,
    OutputError, LedgerError.
    """
    check_reason(reason)
    folder = output_at(output) if output is not None else _folder_of(run, ledger)
    found = voidable(receipts(folder), run)
    job = pipeline_behind(folder, found, pipeline)
    keyring = find_keyring(keys, job.folder)
    if keyring is None:
        raise KeyringError("no keyring found; one is needed to sign the receipt", hint="--keys FILE or MINIMIZE_KEYS")
    how = How("void", "local", datetime.now(UTC), quiet, Places(None, None), ledger=ledger)
    with (
        booked(ChangedOutput(job, folder, keyring), how) as booking,
        open_output(folder, create=False, lease=booking.head) as opened,
    ):
        chain = opened.receipts()
        catch_up(booking, chain)
        found = voidable(chain, found.run_id)
        files = _attachments(opened, found)
        with opened.begin(booking.run_id) as staging:
            receipt = _receipt(chain, found, reason, booking.run_id, how, files)
            signed = replace(receipt, audit=booking.head()).signed(keyring)
            staging.publish(signed, files)
        told(booking, signed)
    log.info("the run %s is void", found.run_id, extra={"code": "I005", "run_id": signed.run_id})
    return signed


def check_reason(reason: str) -> None:
    """Raises ConfigurationError for a reason that is empty, too long, or may hold personal data: receipts hold none."""
    if not reason.strip() or len(reason) > LONGEST:
        raise ConfigurationError(f"a reason has 1 to {LONGEST} characters", hint="--reason TEXT")
    if hits(reason):
        message = "the reason holds what looks like personal data, and receipts keep none"
        raise ConfigurationError(message, hint="name a ticket instead")


def voidable(chain: Sequence[Receipt], run: str) -> Receipt:
    """The one receipt of a run. Raises ConfigurationError if there is none, or it cannot be declared void."""
    found = [receipt for receipt in chain if receipt.run_id.startswith(run)]
    if len(found) != 1 or not run:
        what = "no run" if not found else f"{len(found)} runs"
        raise ConfigurationError(f"the output has {what} whose id begins so", hint="`minimize runs` lists them")
    if found[0].kind not in VOIDABLE:
        kinds = ", ".join(sorted(VOIDABLE))
        raise ConfigurationError(f"what a {found[0].kind} did is not taken back", hint=f"only {kinds} can be void")
    if found[0].run_id in voided(chain):
        raise ConfigurationError("the run is void already", hint="run its dates again")
    return found[0]


def _folder_of(run: str, ledger: PathLike_ | None) -> Place:
    """The output that the ledger knows the run of."""
    from minimize.ledger.ledger import open_ledger
    from minimize.ledger.runs import named

    with open_ledger(find_ledger(ledger)) as book:
        found = {row.folder for row in book.read(partial(named, run_id=run))}
    if len(found) != 1:
        hint = "`minimize runs` lists them; --output DIR names the output"
        raise ConfigurationError(f"the ledger knows {len(found)} outputs with a run whose id begins so", hint=hint)
    return output_at(found.pop())


def _attachments(output: Output, voided: Receipt) -> dict[str, bytes]:
    """The policy and pipeline of the run that is void."""
    files = {}
    for name, digest in (("policy.yaml", voided.policy.digest), ("pipeline.yaml", voided.files.get("pipeline.yaml"))):
        path = output.folder / RUNS / voided.run_id / name
        content = path.read_bytes() if path.is_file() else b""
        if sha256_text(content) != digest:
            message = f"{name} of {voided.run_id} is missing, or is not the one of its receipt"
            raise OutputError(message, hint="`minimize verify` says more")
        files[name] = content
    return files


def _receipt(
    chain: Sequence[Receipt], voided: Receipt, reason: str, run_id: str, how: How, files: dict[str, bytes]
) -> Receipt:
    return Receipt(
        kind=VOID,
        run_id=run_id,
        sequence=chain[-1].sequence + 1,
        previous=chain[-1].digest,
        pipeline=voided.pipeline,
        purpose=voided.purpose,
        engine=how.engine,
        at=how.started,
        started=how.started,
        finished=max(how.started, datetime.now(UTC)),
        dates=voided.dates,
        policy=voided.policy,
        plan=voided.plan,
        versions=account.versions(),
        files={name: sha256_text(content) for name, content in files.items()},
        origin=chain[-1].origin,
        voids=voided.run_id,
        reason=reason.strip(),
    )
