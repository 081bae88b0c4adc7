"""What leaves: row by row what every side lets out, recorded before it is handed over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import time_machine

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import ConfigurationError, KeyringError, LedgerError, NotPermitted, OutputError, PolicyError
from minimize.governance.sharing import digest_table, disclosure_token
from minimize.governance.sharing.plan import ShareRequest
from minimize.ledger import AuditEvent, find_ledger
from minimize.ledger.kinds import TENANT_SHARE, Disclosure, find_disclosures
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT, LifecycleEvent
from minimize.ledger.subject_tokens import subject_token
from tests.acts import record_acts
from tests.governance.sharing.sender import ANN, NOW, POLICY, RECORDS, Sender, changed, recent_records

HOUR = timedelta(hours=1)
SETTINGS = pa.table(
    {
        "tenant_id": ["north"],
        "subject": pa.array([None], pa.string()),
        "setting": ["location"],
        "value": ["on"],
        "holder": ["admin"],
        "valid_from": pa.array([NOW - timedelta(days=9)], pa.timestamp("us", "UTC")),
        "recorded_at": pa.array([NOW - timedelta(days=9)], pa.timestamp("us", "UTC")),
    }
)


def recorded(sender: Sender) -> list[Disclosure]:
    with open_ledger(find_ledger(sender.ledger)) as ledger:
        return find_disclosures(ledger)


def test_rows_of_tenants_that_do_not_agree_are_left_out_and_counted(sender: Sender) -> None:
    assert sender.share().column("model").to_pylist() == ["A", "B", "A"]
    account = sender.dry()
    assert (account.rows, dict(account.tenants)) == (3, {"north": 2, "south": 1})
    assert [(each.rule, each.tenants, each.rows) for each in account.held] == [("no_explicit_consent", 1, 1)]


def test_only_fields_of_the_manifest_leave_in_the_policy_s_order(sender: Sender) -> None:
    assert sender.share().column_names == ["device_id", "event_time", "model"]


def test_ours_is_done_first_and_then_the_manifest_s(sender: Sender) -> None:
    assert set(sender.share().column("event_time").to_pylist()) == {datetime(2026, 11, 25, tzinfo=UTC)}
    assert "truncate_time (to hour) → truncate_time (to day)" in sender.dry().fields["event_time"].form


def test_two_recipients_cannot_join_what_they_get(sender: Sender) -> None:
    other = sender.with_(vendor={**sender.vendor, "recipient": "second"}).agree("north", "south")
    one, two = (set(each.share().column("device_id").to_pylist()) for each in (sender, other))
    assert len(one) == len(two) == 3
    assert not one & two


def test_a_recipient_can_join_what_it_gets_at_different_times(sender: Sender) -> None:
    assert sender.share().column("device_id") == sender.share().column("device_id")


def test_a_tokenized_value_gets_another_token_at_the_recipient(sender: Sender) -> None:
    tokens = sender.with_(policy_=changed(POLICY, "fields.device_id.do", {"tokenize": {"key": "device"}}))
    assert {len(value) for value in tokens.share().column("device_id").to_pylist()} == {32}
    assert tokens.dry().category == "pseudonymized"


def test_a_key_of_the_manifest_is_the_recipient_s_own(sender: Sender) -> None:
    keyed = sender.vendor_with("functions.sync.fields.model.do", {"pseudonymize": {"key": "other"}})
    second = keyed.with_(vendor={**keyed.vendor, "recipient": "second"})
    for each in (keyed, second):
        each.consent("north", at=NOW - HOUR)
    one, two = (each.share(RECORDS.slice(0, 1)).column("model").to_pylist() for each in (keyed, second))
    assert one != two


def test_a_value_whose_collection_is_off_is_null_and_counted(sender: Sender) -> None:
    located = sender.vendor_with("functions.sync.fields.latitude", {"type": "double", "do": "keep"}).with_(
        settings=SETTINGS
    )
    for tenant in ("north", "south"):
        located.consent(tenant, at=NOW - HOUR)
    assert located.share().column("latitude").to_pylist() == [48.9, None, 40.4]
    assert dict(located.dry().gated) == {"latitude": 1}


def test_fields_may_be_asked_for_by_name(sender: Sender) -> None:
    assert sender.share(fields=["model"]).column_names == ["model"]


def test_a_contract_takes_a_field_out(sender: Sender) -> None:
    narrow = sender.contract_with("permitted_fields", ["model", "event_time"])
    assert narrow.share().column_names == ["event_time", "model"]
    assert narrow.dry().fields["device_id"].rule == "outside_contract"


@pytest.mark.parametrize("kind", [pa.Table, pa.RecordBatch, pa.RecordBatchReader, pd.DataFrame, pl.DataFrame])
def test_the_kind_of_data_that_comes_in_is_returned(sender: Sender, kind: type) -> None:
    ways: dict[type, Any] = {
        pa.Table: lambda: RECORDS,
        pa.RecordBatch: lambda: RECORDS.to_batches()[0],
        pa.RecordBatchReader: lambda: RECORDS.to_reader(max_chunksize=1),
        pd.DataFrame: RECORDS.to_pandas,
        pl.DataFrame: lambda: pl.from_arrow(RECORDS),
    }
    given = sender.share(ways[kind]())
    assert isinstance(given, kind)
    rows: Any = given.read_all() if isinstance(given, pa.RecordBatchReader) else given
    assert len(rows["model"]) == 3


def test_the_digest_of_a_payload_does_not_depend_on_its_batches(sender: Sender) -> None:
    given = sender.share()
    sender.share(RECORDS.to_reader(max_chunksize=1))
    assert {each.digest for each in recorded(sender)} == {digest_table(given)}


def test_the_act_is_recorded_with_what_permitted_it(sender: Sender) -> None:
    sender.share()
    (act,) = recorded(sender)
    assert (act.recipient, act.function, act.rows) == ("vendor", "sync", 3)
    assert act.retention_due == NOW + timedelta(days=30)
    assert (act.body["purpose"], act.body["category"]) == ("operations", "pseudonymized")
    assert {name: each["contract"] for name, each in act.body["tenants"].items()} == {"north": "C-1", "south": "C-1"}
    assert list(act.body["fields"]) == ["device_id", "event_time", "model"]
    assert {name: said["rows"] for name, said in act.body["tenants"].items()} == {"north": 2, "south": 1}
    assert act.is_signed(sender.keys)


def test_subjects_are_recorded_as_keyed_tokens(sender: Sender) -> None:
    sender.share()
    with open_ledger(find_ledger(sender.ledger)) as ledger:
        north, south = ledger.find(TENANT_SHARE, key=find_disclosures(ledger)[0].disclosure)
    assert set(north.token_texts()) == {disclosure_token(sender.keys, "north", name) for name in ("d-1", "d-3")}
    assert south.token_texts() == [disclosure_token(sender.keys, "south", "d-2")]


@pytest.mark.parametrize("kind", ["erasure", "restriction"])
def test_an_erased_or_restricted_subject_is_not_shared(sender: Sender, kind: str) -> None:
    token = subject_token(sender.keys, "north", "d-1")
    gone = LifecycleEvent("north", token, kind, NOW, "recorded", "[]", NOW, "ann")
    told = AuditEvent(component="t", actor=ANN, activity="events", time=NOW, operation="add", category="retention")
    with open_ledger(find_ledger(sender.ledger)) as ledger:
        record_acts(ledger, sender.keys, LIFECYCLE_EVENT, gone, event=told)
    assert sender.share(clock=NOW + HOUR).num_rows == 2


def test_a_dry_run_records_nothing(sender: Sender) -> None:
    sender.dry()
    assert recorded(sender) == []


@pytest.fixture(name="clock")
def _clock() -> Iterator[time_machine.Traveller]:
    """The clock, at the time of the act."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def withdrawing(sender: Sender, tenant: str, clock: time_machine.Traveller) -> Iterator[pa.RecordBatch]:
    first, *rest = RECORDS.to_batches(max_chunksize=1)
    yield first
    sender.consent(tenant, "withdrawn", at=NOW + timedelta(seconds=1))
    clock.shift(HOUR)
    yield from rest


@pytest.mark.parametrize("to", [None, "payload.parquet"])
def test_a_withdrawal_while_the_payload_is_made_stops_it(
    sender: Sender, to: str | None, clock: time_machine.Traveller
) -> None:
    data = pa.RecordBatchReader.from_batches(RECORDS.schema, withdrawing(sender, "south", clock))
    with pytest.raises(NotPermitted) as caught:
        sender.share(data, clock=None, to=None if to is None else sender.folder / to)
    ended = caught.value.reasons[0]
    assert (ended.rule, ended.code, ended.tenants, ended.rows) == ("consent_ended", "N052", 1, 1)
    assert recorded(sender) == []
    assert [*sender.folder.glob("*pay*"), *sender.folder.glob(".sharing*")] == []


def test_a_withdrawal_of_another_tenant_stops_nothing(sender: Sender, clock: time_machine.Traveller) -> None:
    data = pa.RecordBatchReader.from_batches(RECORDS.schema, withdrawing(sender, "west", clock))
    assert sender.share(data, clock=None).read_all().num_rows == 3


def test_nothing_leaves_that_could_not_be_recorded(sender: Sender) -> None:
    def fails(*_: object) -> None:
        raise LedgerError("the ledger is locked")

    with at_checkpoint("ledger.record", fails), pytest.raises(LedgerError, match="locked"):
        sender.share(to=sender.folder / "payload.parquet")
    assert not (sender.folder / "payload.parquet").exists()


def test_a_payload_is_never_written_over_a_file(sender: Sender) -> None:
    (sender.folder / "payload.csv").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        sender.share(to=sender.folder / "payload.csv")
    assert recorded(sender) == []


@pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson"])
def test_records_are_taken_from_files(sender: Sender, ending: str) -> None:
    whole = sender.with_(policy_=changed(POLICY, "fields.serial", None))
    path = whole.folder / f"in.{ending}"
    taken = RECORDS.select(["tenant_id", "device_id", "event_time", "model", "latitude", "phone", "note"])
    if ending == "parquet":
        taken.to_pandas().to_parquet(path)
    elif ending == "csv":
        taken.to_pandas().to_csv(path, index=False)
    else:
        path.write_text(taken.to_pandas().to_json(orient="records", lines=True, date_format="iso"))
    assert whole.share(path).num_rows == 3


def test_a_manifest_that_needs_an_unknown_field_is_a_fault(sender: Sender) -> None:
    reading = sender.vendor_with(
        "functions.sync.fields.model.do", {"pseudonymize": {"key": "other", "per": "event_time"}}
    )
    bare = reading.with_(policy_=changed(changed(POLICY, "fields.event_time", None), "time", None))
    bare = bare.with_(policy_=changed(bare.policy_, "retention", None))
    with pytest.raises(PolicyError, match="which is not in the policy"):
        bare.share(fields=["model"])


def test_a_policy_without_a_tenant_cannot_be_shared_by(sender: Sender) -> None:
    nobody = sender.with_(policy_=changed(changed(POLICY, "tenant", None), "features", None))
    nobody = nobody.with_(policy_=changed(nobody.policy_, "fields.latitude", None))
    with pytest.raises(ConfigurationError, match="names no tenant"):
        nobody.share()


def test_a_past_time_counts_for_a_dry_run_alone() -> None:
    past, future = NOW - HOUR, NOW + HOUR

    def moments(at: datetime | None, *, dry_run: bool) -> tuple[datetime, ...]:
        return ShareRequest("vendor", "sync", at=at, dry_run=dry_run).moments(NOW)

    assert moments(past, dry_run=False) == (NOW,)
    assert moments(past, dry_run=True) == (past,)
    assert moments(future, dry_run=False) == (NOW, future)
    assert moments(None, dry_run=False) == (NOW,)


def test_an_at_before_a_withdrawal_gets_nothing(sender: Sender) -> None:
    sender.consent("north", "withdrawn", at=NOW - HOUR)
    with pytest.raises(ConfigurationError, match="in the past"):
        sender.share(at=NOW - 2 * HOUR)
    assert sender.share().num_rows == 1


def test_a_time_to_come_must_be_fine_then_and_now(sender: Sender) -> None:
    sender.consent("west", at=NOW + timedelta(minutes=1))
    assert sender.share(at=NOW + HOUR).num_rows == 3


def test_the_public_call_shares_from_files_on_disk(sender: Sender, tmp_path: Path) -> None:
    policy, data = _on_disk(sender, tmp_path)
    given = minimize.share(
        data, recipient="vendor", function="sync", policy=policy, keys=sender.keys, ledger=sender.ledger,
        recipients=tmp_path / "recipients", to=tmp_path / "payload.ndjson",
    )  # fmt: skip
    assert len(given.read_text().splitlines()) == 3
    account = minimize.share(
        data, recipient="vendor", function="sync", policy=policy, keys=sender.keys, ledger=sender.ledger,
        recipients=tmp_path / "recipients", dry_run=True,
    )  # fmt: skip
    assert account.rows == 3


def test_the_public_call_refuses_a_time_in_the_past_but_for_a_dry_run(sender: Sender, tmp_path: Path) -> None:
    policy, data = _on_disk(sender, tmp_path)
    asked: dict[str, Any] = {
        "policy": policy,
        "keys": sender.keys,
        "ledger": sender.ledger,
        "recipients": tmp_path / "recipients",
    }
    before = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(ConfigurationError, match="in the past"):
        minimize.share(data, recipient="vendor", function="sync", at=before, to=tmp_path / "payload.ndjson", **asked)
    assert not (tmp_path / "payload.ndjson").exists()
    assert minimize.share(data, recipient="vendor", function="sync", at=before, dry_run=True, **asked).rows == 3


def test_without_a_keyring_nothing_is_shared(sender: Sender, tmp_path: Path) -> None:
    policy, data = _on_disk(sender, tmp_path)
    with pytest.raises(KeyringError, match="no keyring"):
        minimize.share(data, recipient="vendor", function="sync", policy=policy, ledger=sender.ledger)


def test_neither_policy_nor_pipeline_is_a_fault(sender: Sender) -> None:
    with pytest.raises(ConfigurationError, match="either a policy or a pipeline"):
        minimize.share(RECORDS, recipient="vendor", function="sync", keys=sender.keys)


def _on_disk(sender: Sender, folder: Path) -> tuple[Path, pa.Table]:
    """The policy and the recipient as files; the records of today."""
    sender.write()
    for tenant in ("north", "south"):
        sender.consent(tenant, at=datetime(2026, 11, 1, tzinfo=UTC))
    return folder / "policy.yaml", recent_records()
