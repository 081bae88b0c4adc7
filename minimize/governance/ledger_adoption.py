"""Ledger adoption (`runs adopt-ledger`): an output continues with another ledger than its receipts name.

A signed receipt of kind `adopt` records the decision and its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from minimize.datasets.erasure_list import StoredErasures, erasure_list_digest
from minimize.datasets.ledger_check import check_keyring, has_erasures, last_receipt_with_ledger, ledger_disagreement
from minimize.datasets.pipelines import find_pipeline
from minimize.datasets.reader import load_receipts
from minimize.datasets.writing_run import WritingRun
from minimize.errors import ConfigurationError, OutputError, RefusedError
from minimize.output.publish import OpenOutput
from minimize.receipts import LedgerAdoption, Receipt
from minimize.results import JsonResult, Line
from minimize.runs.published_runs import OutputDecision, record_decision
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class AdoptedLedger(JsonResult):
    """The signed receipt of a ledger adoption. None if the receipts of the output already name this ledger."""

    receipt: Receipt | None

    def lines(self) -> Iterator[Line]:
        """A summary of the receipt."""
        yield self.receipt or "nothing to do: the receipts of this output already name this ledger"


def adopt_ledger(workspace: Workspace, reason: str, *, allow_lost_erasures: bool = False) -> AdoptedLedger:
    """Records, in a signed receipt of kind `adopt`, that an output continues with the ledger that is found for it now.

    Takes a workspace with the output, and perhaps a pipeline, keyring and ledger instead of those that are found; and the
    reason. Creates a ledger if there is none. Records nothing if nothing has to be adopted: the receipts of the output already
    name this ledger, the ledger contains their audit head, and the erasure list is the named one or a later one.

    Raises OutputError, KeyringError, LedgerError (2), AccessDenied (3). Raises RefusedError (3) if subjects were erased from the
    output and the erasure list stored with it is missing or older, unless `allow_lost_erasures` is set.
    """
    if not reason.strip():
        raise ConfigurationError("a ledger adoption needs a reason", hint="Pass --reason TEXT.")
    folder = workspace.target
    chain = load_receipts(folder, lambda: workspace.address)  # the adopted ledger, not that of the receipts
    if not chain:
        raise OutputError("nothing has been published to this output", hint="Run `minimize run` first.")
    bound = workspace.with_pipeline(find_pipeline(folder, chain[-1], workspace.pipeline))
    keyring = bound.keyring("receipt")
    check_keyring(keyring, chain)
    lost = StoredErasures(folder, keyring).is_lost(chain)
    if not allow_lost_erasures and (lost or (has_erasures(chain) and erasure_list_digest(folder) is None)):
        message = (
            "subjects were erased from this output, but the erasure list that is stored with it is missing or outdated"
        )
        hint = (
            "Restore `erasures/` or the ledger. If both are lost, or the ledger is of an older version, record the erasures again"
            " (`minimize events add`) and pass --allow-lost-erasures; a run may publish erased records that are not recorded."
        )
        raise RefusedError(message, hint=hint)
    ruling = bound.showing(folder)
    ruling.require("output/adopt", dataset=bound.job.pipeline, any_ledger=True)
    decide = partial(_adoption_decision, reason=reason.strip(), lost=lost)
    return AdoptedLedger(record_decision("adopt", bound, decide))


def _adoption_decision(
    ledger: Ledger, output: OpenOutput, chain: Sequence[Receipt], reason: str, *, lost: bool
) -> OutputDecision | None:
    """The decision that the ledger is adopted or the erasure list is lost. The receipt names the current list."""
    before = last_receipt_with_ledger(chain)
    if before is not None and not ledger_disagreement(ledger, chain) and not lost:
        return None
    named = None if before is None or before.audit is None else before.audit.ledger
    records = {"adopts": LedgerAdoption(reason, named), "erasures": erasure_list_digest(output.folder)}
    return OutputDecision(chain[-1], WritingRun(output.folder, chain[-1]).attachments, records)
