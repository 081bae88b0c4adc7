"""`runs adopt-ledger`: an output is continued with another ledger than its receipts name, which a signed receipt says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING

from minimize.errors import ConfigurationError, KeyringError, OutputError, RefusedError
from minimize.governance.access.gate import gate
from minimize.governance.retention.written import Written
from minimize.io.publish import Output
from minimize.io.published import receipts
from minimize.job.booking import ChangedOutput
from minimize.job.decisions import Decision, record_decision
from minimize.job.erasure_list import lost_list, stored, stored_digest
from minimize.job.ledgers import disagreement, naming
from minimize.job.origin import pipeline_behind
from minimize.keys import Keyring, find_keyring
from minimize.receipt import Adoption, Receipt
from minimize.stores import Anywhere, output_at
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

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
    there is none. Gives None if the receipts of the output name this ledger already, it has their audit head, and the list of
    erasures is the one that they name, or a later one.

    Raises OutputError, KeyringError, LedgerError (2), AccessDenied (3). Raises RefusedError (3) if subjects were erased from the
    output and the list of erasures that was stored with it is gone or older, unless that is allowed.
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
    lost = lost_list(chain, folder, keyring)
    if not allow_lost_erasures and (lost or (_deleted(chain) and not stored(folder, keyring))):
        message = (
            "subjects were erased from this output, and the list of erasures that was stored with it is gone, or older"
        )
        hint = "restore `erasures/` or the ledger; --allow-lost-erasures goes on without, and a run may bring their records back"
        raise RefusedError(message, hint=hint)
    gate("output/adopt", House(ledger, str(folder), job, keyring), datetime.now(UTC), dataset=job.pipeline)
    decide = partial(_decided, reason=reason.strip(), lost=lost)
    return record_decision("adopt", ChangedOutput(job, folder, keyring), ledger, decide)


def _deleted(chain: tuple[Receipt, ...]) -> bool:
    """Whether a receipt tells of a deletion. Those that name no ledger are older than the lists."""
    return any(each.kind == "delete" and each.audit is not None and each.audit.ledger is not None for each in chain)


def _decided(ledger: Ledger, output: Output, chain: Sequence[Receipt], reason: str, *, lost: bool) -> Decision | None:
    """That the ledger is adopted, or that the list of erasures is lost; the receipt names the list that is there now."""
    before = naming(chain)
    if before is not None and not disagreement(ledger, chain) and not lost:
        return None
    named = None if before is None or before.audit is None else before.audit.ledger
    records = {"adopts": Adoption(reason, named), "erasures": stored_digest(output.folder)}
    return Decision(chain[-1], Written(output.folder, chain[-1]).attachments, records)
