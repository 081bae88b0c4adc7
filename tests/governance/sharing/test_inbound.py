"""What third parties send is kept as manifest, contract and consent let it; secrets go through and nowhere else."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import time_machine

import minimize
from minimize.errors import AccessDenied, ConfigurationError, KeyringError, NotPermitted, PolicyError
from minimize.governance.sharing import receive
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.ledger import open_ledger
from minimize.recipients import Recipient, load_recipient, recipient_from
from tests.governance.sharing.sender import NOW, VENDOR, Sender, changed
from tests.inbound import Inbound, message, new_inbound
from tests.project import enter
from tests.world import access_file, write_configuration

SECRET = "unlock-me-4711"
INBOUND = {
    "udid": {"role": "identifier", "do": {"pseudonymize": {"key": "device"}}},
    "os_version": {"do": {"truncate_version": {"parts": 2}}},
    "ram": {"type": "integer", "do": "drop"},
    "UnlockToken": {"role": "secret", "do": "pass_through"},
}
HOOK: dict[str, Any] = {
    "direction": "inbound",
    "purpose": "operations",
    "text_version": 1,
    "text": "…",
    "fields": INBOUND,
}
MESSAGES = pa.table(
    {
        "tenant_id": ["north", "north", "south", "west"],
        "udid": ["u-1", "u-2", "u-3", "u-4"],
        "os_version": ["14.5.1", "15.0", "16.1.2", "17.1"],
        "ram": [8, 16, 8, 8],
        "UnlockToken": [SECRET, None, f"{SECRET}-south", f"{SECRET}-west"],
        "surprise": ["x", "y", "z", "w"],
    }
)
PIPELINES = Path(minimize.__file__).parent.parent / "pipelines"


def source_with(**changes: Any) -> Recipient:
    """The recipient with the inbound function alone, of which some keys are changed."""
    return recipient_from(changed(VENDOR, "functions", {"hook": {**HOOK, **changes}}))


@pytest.fixture(name="source")
def _source(sender: Sender) -> Recipient:
    """A third party whose function `hook` north and south agreed to."""
    source = source_with()
    for tenant in ("north", "south"):
        sender.consent(tenant, function="hook", terms=source)
    return source


def received(sender: Sender, source: Recipient, data: Any = MESSAGES, **asked: Any) -> Any:
    places = {"keys": sender.keys, "recipients": sender.recipients, "ledger": sender.ledger}
    with time_machine.travel(NOW, tick=False):
        return receive(data, **{"sender": source, "function": "hook", **places, **asked})


def refusal(sender: Sender, source: Recipient, data: Any = MESSAGES, **asked: Any) -> NotPermitted:
    with pytest.raises(NotPermitted) as caught:
        received(sender, source, data, **asked)
    return caught.value


def rules(sender: Sender, source: Recipient, data: Any = MESSAGES, **asked: Any) -> list[str]:
    return [each.rule for each in refusal(sender, source, data, **asked).reasons]


def test_only_what_the_manifest_keeps_is_left_of_tenants_that_agreed(sender: Sender, source: Recipient) -> None:
    given = received(sender, source)
    assert given.column_names == ["udid", "os_version"]
    assert given.column("os_version").to_pylist() == ["14.5", "15.0", "16.1"]
    assert {len(value) for value in given.column("udid").to_pylist()} == {32}


def test_the_kind_of_data_that_comes_in_is_returned(sender: Sender, source: Recipient) -> None:
    assert isinstance(received(sender, source, MESSAGES.to_pandas()), pd.DataFrame)


def test_a_message_need_not_have_every_field(sender: Sender, source: Recipient) -> None:
    given = received(sender, source, MESSAGES.select(["tenant_id", "os_version"]))
    assert given.column("udid").null_count == 3


def test_the_log_counts_the_records_without_consent(
    sender: Sender, source: Recipient, caplog: pytest.LogCaptureFixture
) -> None:
    received(sender, source)
    warned = [vars(record)["data"] for record in caplog.records if vars(record).get("code") == "W010"]
    assert warned == [{"consent": 1}]


def test_secrets_of_records_that_are_kept_go_to_the_connector_and_nowhere_else(
    sender: Sender, source: Recipient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[pa.Table] = []
    given = received(sender, source, connector=seen.append)
    assert seen[0].to_pydict() == {"UnlockToken": [SECRET, None, f"{SECRET}-south"]}
    assert SECRET not in str(given.to_pydict()) + str(given.schema) + caplog.text
    assert not [path for path in sender.folder.iterdir() if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_a_stream_is_read_once_for_both(sender: Sender, source: Recipient) -> None:
    seen: list[pa.Table] = []
    given = received(sender, source, MESSAGES.to_reader(max_chunksize=1), connector=seen.append)
    assert (given.num_rows, seen[0].num_rows) == (3, 3)


def test_without_a_connector_secrets_are_gone(sender: Sender, source: Recipient) -> None:
    assert "UnlockToken" not in received(sender, source).column_names


def test_a_stream_without_a_connector_stays_lazy(sender: Sender, source: Recipient) -> None:
    given = received(sender, source, MESSAGES.to_reader(max_chunksize=1))
    assert isinstance(given, pa.RecordBatchReader)
    assert given.read_all().num_rows == 3


@pytest.mark.parametrize(
    ("asked", "rule"),
    [({"function": "sink"}, "not_in_manifest"), ({"purpose": "customer_support"}, "purpose")],
)
def test_a_request_beyond_the_manifest_is_refused(
    sender: Sender, source: Recipient, asked: dict[str, Any], rule: str
) -> None:
    assert rules(sender, source, **asked) == [rule]


def test_an_outbound_function_is_refused(sender: Sender) -> None:
    assert rules(sender, sender.recipient, function="sync") == ["direction"]


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("contract.until", "2026-11-25", "contract_not_in_force"),
        ("functions.hook.requires", ["connection"], "requires"),
    ],
)
def test_without_contract_or_prerequisite_nothing_is_received(
    sender: Sender, source: Recipient, path: str, value: Any, rule: str
) -> None:
    body = changed(changed(VENDOR, "functions", {"hook": HOOK}), path, value)
    changed_source = recipient_from(body)
    for tenant in ("north", "south") if rule == "contract_not_in_force" else ():
        sender.consent(tenant, function="hook", terms=changed_source, at=NOW - timedelta(hours=1))
    found = refusal(sender, changed_source, MESSAGES.slice(0, 3)).reasons
    assert rule in {each.rule for each in found}


def test_of_a_tenant_without_a_contract_nothing_is_received(sender: Sender, source: Recipient) -> None:
    sender.consent("west", function="hook", terms=source, contract=False)
    assert received(sender, source).num_rows == 3
    sender.consent("west", function="hook", terms=source)
    assert received(sender, source).num_rows == 4


def test_a_prerequisite_that_is_confirmed_is_met(sender: Sender, source: Recipient) -> None:
    wanting = source_with(requires=["connection"])
    sender.consent("north", function="hook", terms=wanting)
    assert received(sender, wanting).num_rows == 2


def test_records_without_a_tenant_field_are_refused(sender: Sender, source: Recipient) -> None:
    found = refusal(sender, source, MESSAGES.drop_columns(["tenant_id"]))
    assert [(each.rule, each.code) for each in found.reasons] == [("no_tenant", "N017")]


def test_the_tenant_may_be_in_a_field_of_another_name(sender: Sender, source: Recipient) -> None:
    renamed = MESSAGES.rename_columns(["account", *MESSAGES.column_names[1:]])
    assert received(sender, source, renamed, tenant="account").num_rows == 3


def test_without_a_ledger_nothing_is_received(sender: Sender, source: Recipient) -> None:
    found = refusal(sender, source, ledger=None)
    assert [(each.rule, each.message) for each in found.reasons] == [("no_consent", "there is no ledger with consents")]


@pytest.mark.parametrize(("state", "rule"), [("withdrawn", "withdrawn"), ("refused", "refused")])
def test_if_no_tenant_agrees_the_reason_is_named(sender: Sender, source: Recipient, state: str, rule: str) -> None:
    sender.consent("north", state, function="hook", terms=source, at=NOW - timedelta(hours=1))
    (only,) = refusal(sender, source, MESSAGES.slice(0, 2)).reasons
    assert (only.rule, only.tenants, only.rows) == (rule, 1, 2)


def test_a_refusal_counts_tenants_that_were_never_asked(sender: Sender, source: Recipient) -> None:
    never = MESSAGES.set_column(0, "tenant_id", pa.array(["new", "other", "new", "third", None][: len(MESSAGES)]))
    (only,) = refusal(sender, source, never).reasons
    assert (only.rule, only.tenants, only.rows) == ("no_explicit_consent", 3, len(MESSAGES))


def test_nobodys_consent_is_an_explicit_one(sender: Sender, source: Recipient) -> None:
    assert rules(sender, source, MESSAGES.slice(3)) == ["no_explicit_consent"]


def test_a_consent_must_hold_now_and_at_the_time_that_is_named(sender: Sender, source: Recipient) -> None:
    assert received(sender, source, at=NOW - timedelta(hours=1)).num_rows == 3
    assert rules(sender, source, at=NOW - timedelta(days=2))
    sender.consent("north", "withdrawn", function="hook", terms=source, at=NOW - timedelta(minutes=1))
    assert received(sender, source, at=NOW - timedelta(hours=1)).num_rows == 1


def test_without_a_keyring_nothing_is_received(sender: Sender, source: Recipient) -> None:
    with pytest.raises(KeyringError, match="sign the audit event"):
        received(sender, source, keys=None)


def entries(sender: Sender) -> list[dict[str, Any]]:
    with open_ledger(sender.places.address) as ledger:
        return [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(activity="receive"))]


def test_received_and_refused_messages_are_in_the_audit_log(sender: Sender, source: Recipient) -> None:
    received(sender, source)
    refusal(sender, source, purpose="customer_support")
    done, refused = entries(sender)
    changes = {each["name"]: each["new"] for each in done["resources"][0]["changed_properties"]}
    assert changes == {"recipient": "vendor", "function": "hook", "rows": 3, "rows_without_consent": 1}
    assert (refused["result"], refused["resources"][0]["changed_properties"][0]["new"]) == ("refused", "N020")


def test_hardware_without_a_compliance_purpose_is_dropped_of_what_jamf_sends(sender: Sender) -> None:
    jamf = load_recipient(PIPELINES / "recipients/jamf.yaml")
    (function,) = jamf.inbound
    sender.consent("north", function=function.name, terms=jamf)
    kept = set(function.shared)
    data = pa.table(
        {"tenant_id": ["north"]}
        | {key: pa.nulls(1, pa.string()) for key, each in function.fields.items() if each.type == "string"}
    )
    asked = {"recipients": PIPELINES / "recipients", "function": function.name}
    given = received(sender, jamf, data, **asked)
    assert set(given.column_names) <= kept
    assert len(kept) < len(function.fields)


@pytest.fixture(name="inbound")
def _inbound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbound:
    enter(tmp_path, monkeypatch)
    made = new_inbound(tmp_path / "home")
    made.consent("give", "north", NOW - timedelta(days=9))
    return made


def in_memory(inbound: Inbound, **asked: Any) -> Any:
    """What is received of three messages: the first of north before its consent, the others of north and south today."""
    times = (NOW - timedelta(days=10), NOW - timedelta(hours=1), NOW - timedelta(hours=1))
    rows = [{**message(number), "tenant_id": "north", "received_at": time} for number, time in enumerate(times)]
    rows[2]["tenant_id"] = "south"
    with time_machine.travel(NOW, tick=False):
        return minimize.receive(
            pa.Table.from_pylist(rows), **{"sender": "vendor", "function": "hook", "keys": inbound.keys, **asked}
        )


def test_the_policy_of_a_pipeline_asks_as_of_the_time_of_each_message(inbound: Inbound) -> None:
    given = in_memory(inbound, pipeline=inbound.folder)
    assert given.column_names == ["tenant_id", "received_at", "udid", "os_version"]
    assert given.num_rows == 1


def test_a_policy_alone_does_the_same(inbound: Inbound) -> None:
    given = in_memory(inbound, policy=inbound.folder / "policy.yaml")
    assert given.num_rows == 1


def of_tenants(inbound: Inbound, *rows: dict[str, Any]) -> Any:
    """What is received of messages of today with these changes."""
    sent = [{**message(number), "received_at": NOW - timedelta(hours=1), **row} for number, row in enumerate(rows)]
    with time_machine.travel(NOW, tick=False):
        return minimize.receive(
            pa.Table.from_pylist(sent), sender="vendor", function="hook", keys=inbound.keys, pipeline=inbound.folder
        )


@pytest.mark.parametrize("tenants", [("south", None), ("south", "west", None), (None, "")])
def test_if_no_tenant_agrees_records_without_one_change_nothing(inbound: Inbound, tenants: tuple[str | None]) -> None:
    with pytest.raises(NotPermitted) as caught:
        of_tenants(inbound, *({"tenant_id": tenant} for tenant in tenants))
    assert [each.rule for each in caught.value.reasons] == ["no_explicit_consent"]


def test_faulty_records_of_a_tenant_that_agreed_are_no_refusal(inbound: Inbound) -> None:
    assert of_tenants(inbound, {"tenant_id": "north", "udid": None}, {"tenant_id": "south"}).num_rows == 0


def test_a_policy_that_keeps_more_than_the_manifest_is_refused(inbound: Inbound) -> None:
    inbound.policy({"owner": {"type": "string", "role": "identifier", "do": {"mask": {"keep_last": 1}}}})
    with pytest.raises(PolicyError) as caught:
        in_memory(inbound, pipeline=inbound.folder)
    assert [each.code for each in caught.value.findings] == ["T033"]


def test_a_pipeline_that_receives_something_else_is_refused(inbound: Inbound) -> None:
    inbound.pipeline(source={"path": "data/*.ndjson", "format": "ndjson"})
    with pytest.raises(ConfigurationError, match="reads the organization's own records, not hook of vendor"):
        in_memory(inbound, pipeline=inbound.folder)


def test_a_policy_and_a_pipeline_are_one_too_many(inbound: Inbound) -> None:
    with pytest.raises(ConfigurationError, match="both a policy and a pipeline"):
        in_memory(inbound, pipeline=inbound.folder, policy=inbound.folder / "policy.yaml")


def test_an_account_without_the_permission_cannot_receive_data(
    inbound: Inbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_configuration(inbound.folder.parent, access=access_file(), keys=("device",))
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann")
    with pytest.raises(AccessDenied):
        in_memory(inbound, pipeline=inbound.folder)
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia")
    assert in_memory(inbound, pipeline=inbound.folder).num_rows == 1
