"""`runs adopt-ledger`: an output is continued with another ledger than its receipts name, which a signed receipt says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from os import PathLike

from minimize.errors import ConfigurationError, KeyringError, OutputError, RefusedError
from minimize.governance.access.gate import gate
from minimize.governance.retention.carry import NOWHERE
from minimize.governance.retention.written import Written
from minimize.io.publish import open_output
from minimize.io.published import receipts
from minimize.job import account
from minimize.job.booking import ChangedOutput, booked, catch_up, told
from minimize.job.erasure_list import stored
from minimize.job.job import quiet
from minimize.job.ledgers import disagreement, naming
from minimize.job.origin import pipeline_behind
from minimize.job.told import How
from minimize.keys import Keyring, find_keyring
from minimize.receipt import Adoption, Receipt, sha256_text
from minimize.stores import Anywhere, output_at
from minimize.switching import House

PathLike_ = str | PathLike[str]


def adopt_ledger(
    output: Anywhere,
    reason: str,
    *,
    pipeline: PathLike_ | None = None,
    keys: Keyring | PathLike_ | None = None,
    ledger: PathLike_ | None = None,
    allow_lost_erasures: bool = False,
) -> Receipt | None:
    """Records, in a signed receipt of kind `adopt`, that an output is continued with the ledger that is found for it now.

    Takes the output folder and the reason; the pipeline, keyring and ledger in place of those that are found. A ledger is made if
    there is none. Gives None if the receipts of the output name this ledger already, and it has their audit head.

    Raises OutputError, KeyringError, LedgerError (2), AccessDenied (3). Raises RefusedError (3) if subjects were deleted from the
    output and the list of erasures that was stored with it is gone, unless that is allowed.
    """
    if not reason.strip():
        raise ConfigurationError("a ledger is adopted for a reason", hint="--reason TEXT")
    folder = output_at(output)
    chain = receipts(folder)
    if not chain:
        raise OutputError("nothing was published here yet", hint="`minimize run` does")
    job = pipeline_behind(folder, chain[-1], pipeline)
    keyring = find_keyring(keys, job.folder)
    if keyring is None:
        raise KeyringError("no keyring, and every change signs its receipt", hint="--keys FILE or MINIMIZE_KEYS")
    if not allow_lost_erasures and _deleted(chain) and not stored(folder, keyring):
        message = "subjects were deleted from this output, and the list of erasures that was stored with it is gone"
        hint = "restore `erasures/` or the ledger; --allow-lost-erasures goes on without, and a run may bring their records back"
        raise RefusedError(message, hint=hint)
    gate("output/adopt", House(ledger, str(folder), job, keyring), datetime.now(UTC), dataset=job.pipeline)
    return _adopted(ChangedOutput(job, folder, keyring), reason.strip(), ledger)


def _deleted(chain: tuple[Receipt, ...]) -> bool:
    """Whether a receipt tells of a deletion. Those that name no ledger are older than the lists."""
    return any(each.kind == "delete" and each.audit is not None and each.audit.ledger is not None for each in chain)


def _adopted(changing: ChangedOutput, reason: str, ledger: PathLike_ | None) -> Receipt | None:
    how = How("adopt", "local", datetime.now(UTC), quiet, NOWHERE, ledger=ledger)
    with (
        booked(changing, how) as booking,
        open_output(changing.output, create=False, lease=booking.head) as folder,
    ):
        chain = folder.receipts()
        before = naming(chain)
        if before is not None and not disagreement(booking.ledger, chain):
            booking.released()
            return None
        catch_up(booking, chain)
        attachments = Written(changing.output, chain[-1]).attachments
        with folder.begin(booking.run_id) as staging:
            receipt = _receipt(chain, how, reason, before)
            files = {name: sha256_text(content) for name, content in attachments.items()}
            signed = replace(receipt, run_id=booking.run_id, files=files, audit=booking.head()).signed(changing.keys)
            staging.publish(signed, attachments)
        told(booking, signed)
        return signed


def _receipt(chain: tuple[Receipt, ...], how: How, reason: str, before: Receipt | None) -> Receipt:
    """The receipt, not signed yet. It changes no file, and names the policy and the pipeline of the receipt before it."""
    last = chain[-1]
    named = None if before is None or before.audit is None else before.audit.ledger
    return Receipt(
        kind="adopt",
        run_id="",
        sequence=last.sequence + 1,
        previous=last.digest,
        pipeline=last.pipeline,
        purpose=last.purpose,
        engine=last.engine,
        at=how.started,
        started=how.started,
        finished=max(how.started, datetime.now(UTC)),
        policy=last.policy,
        plan=last.plan,
        versions=account.versions(),
        origin=last.origin,
        adopts=Adoption(reason, named),
    )
