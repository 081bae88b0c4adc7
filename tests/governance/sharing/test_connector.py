"""Secrets pass from the caller to the recipient's call, row by row like everything else, and stand in nothing else."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pyarrow as pa
import pytest

from minimize.errors import ConfigurationError, NotPermitted
from minimize.governance.sharing import digest_table
from minimize.ledger import find_ledger
from minimize.ledger.kinds import Disclosure, find_disclosures
from minimize.ledger.ledger import open_ledger
from tests.governance.sharing.sender import FIELDS, NOW, POLICY, RECORDS, Sender, changed

SECRET = {"role": "secret", "do": "pass_through"}
PASSWORDS = ["p-1", "p-2", None, "p-4"]
DATA = RECORDS.append_column("newPassword", pa.array(PASSWORDS, pa.string()))


def connected(sender: Sender) -> Sender:
    """The vendor resets passwords; the policy knows them as secrets; north and south agree."""
    fields = {**FIELDS, "newPassword": SECRET}
    permitted = [*sender.vendor["contract"]["permitted_fields"], "newPassword"]
    able = sender.vendor_with("functions.sync.fields", fields).vendor_with("contract.permitted_fields", permitted)
    able = able.with_(policy_=changed(POLICY, "fields.newPassword", {"type": "string", "role": "secret", "do": "drop"}))
    for tenant in ("north", "south"):
        able.consent(tenant, at=NOW - timedelta(hours=1))
    return able


def recorded(sender: Sender) -> list[Disclosure]:
    with open_ledger(find_ledger(sender.ledger)) as ledger:
        return find_disclosures(ledger)


def test_the_connector_gets_the_payload_with_the_secrets_joined_and_the_caller_does_not(sender: Sender) -> None:
    seen: list[pa.Table] = []
    given = connected(sender).share(DATA, connector=seen.append)
    assert given.column_names == ["device_id", "event_time", "model"]
    (handed,) = seen
    assert handed.column("newPassword").to_pylist() == ["p-1", "p-2", None]
    assert handed.select(given.column_names).equals(given)


def test_secrets_of_tenants_that_do_not_agree_stay(sender: Sender) -> None:
    seen: list[pa.Table] = []
    connected(sender).share(DATA, connector=seen.append)
    assert "p-4" not in seen[0].column("newPassword").to_pylist()


def test_a_gate_that_is_closed_holds_a_secret_back(sender: Sender) -> None:
    gated = {"type": "string", "role": "secret", "do": "drop", "feature": "location"}
    able = connected(sender)
    able = able.with_(policy_=changed(able.policy_, "fields.newPassword", gated))
    seen: list[pa.Table] = []
    able.share(DATA, connector=seen.append)
    assert seen[0].column("newPassword").null_count == 3
    assert able.dry(DATA, connector=seen.append).gated == {}


def test_without_a_connector_a_secret_stays(sender: Sender) -> None:
    able = connected(sender)
    assert able.share(DATA).column_names == ["device_id", "event_time", "model"]
    assert able.dry(DATA).fields["newPassword"].rule == "no_connector"


def test_asked_for_by_name_without_a_connector_it_is_refused(sender: Sender) -> None:
    with pytest.raises(NotPermitted) as caught:
        connected(sender).share(DATA, fields=["newPassword", "model"])
    first = caught.value.reasons[0]
    assert (first.rule, first.fields) == ("no_connector", ("newPassword",))


def test_a_dry_run_calls_no_connector(sender: Sender) -> None:
    seen: list[pa.Table] = []
    account = connected(sender).dry(DATA, connector=seen.append)
    assert (account.fields["newPassword"].form, seen) == ("pass_through", [])


def test_a_function_of_secrets_alone_has_something_to_send(sender: Sender) -> None:
    alone = connected(sender).vendor_with("functions.sync.fields", {"newPassword": SECRET})
    for tenant in ("north", "south"):
        alone.consent(tenant, at=NOW - timedelta(minutes=1))
    seen: list[pa.Table] = []
    given = alone.share(DATA, connector=seen.append)
    assert given.num_columns == 0
    assert seen[0].to_pydict() == {"newPassword": ["p-1", "p-2"]}
    assert [(each.rows, list(each.body["fields"])) for each in recorded(alone)] == [(2, ["newPassword"])]


def test_a_secret_outside_the_contract_does_not_pass(sender: Sender) -> None:
    able = connected(sender).contract_with("permitted_fields", ["model"])
    with pytest.raises(NotPermitted) as caught:
        able.share(DATA, connector=print, fields=["newPassword"])
    assert "outside_contract" in {each.rule for each in caught.value.reasons}


def test_a_secret_is_held_to_the_consent(sender: Sender) -> None:
    seen: list[pa.Table] = []
    changed_text = connected(sender).vendor_with("functions.sync.text_version", 3)
    with pytest.raises(NotPermitted) as caught:
        changed_text.share(DATA, connector=seen.append, fields=["newPassword"])
    assert "other_text" in {each.rule for each in caught.value.reasons}
    assert seen == []


def test_a_field_that_the_policy_does_not_call_secret_does_not_pass(sender: Sender) -> None:
    able = connected(sender)
    plain = able.with_(policy_=changed(able.policy_, "fields.newPassword", {"type": "string", "do": "keep"}))
    assert plain.dry(DATA, connector=print).fields["newPassword"].why == "the policy does not declare it a secret"


def test_the_act_records_a_passed_through_field_and_digests_the_rest(sender: Sender) -> None:
    able = connected(sender)
    given = able.share(DATA, connector=lambda table: table)
    (act,) = recorded(able)
    assert act.body["fields"]["newPassword"] == "pass_through"
    assert act.digest == digest_table(given)


def test_the_call_is_made_once_and_only_after_it_was_recorded(sender: Sender) -> None:
    able, seen = connected(sender), []
    able.share(DATA, connector=lambda _: seen.append(len(recorded(able))))
    assert seen == [1]


def test_a_refused_share_calls_no_connector(sender: Sender) -> None:
    able = connected(sender)
    for tenant in ("north", "south"):
        able.consent(tenant, "withdrawn", at=NOW - timedelta(minutes=1))
    seen: list[pa.Table] = []
    with pytest.raises(NotPermitted):
        able.share(DATA, connector=seen.append)
    assert seen == []


@pytest.mark.parametrize("kind", [TimeoutError, ConnectionResetError, OSError, ValueError])
def test_after_a_connector_failure_the_act_stays_recorded_and_the_error_describes_it(
    sender: Sender, kind: type[Exception]
) -> None:
    def fails(_: pa.Table) -> None:
        raise kind("p-1")

    able = connected(sender)
    with pytest.raises(ConfigurationError) as caught:
        able.share(DATA, connector=fails, to=able.folder / "payload.parquet")
    assert caught.value.code == "E212"
    assert caught.value.message.startswith(
        f"the connector failed ({kind.__name__}); it is unknown which data the recipient received"
    )
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert len(recorded(able)) == 1
    assert not (able.folder / "payload.parquet").exists()


@pytest.mark.parametrize("kind", ["reader", "pandas"])
def test_streams_and_frames_pass_secrets_too(sender: Sender, kind: str) -> None:
    seen: list[pa.Table] = []
    data = DATA.to_reader(max_chunksize=1) if kind == "reader" else DATA.to_pandas()
    given = connected(sender).share(data, connector=seen.append)
    assert isinstance(given, pa.RecordBatchReader if kind == "reader" else pd.DataFrame)
    assert seen[0].column("newPassword").to_pylist() == ["p-1", "p-2", None]


def test_a_secret_within_a_column_has_no_way_through(sender: Sender) -> None:
    key = "/device/password"
    able = connected(sender).vendor_with("functions.sync.fields", {"model": {"do": "keep"}, key: SECRET})
    able = able.contract_with("permitted_fields", ["model", key])
    able = able.with_(policy_=changed(POLICY, f"fields.{key}", {"type": "string", "role": "secret", "do": "drop"}))
    nested = RECORDS.append_column("device", pa.array([{"password": "p"}] * 4))
    with pytest.raises(ConfigurationError, match="is nested in another column"):
        able.share(nested, connector=print)
