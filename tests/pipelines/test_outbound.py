"""The pipelines whose records are sent: from the committed sample to what each recipient gets, and nothing without consent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import time_machine
from minimize_samples.world import TENANTS

import minimize as library
from minimize.arrow.pointers import Pointer
from minimize.errors import NotPermitted
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.policy.load import load_pipeline
from minimize.recipients import Function, Recipient, load_recipient
from tests.project import clean_environment

from .shipped import (
    OFFICER,
    PIPELINES,
    RECIPIENTS,
    ROOT,
    SENT,
    Runs,
    consent,
    minimize,
    new_keys,
    record_sample_settings,
)

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
SECRETS = {
    "apple_device_enrollment": {"server_token"},
    "apple_push": {"Token", "PushMagic"},
    "google_android_management": {"newPassword", "service_account_key"},
}
COLLECTING = TENANTS[:2]
"""The tenants that have turned on `app_inventory`."""
every = pytest.mark.parametrize("name", sorted(SENT))


def recipient_of(name: str) -> Recipient:
    return load_recipient(RECIPIENTS / f"{SENT[name][0]}.yaml")


def function_of(name: str) -> Function:
    found = recipient_of(name).function(SENT[name][1])
    assert found is not None
    return found


@dataclass(frozen=True)
class Sending:
    """A ledger with or without the consents of all tenants, and outputs that are made when they are asked for."""

    runs: Runs
    ledger: Path
    made: dict[str, tuple[pa.Table, pa.Table]] = field(default_factory=dict)

    def sample(self, name: str) -> list[Path]:
        return sorted((ROOT / "sample_data" / name).glob("*/*.ndjson.gz"))

    def share(self, name: str, data: Path, **options: Any) -> Any:
        recipient, function = SENT[name]
        places: dict[str, Any] = {"pipeline": PIPELINES / name, "keys": self.runs.keys, "ledger": self.ledger}
        with time_machine.travel(NOW, tick=False), clean_environment(PIPELINES) as patch:
            patch.setenv("MINIMIZE_ACTOR", OFFICER)
            return library.share(data, recipient=recipient, function=function, **places, **options)

    def sent(self, name: str) -> tuple[pa.Table, pa.Table]:
        """What is returned, and what the connector gets if there are secrets, of all files of the sample."""
        if name not in self.made:
            handed: list[pa.Table] = []
            returned = [self.share(name, path, connector=handed.append) for path in self.sample(name)]
            found = pa.concat_tables(returned)
            self.made[name] = found, pa.concat_tables(handed) if handed else found
        return self.made[name]

    def send(self, name: str, *arguments: str) -> Any:
        """`share send` from the output of the pipeline."""
        recipient, function = SENT[name]
        places = ["--pipeline", str(PIPELINES / name), "--output", str(self.runs[name].output)]
        with time_machine.travel(NOW, tick=False):
            return minimize("share", "send", recipient, function, *places, *arguments, keys=self.runs.keys)


@pytest.fixture(scope="module", name="sending")
def _sending(tmp_path_factory: pytest.TempPathFactory) -> Sending:
    folder = tmp_path_factory.mktemp("outbound")
    found = Sending(Runs(folder, new_keys(folder / "test.keys")), folder / "ledger.db")
    for name in SENT:
        consent(found.ledger, Keyring.load(found.runs.keys), *SENT[name])
        record_sample_settings(found.ledger, Keyring.load(found.runs.keys), name)
    return found


def values(table: pa.Table, key: str) -> Iterator[Any]:
    """The values of a field that is a column, or the elements of a list."""
    for value in table.column(Pointer.parse(key).top).to_pylist():
        yield from value or () if key.endswith("/*") else (value,)


@every
def test_it_has_every_field_of_its_function(name: str) -> None:
    policy = load_pipeline(PIPELINES / name).policy
    assert set(function_of(name).fields) <= set(policy.fields)


@every
def test_all_fields_arrive_with_the_consent_of_the_tenants(name: str, sending: Sending) -> None:
    _, handed = sending.sent(name)
    assert handed.num_rows > 0
    empty = [key for key in function_of(name).fields if all(value is None for value in values(handed, key))]
    assert empty == []


def test_there_are_sixty_four_fields_of_which_five_are_secrets() -> None:
    functions = [function_of(name) for name in SENT]
    assert sum(len(each.fields) for each in functions) == 55 + 9
    assert {
        name: set(function_of(name).pass_through_fields) for name in SENT if function_of(name).pass_through_fields
    } == SECRETS


@every
def test_secrets_reach_the_connector_and_nothing_else(name: str, sending: Sending) -> None:
    returned, handed = sending.sent(name)
    secrets = SECRETS.get(name, set())
    assert set(handed.column_names) - set(returned.column_names) == secrets
    raw = {value for key in secrets for value in values(handed, key) if value is not None}
    texts = {value for row in returned.to_pylist() for value in row.values() if isinstance(value, str)}
    assert not raw & texts
    assert not any(value.encode() in sending.ledger.read_bytes() for value in raw)


@every
def test_without_consent_nothing_leaves(name: str, sending: Sending, tmp_path: Path) -> None:
    alone = Sending(sending.runs, tmp_path / "ledger.db")
    with open_ledger(find_ledger(alone.ledger), create=True):
        pass
    got: list[pa.Table] = []
    with pytest.raises(NotPermitted) as caught:
        alone.share(name, alone.sample(name)[0], connector=got.append)
    agent = name == "support_desk_cases"
    refusal = "no_consent" if agent else "no_explicit_consent"
    assert {each.rule for each in caught.value.reasons} == {refusal, "incomplete", "nothing_left"}
    assert got == []


@every
def test_share_send_sends_the_output_but_for_secrets(name: str, sending: Sending, tmp_path: Path) -> None:
    done = sending.send(name, "--to", str(tmp_path / "payload.parquet"), "--json")
    function = function_of(name)
    if not function.shared:
        assert done.code == 3
        assert "secrets are read from the source" in done.err
        return
    assert done.code == 0, done.err
    columns = {Pointer.parse(key).top for key in function.shared}
    assert set(pq.read_schema(tmp_path / "payload.parquet").names) == columns
    assert done.json["rows"] == sending.runs[name].receipt["rows"]["written"]


def test_the_states_of_profiles_are_those_that_the_manifest_lists(sending: Sending) -> None:
    name = "apple_device_enrollment"
    returned, _ = sending.sent(name)
    listed = set(function_of(name).fields["profile_status"].values)
    assert set(values(returned, "profile_status")) == {*listed, None}
    accounts = [sending.share(name, path, dry_run=True) for path in sending.sample(name)]
    assert sum(each.unparsable["profile_status"] for each in accounts) == returned.column("profile_status").null_count


def test_applications_are_collected_only_where_the_tenant_turned_it_on(sending: Sending) -> None:
    for path in sending.sample("threat_defense_app_sync"):
        account = sending.share("threat_defense_app_sync", path, dry_run=True)
        assert set(account.tenants) <= set(COLLECTING)
        assert account.rows > 0
        assert [each.rule for each in account.held][:1] == ["collection_off"]


@pytest.mark.parametrize(
    ("name", "key"), [("support_desk_cases", "message"), ("apple_device_enrollment", "description")]
)
def test_free_text_leaves_without_the_addresses_in_it(name: str, key: str, sending: Sending) -> None:
    texts = list(values(sending.sent(name)[0], key))
    assert any("[email]" in text for text in texts)
    assert not any("@" in text for text in texts)


def test_the_same_device_has_other_names_at_other_recipients_and_in_the_output(sending: Sending) -> None:
    sent = set(values(sending.sent("google_android_management")[0], "device_id"))
    output = library.read(sending.runs["google_android_management"].output, keys=sending.runs.keys)
    assert sent
    assert not sent & set(values(output, "device_id"))
