"""`runs void`: a signed receipt that a run does not count, so that its dates can be run again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Final

from minimize.errors import ConfigurationError, KeyringError, OutputError
from minimize.io.history import RUNS
from minimize.io.publish import Output
from minimize.io.published import receipts
from minimize.job.booking import ChangedOutput
from minimize.job.decisions import Decision, record_decision
from minimize.job.origin import pipeline_behind
from minimize.keys import Keyring, find_keyring
from minimize.ledger import find_ledger
from minimize.receipt import Receipt, sha256_text
from minimize.receipt.void import VOIDABLE, voided
from minimize.stores import Anywhere, Place, output_at
from minimize.techniques.redact import hits

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

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

    def decided(_: Ledger, opened: Output, chain: Sequence[Receipt]) -> Decision:
        about = voidable(chain, found.run_id)
        records = {"dates": about.dates, "voids": about.run_id, "reason": reason.strip()}
        return Decision(about, _attachments(opened, about), records)

    signed = record_decision("void", ChangedOutput(job, folder, keyring), ledger, decided)
    assert signed is not None
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
