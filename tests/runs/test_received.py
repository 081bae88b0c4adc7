"""A pipeline that receives from a third party: refused as a whole by manifest and contract, gated row by row by consent."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import time_machine

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import LedgerError, NotPermitted, PolicyError, RefusedError
from minimize.governance.consent import NewConsent, record_consent
from minimize.governance.events import NewEvent, add_event
from minimize.keys import new_keyring
from minimize.ledger.audit_event import LogEntry
from minimize.ledger.kinds import CONSENT
from minimize.ledger.ledger import open_ledger
from minimize.receipts import Receipt
from minimize.removal.retract import retract
from tests.acts import plant_acts
from tests.calls import backfill, preview_rows, replay
from tests.inbound import HOOKS, LONG_AGO, RECEIVED, SOURCE, TOKEN, Inbound, hook, message, messages, new_inbound
from tests.project import AT, BEFORE, DAY, enter, write_yaml
from tests.world import CONTRACT


@pytest.fixture(name="inbound")
def _inbound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbound:
    enter(tmp_path, monkeypatch)
    return new_inbound(tmp_path)


@pytest.fixture(name="agreed")
def _agreed(inbound: Inbound) -> Inbound:
    """A project for which north has consented long ago, and south never."""
    inbound.consent("give", "north")
    return inbound


def test_rows_of_tenants_without_a_consent_are_gated_and_counted(agreed: Inbound) -> None:
    receipt = agreed.receive()
    assert (receipt.rows.read, receipt.rows.written, receipt.rows.gated) == (10, 5, 5)
    assert receipt.gated_by.reasons == {"setting": 0, "condition": 0, "retention": 0, "erased": 0, "consent": 5}
    assert agreed.tenants() == ["north"] * 5
    minimize.verify(agreed.out, keys=agreed.keys)


def test_the_summary_counts_rows_without_consent(agreed: Inbound) -> None:
    assert "consent 5" in agreed.receive().summary()


def test_a_message_counts_that_arrived_while_the_consent_held(inbound: Inbound) -> None:
    inbound.consent("give", "north", AT - timedelta(hours=3), expires_at=AT - timedelta(hours=1))
    inbound.consent("give", "north", AT - timedelta(minutes=50))
    times = {"before": 190, "during": 120, "expired": 60, "between": 55, "again": 50}
    records = [
        message(0, message_id=name, os_version=f"{number}.0", received_at=(AT - timedelta(minutes=ago)).isoformat())
        for number, (name, ago) in enumerate(times.items())
    ]
    receipt = inbound.receive(records)
    assert [row["os_version"] for row in inbound.rows()] == ["1.0", "4.0"]
    assert receipt.gated_by.consent == 3


@pytest.mark.parametrize("verb", ["withdraw", "refuse"])
def test_after_the_end_of_a_consent_nothing_of_the_tenant_passes(agreed: Inbound, verb: Any) -> None:
    agreed.consent(verb, "north", AT - timedelta(minutes=1))
    assert agreed.receive().gated_by.consent == 10


def test_a_consent_to_another_text_does_not_count(agreed: Inbound) -> None:
    agreed.vendor(functions=hook(text_version=2))
    assert agreed.receive().gated_by.consent == 10


def test_a_consent_that_is_recorded_after_the_time_of_the_run_is_not_known(inbound: Inbound) -> None:
    inbound.consent("give", "north", AT + timedelta(hours=1), valid_from=LONG_AGO)
    assert inbound.receive().gated_by.consent == 10
    assert inbound.run(at=AT + timedelta(hours=2)).gated_by.consent == 5


def test_tenants_are_one_in_any_padding_and_case(inbound: Inbound) -> None:
    fold = {"pseudonymize": {"key": "device", "per": "os_version", "fold": True}}
    inbound.policy({"tenant_id": {"type": "string", "role": "identifier", "do": fold}})
    inbound.consent("give", "North")
    receipt = inbound.receive([message(0, tenant_id=name) for name in ("north", " NORTH ", "south")])
    assert receipt.gated_by.consent == 1


def test_without_any_consent_every_row_is_gated_with_one_warning(
    inbound: Inbound, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "minimize"):
        assert inbound.receive().gated_by.consent == 10
    assert [record.message for record in caplog.records if getattr(record, "code", "") == "W045"] == [
        "the ledger has no consent to hook of vendor: every record is gated. Run `minimize consent give`."
    ]


def test_with_a_consent_there_is_no_such_warning(agreed: Inbound, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "minimize"):
        agreed.receive()
    assert [record for record in caplog.records if getattr(record, "code", "") == "W045"] == []


def test_one_warning_counts_the_rows_that_arrived_before_their_consent(
    inbound: Inbound, caplog: pytest.LogCaptureFixture
) -> None:
    inbound.consent("give", "north", AT - timedelta(minutes=1))
    with caplog.at_level(logging.WARNING, "minimize"):
        assert inbound.receive().gated_by.consent == 10
    assert [record.message for record in caplog.records if getattr(record, "code", "") == "W046"] == [
        "no consent and contract cover 10 rows. They apply only to messages that arrived after they became valid. Run "
        "`minimize functions list TENANT`, or `minimize consent explain TENANT vendor hook --event TIME` for a time of arrival."
    ]


def test_without_gated_rows_there_is_no_such_warning(agreed: Inbound, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "minimize"):
        agreed.receive([message(0), message(2)])
    assert [record for record in caplog.records if getattr(record, "code", "") == "W046"] == []


def test_a_row_without_consent_is_counted_once_after_an_erasure_and_before_retention(agreed: Inbound) -> None:
    add_event(NewEvent("north", "erasure", "u0", AT - timedelta(minutes=1)), agreed.home, AT - timedelta(minutes=1))
    old = (AT - timedelta(days=40)).isoformat()
    receipt = agreed.receive(
        [message(0), message(1), message(2), message(4, received_at=old), message(5, received_at=old)]
    )
    reasons = {reason: rows for reason, rows in receipt.gated_by.reasons.items() if rows}
    assert reasons == {"erased": 1, "consent": 2, "retention": 1}


def test_aggregates_and_duplicates_see_only_rows_with_a_consent(agreed: Inbound) -> None:
    agreed.pipeline(
        records={"deduplicate": {"by": ["os_version"]}},
        aggregates={
            "per_version": {
                "group_by": {"os_version": "os_version"},
                "measures": {"devices": {"count_distinct": "udid"}},
                "suppress": {"below": 1},
                "exact": {"because": "tests compare figures"},
            }
        },
    )
    receipt = agreed.receive([message(1, os_version="1.1"), message(0), message(2), message(3)])
    assert (receipt.gated_by.consent, receipt.rows.deduplicated, receipt.rows.written) == (2, 1, 1)
    assert [row["devices"] for row in agreed.rows("per_version")] == [1]


def test_an_unreadable_message_is_quarantined_without_its_value(agreed: Inbound) -> None:
    receipt = agreed.receive([message(0), '{"broken', message(2, tenant_id=None)])
    assert receipt.quarantine.by_code == {"malformed": 1, "missing_field": 1}
    assert (receipt.rows.written, receipt.rows.gated) == (1, 0)


def test_a_consent_recorded_during_a_run_stops_it(agreed: Inbound) -> None:
    agreed.records(messages(4))
    withdrawn = at_checkpoint("run.written", lambda *_: agreed.consent("withdraw", "north", AT))
    with withdrawn, pytest.raises(LedgerError, match="consents or contracts were recorded during this run"):
        agreed.run()
    assert agreed.files() == set()


def test_a_run_follows_no_consent_that_we_did_not_sign(agreed: Inbound) -> None:
    """An attacker with the database, but without the keyring, records a consent."""
    agreed.records(messages(4))
    stranger = new_keyring(agreed.home.folder / "other.keys", now=AT)
    with open_ledger(agreed.home.address) as ledger:
        (given,) = ledger.find(CONSENT)
        plant_acts(ledger, stranger, CONSENT, replace(given, tenant_id="south"))
    with pytest.raises(RefusedError, match="is not signed by a known key"):
        agreed.run()
    assert agreed.files() == set()


AGENT: dict[str, Any] = {"standing": "agent", "subprocessor": "Vendor Ltd"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "empty_manifest": ({"functions": {}}, "N001"),
    "not_in_manifest": ({"functions": {"other": hook()["hook"]}}, "N002"),
    "direction": ({"functions": hook(direction="outbound")}, "N003"),
    "no_contract": ({**AGENT, "contract": None}, "N010"),
    "contract_not_in_force": ({**AGENT, "contract": {**CONTRACT, "until": f"{AT:%Y-%m-%d}"}}, "N011"),
    "not_listed": (AGENT, "N014"),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_a_run_is_refused_before_it_reads(agreed: Inbound, rule: str) -> None:
    changes, code = REFUSED[rule]
    agreed.vendor(**changes)
    with pytest.raises(NotPermitted) as caught:
        agreed.receive()
    assert [each.code for each in caught.value.reasons if each.rule == rule] == [code]
    assert (caught.value.exit_code, agreed.files()) == (3, set())
    assert "be received from vendor for hook" in caught.value.message


def test_all_reasons_are_named_together(agreed: Inbound) -> None:
    agreed.vendor(**AGENT, contract=None)
    with pytest.raises(NotPermitted) as caught:
        agreed.receive()
    assert [each.rule for each in caught.value.reasons] == ["no_contract", "not_listed"]


def test_rows_of_a_tenant_without_a_confirmed_prerequisite_are_gated(agreed: Inbound) -> None:
    agreed.vendor(functions=hook(requires=["connection", "account"]))
    assert agreed.receive().gated_by.consent == 10
    agreed.agree("north")
    assert agreed.run().gated_by.consent == 5


def test_rows_of_a_tenant_without_a_contract_are_gated_for_any_offered_contract(inbound: Inbound) -> None:
    for tenant in ("north", "south"):
        consent = NewConsent(tenant, "vendor", "hook", evidence=TOKEN)
        record_consent("give", consent, inbound.home, LONG_AGO)
    assert inbound.receive().gated_by.consent == 10
    inbound.agree("south")
    assert inbound.run().gated_by.consent == 5
    assert inbound.tenants() == ["south"] * 5


def test_a_sender_that_there_is_not_is_a_fault_of_configuration(agreed: Inbound) -> None:
    agreed.pipeline(source={**SOURCE, "recipient": "vendr"})
    with pytest.raises(PolicyError, match="no recipient `vendr`"):
        agreed.receive()


def test_a_policy_that_keeps_more_than_the_manifest_is_a_fault_of_configuration(agreed: Inbound) -> None:
    agreed.policy({"owner": {"type": "string", "role": "identifier", "do": {"mask": {"keep_last": 2}}}})
    with pytest.raises(PolicyError) as caught:
        agreed.receive()
    assert [(finding.code, finding.field) for finding in caught.value.findings] == [("T033", "owner")]


def test_a_contract_counts_as_of_the_day_of_the_run(agreed: Inbound) -> None:
    agreed.vendor(contract={**CONTRACT, "until": f"{AT + timedelta(days=1):%Y-%m-%d}"})
    agreed.agree("north")
    assert agreed.receive().rows.written == 5
    assert agreed.run(at=AT + timedelta(days=1)).gated_by.consent == 10


def test_a_contract_counts_as_of_the_arrival_of_a_message(agreed: Inbound) -> None:
    agreed.vendor(contract={**CONTRACT, "from": f"{AT:%Y-%m-%d}"})
    agreed.agree("north")
    assert agreed.receive().gated_by.consent == 10


def _pending(project: Inbound) -> Any:
    return project.run(pending=True)


def _backfilled(project: Inbound) -> Any:
    asked = {"backfill": "again", "pipeline": "hooks", "reason": "test", "dates": [DAY]}
    file = write_yaml(project.folder.parent / "again.yaml", asked)
    with time_machine.travel(AT, tick=False):
        return backfill(file, keys=project.keys)


def _replayed(project: Inbound) -> Any:
    with time_machine.travel(AT, tick=False):
        return replay(project.out, keys=project.keys)


@pytest.mark.parametrize("way", [_pending, _backfilled, _replayed])
def test_every_way_to_run_is_refused(agreed: Inbound, way: Callable[[Inbound], Any]) -> None:
    agreed.policy(retention=None)
    agreed.receive([message(0), '{"broken'])
    agreed.records([message(0), message(2), '{"broken'])
    before = agreed.files()
    agreed.vendor(functions={})
    with pytest.raises(NotPermitted):
        way(agreed)
    assert agreed.files() == before


@pytest.mark.parametrize("way", [_pending, _backfilled])
def test_every_way_to_run_asks_for_consents(agreed: Inbound, way: Callable[[Inbound], Any]) -> None:
    agreed.policy(retention=None)
    agreed.receive([message(0)])
    agreed.records([message(0), message(1), message(2)])
    way(agreed)
    assert agreed.tenants() == ["north", "north"]


def test_a_replay_asks_for_consents(agreed: Inbound) -> None:
    agreed.policy({"os_version": {**RECEIVED["fields"]["os_version"], "type": "integer", "do": "drop"}})
    receipt = agreed.receive([message(0), message(1)])
    assert receipt.quarantine.by_code == {"wrong_type": 2}
    agreed.policy()
    (replayed,) = _replayed(agreed).receipts
    assert (replayed.kind, replayed.rows.written, replayed.gated_by.consent) == ("replay", 1, 1)


def test_the_receipt_names_the_sender_and_what_was_asked(agreed: Inbound) -> None:
    receipt = agreed.receive()
    folder = agreed.out / "runs" / receipt.run_id
    received = receipt.received
    assert received is not None
    assert (received.recipient, received.function, received.contract) == ("vendor", "hook", None)
    assert receipt.files["recipient.yaml"] == received.manifest
    assert json.loads((folder / "recipient.yaml").read_text())["recipient"] == "vendor"


def test_the_digest_of_consents_changes_with_what_is_recorded(agreed: Inbound) -> None:
    first, same = agreed.receive(), agreed.run()
    agreed.consent("give", "south", AT)
    other = agreed.run()
    assert first.received == same.received != other.received


def test_a_run_over_records_of_our_own_names_no_sender(project_with_ledger: Any) -> None:
    project_with_ledger.records([])
    receipt = project_with_ledger.run()
    assert "received" not in receipt.to_json()
    assert "consent" not in receipt.to_json()["gated_by"]


def test_received_data_is_in_the_audit_log(agreed: Inbound) -> None:
    receipt = agreed.receive()
    (entry,) = agreed.received()
    assert _changes(entry) == {
        "recipient": "vendor",
        "function": "hook",
        "rows": 5,
        "rows_without_consent": 5,
        "receipt": receipt.digest,
    }


def test_a_refused_reception_is_in_the_audit_log(agreed: Inbound) -> None:
    agreed.vendor(functions={})
    with pytest.raises(NotPermitted):
        agreed.receive()
    (entry,) = agreed.received()
    assert json.loads(entry.event)["result"] == "refused"
    assert _changes(entry) == {"rules": "N001"}


def test_a_refusal_makes_no_ledger(inbound: Inbound) -> None:
    inbound.vendor(functions={})
    with pytest.raises(NotPermitted):
        inbound.receive()
    assert not inbound.ledger.exists()


def test_a_rerun_after_a_withdrawal_takes_out_what_was_received(agreed: Inbound) -> None:
    agreed.receive()
    agreed.consent("withdraw", "north", AT)
    assert agreed.run(at=AT + timedelta(hours=1)).rows.written == 0
    assert agreed.tenants() == []


def test_parquet_is_received_as_lines_are(agreed: Inbound) -> None:
    rows = [{**each, "received_at": AT - timedelta(hours=1)} for each in messages(6)]
    schema = pa.schema([(key, pa.timestamp("us", "UTC") if key == "received_at" else pa.string()) for key in rows[0]])
    agreed.source("parquet")
    agreed.pipeline(source={**SOURCE, "path": "data/{date}/*.parquet", "format": "parquet"})
    agreed.columns(pa.Table.from_pylist(rows, schema))
    receipt: Receipt = agreed.run()
    assert (receipt.rows.written, receipt.gated_by.consent) == (3, 3)


def test_several_dates_are_gated_in_the_same_way(agreed: Inbound) -> None:
    agreed.records(messages(4), BEFORE)
    receipt = agreed.receive(messages(4))
    assert (receipt.dates, receipt.gated_by.consent) == ((BEFORE, DAY), 4)


def test_a_pipeline_without_records_balances_too(agreed: Inbound) -> None:
    counting = {
        "group_by": {"os_version": "os_version"},
        "measures": {"events": "count"},
        "suppress": {"below": 1, "counting": "udid"},
    }
    agreed.write("pipeline", HOOKS, records=False, aggregates={"versions": counting})
    receipt = agreed.exact(agreed.receive())
    assert (receipt.rows.written, receipt.gated_by.consent) == (5, 5)
    minimize.verify(agreed.out, keys=agreed.keys)


def _changes(entry: LogEntry) -> dict[str, Any]:
    (resource,) = json.loads(entry.event)["resources"]
    return {change["name"]: change["new"] for change in resource["changed_properties"]}


def past(project: Inbound) -> Receipt:
    """A run into another folder as of `AT`, two days later."""
    return project.run(output=project.folder / "past", clock=AT + timedelta(days=2))


def test_a_run_as_of_an_earlier_time_keeps_nothing_that_was_withdrawn_since(agreed: Inbound) -> None:
    agreed.consent("give", "south")
    agreed.receive()
    agreed.consent("withdraw", "north", AT + timedelta(days=1))
    assert past(agreed).rows.written == 5
    assert agreed.tenants(agreed.folder / "past") == ["south"] * 5


def test_a_run_as_of_an_earlier_time_does_not_count_what_was_agreed_to_since(inbound: Inbound) -> None:
    inbound.records(messages(10))
    inbound.consent("give", "north", AT + timedelta(days=1), valid_from=LONG_AGO)
    assert past(inbound).rows.written == 0


def test_a_run_as_of_an_earlier_time_gives_nothing_once_the_contract_ended(agreed: Inbound) -> None:
    agreed.receive()
    agreed.vendor(contract={**CONTRACT, "until": "2026-11-26"})
    agreed.agree("north")
    assert past(agreed).rows.written == 0


def test_a_preview_as_of_an_earlier_time_shows_nothing_that_was_withdrawn_since(agreed: Inbound) -> None:
    agreed.records(messages(10))
    agreed.consent("withdraw", "north", AT + timedelta(days=1))
    plan = minimize.make_plan(agreed.folder)
    with time_machine.travel(AT + timedelta(days=2), tick=False):
        assert preview_rows(plan, 3, at=AT, keys=agreed.keys).num_rows == 0


@pytest.mark.parametrize("verb", ["run", "backfill", "replay", "retract"])
@pytest.mark.parametrize("sent", [{}, {"recipient": "vendor", "function": "other"}])
def test_received_data_is_not_read_again_without_its_sender(agreed: Inbound, verb: str, sent: dict[str, Any]) -> None:
    ahead = message(10, received_at=(AT + timedelta(days=2)).isoformat())  # is in quarantine, and passes later
    agreed.records([*messages(10), ahead])
    agreed.run()
    agreed.vendor(functions={**hook(), "other": hook()["hook"]})
    agreed.pipeline(source={"path": SOURCE["path"], "format": SOURCE["format"], **sent})
    later = AT + timedelta(days=3)
    asked = {"backfill": "b", "pipeline": "pipeline.yaml", "dates": [DAY], "reason": "r", "policy": "now"}
    file = write_yaml(agreed.folder / "b.yaml", asked)
    ways: dict[str, Callable[[], Any]] = {
        "run": lambda: agreed.run(at=later),
        "backfill": lambda: backfill(file, output=agreed.out, keys=agreed.keys),
        "replay": lambda: replay(agreed.out, keys=agreed.keys),
        "retract": lambda: retract(agreed.out, yes=True, keys=agreed.keys),
    }
    with time_machine.travel(later, tick=False), pytest.raises(RefusedError) as caught:
        ways[verb]()
    assert [each.code for each in caught.value.findings] == ["R013"]
    assert agreed.tenants() == ["north"] * 5
