"""Shares the device rows with a recipient, or applies the same policy without sharing; prints CPU seconds and rows, as JSON.

Run by `sharing`, in a process of its own. What is timed is the one call: the table stands in memory, consents in the ledger.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

import minimize
from benchmarks.data.fleet import AT
from benchmarks.given import Given
from benchmarks.places import JOBS
from minimize.consent import current_terms
from minimize.governance.sharing.outbound import prepare_share
from minimize.governance.sharing.plan import ShareRequest
from minimize.keys import Keyring
from minimize.ledger import AuditActivity, current_actor, find_ledger
from minimize.ledger.acts import Decision
from minimize.ledger.kinds import CONSENT, CONTRACT, ConsentAct, ContractAct
from minimize.ledger.ledger import open_ledger
from minimize.policy.load import load_policy
from minimize.policy.model import Policy
from minimize.recipients import Recipient, Recipients, Subprocessors, recipient_from
from minimize.recipients.load import contract_terms
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.workspace import Workspace

POLICY: Final = JOBS / "job_a" / "policy.yaml"
PURPOSE: Final = "service_maintenance"
EARLIER: Final = AT - timedelta(days=1)


def main(folder: str, how: str) -> None:
    """Takes the folder of generated data, and how: `share` (all tenants agree), `mixed` (nine in ten do), or `apply`."""
    given = Given(Path(folder))
    policy = load_policy(POLICY)
    kept = [key for key, field in policy.fields.items() if field.do != "drop"]
    table = pa.concat_tables([pq.read_table(file, columns=kept) for file in given.files])
    with tempfile.TemporaryDirectory() as place:
        if how == "apply":
            work = _applying(given, table, policy)
        else:
            work = _sharing(given, table, kept, Path(place), mixed=how == "mixed")
        cpu = time.process_time()
        rows = work().num_rows
        sys.stdout.write(json.dumps([time.process_time() - cpu, rows]))


def recipient(kept: list[str], functions: Iterable[str] = ("all",)) -> Recipient:
    """Gets every field that job A keeps, as it keeps it; its pseudonyms are its own."""
    contract = {"reference": "B-1", "from": "2020-01-01", "permits_transmission": True, "permitted_fields": kept}
    fields = {key: {"do": "keep"} for key in kept}
    function = {"direction": "outbound", "purpose": PURPOSE, "text_version": 1, "text": "…", "fields": fields}
    return recipient_from(
        {
            "recipient": "vendor",
            "standing": "independent",
            "contract": contract,
            "functions": dict.fromkeys(functions, function),
        }
    )


def _applying(given: Given, table: pa.Table, policy: Policy) -> Callable[[], Any]:
    """The same techniques on the same values: a pseudonym is made of the pseudonym here, too."""
    device = policy.fields["device_id"]
    again = device.model_copy(update={"do": (*device.do, Pseudonymize(key="device"))})
    spare = {key: field.model_copy(update={"optional": field.do == "drop"}) for key, field in policy.fields.items()}
    whole = policy.model_copy(update={"fields": {**spare, "device_id": again}})
    return lambda: minimize.apply(whole, table, purpose=PURPOSE, settings=given.settings, keys=given.keys, at=AT)


def _sharing(given: Given, table: pa.Table, kept: list[str], place: Path, *, mixed: bool) -> Callable[[], Any]:
    """With the consent of every tenant, or of all but those whose number ends in 7."""
    vendor, keys = recipient(kept), Keyring.load(given.keys)
    names = sorted(table.column("tenant_id").unique().to_pylist())
    _agree(
        place / "ledger.db", vendor, [name for at, name in enumerate(names) if not mixed or at % 10 != 7], keys, EARLIER
    )
    recipients = Recipients(place, Subprocessors(entries=()))
    request = ShareRequest(vendor, "all", POLICY, given.settings, recipients)
    workspace = Workspace(place / "ledger.db", keys=keys, clock=lambda: AT)
    return lambda: prepare_share(workspace, request, table).execute(table, None).payload


def _agree(ledger: Path, vendor: Recipient, tenants: list[str], keys: Keyring, when: datetime) -> None:
    text = current_terms(vendor, "all").text
    acts = [ConsentAct(name, "vendor", "all", "given", text, "admin", when, None, when) for name in tenants]
    contracts = [
        ContractAct(name, "vendor", "C-1", "recorded", contract_terms(vendor.contract), "", "admin", when)
        for name in tenants
        if vendor.contract is not None
    ]
    event = AuditActivity("consent", component="benchmarks", category="consent").event("give", current_actor(), when)
    with open_ledger(find_ledger(ledger), create=True) as book:
        recorded = [*map(CONSENT.act, acts), *map(CONTRACT.act, contracts)]
        book.record(lambda _: Decision(None, recorded, [event]), keys)


if __name__ == "__main__":
    main(*sys.argv[1:])
