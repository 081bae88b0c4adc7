"""What one third party sent goes to another only while the tenant agrees to both."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

import minimize
from minimize.errors import NotPermitted
from minimize.governance.consent import NewConsent, record_consent
from tests.inbound import LONG_AGO, TOKEN, Inbound, hook, new_inbound
from tests.project import AT, enter
from tests.world import CONTRACT, SYNC

SEND = {
    **SYNC,
    "purpose": "operations",
    "fields": {"os_version": {"do": "keep"}, "udid": {"role": "identifier", "do": {"pseudonymize": {"key": "device"}}}},
}


@pytest.fixture(name="ran")
def _ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbound:
    """A project that received messages of north and south, which both agree that some of them go back."""
    enter(tmp_path, monkeypatch)
    made = new_inbound(tmp_path)
    contract = {**CONTRACT, "permitted_fields": ["os_version", "udid"]}
    made.vendor(contract=contract, functions={**hook(), "sync": SEND})
    for tenant in ("north", "south"):
        made.consent("give", tenant)
        record_consent("give", NewConsent(tenant, "vendor", "sync", evidence=TOKEN), made.home, LONG_AGO)
    made.receive()
    return made


def shared(project: Inbound) -> Any:
    with time_machine.travel(AT + timedelta(hours=1), tick=False):
        return minimize.share(
            project.out, recipient="vendor", function="sync", pipeline=project.folder, keys=project.keys
        )


def test_records_of_tenants_that_agree_to_both_go(ran: Inbound) -> None:
    assert shared(ran).num_rows == 10


def test_records_that_may_not_be_received_any_more_do_not_go(ran: Inbound) -> None:
    ran.consent("withdraw", "north", AT)
    assert shared(ran).num_rows == 5
    ran.consent("withdraw", "south", AT)
    with pytest.raises(NotPermitted):
        shared(ran)


def test_consents_for_a_received_output_are_also_checked_with_a_policy_alone(ran: Inbound) -> None:
    def by_policy(data: Any) -> Any:
        places: dict[str, Any] = {"policy": ran.folder / "policy.yaml", "ledger": ran.ledger, "keys": ran.keys}
        with time_machine.travel(AT + timedelta(hours=1), tick=False):
            return minimize.share(data, recipient="vendor", function="sync", **places)

    file = next(ran.out.glob("records/**/*.parquet"))
    assert (by_policy(ran.out).num_rows, by_policy(file).num_rows) == (10, 10)
    ran.consent("withdraw", "north", AT)
    assert by_policy(ran.out).num_rows == 5
    ran.consent("withdraw", "south", AT)
    for data in (ran.out, file):
        with pytest.raises(NotPermitted):
            by_policy(data)
