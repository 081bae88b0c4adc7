"""What third parties answer is about the users and devices that they were sent: both sides are joined."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import time_machine

import minimize as library
from minimize.keys import Keyring
from tests.project import clean_environment

from .shipped import (
    AT,
    OFFICER,
    PIPELINES,
    RECEIVED,
    ROOT,
    SENT,
    Ran,
    Runs,
    consent,
    minimize,
    new_keys,
    record_sample_settings,
    sample,
)

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
MATCHES = [
    ("apple_volume_purchase", "user_guid", "apple_volume_purchase_sync", "user_guid"),
    ("apple_device_enrollment", "serial_number", "apple_device_enrollment_sync", "serial_number"),
    ("threat_defense_app_sync", "vendor_device_id", "threat_defense_threat_state", "device_id"),
]
"""What is sent, its field, what is received, and its field."""
every = pytest.mark.parametrize(("sent", "key", "received", "answered"), MATCHES)


def payload(name: str, ledger: Path, keys: Path) -> pa.Table:
    """What `share` returns for the committed sample."""
    recipient, function = SENT[name]
    consent(ledger, Keyring.load(keys), recipient, function)
    record_sample_settings(ledger, Keyring.load(keys), name)
    places: dict[str, Any] = {"pipeline": PIPELINES / name, "keys": keys, "ledger": ledger}
    with time_machine.travel(NOW, tick=False), clean_environment(PIPELINES) as patch:
        patch.setenv("MINIMIZE_ACTOR", OFFICER)
        shared = [
            library.share(path, recipient=recipient, function=function, connector=lambda _: None, **places)
            for path in sorted((ROOT / "sample_data" / name).glob("*/*.ndjson.gz"))
        ]
    return pa.concat_tables(shared)


@every
def test_every_answer_is_about_an_id_that_was_sent(
    sent: str, key: str, received: str, answered: str, tmp_path: Path
) -> None:
    keys = new_keys(tmp_path / "test.keys")
    known = set(payload(sent, tmp_path / "ledger.db", keys).column(key).to_pylist())
    recent = [record for record in sample(received) if str(record.get("received_at")).startswith("2026-11-2")]
    answers = {value for record in recent if isinstance(value := record.get(answered), str) and "\ufffd" not in value}
    assert answers
    assert answers <= known


@every
def test_kept_answers_belong_to_ids_that_were_sent(
    sent: str, key: str, received: str, answered: str, runs: Runs, tmp_path: Path
) -> None:
    known = set(payload(sent, tmp_path / "ledger.db", runs.keys).column(key).to_pylist())
    pairs = {(record.get("tenant_id"), record.get(key)) for record in sample(sent) if record.get(key) in known}
    messages = [
        {"message_id": str(number), "tenant_id": tenant, "received_at": "2026-11-24T12:00:00Z", answered: value}
        for number, (tenant, value) in enumerate(sorted(pairs))
    ]
    source = tmp_path / "in" / "2026-11-24"
    source.mkdir(parents=True)
    (source / "answers.ndjson").write_text("\n".join(map(json.dumps, messages)))
    consent(runs.keys.with_name("ledger.db"), Keyring.load(runs.keys), *RECEIVED[received])
    places = ("--input", f"{tmp_path}/in/{{date}}/answers.ndjson", "--output", str(tmp_path / "out"))
    done = minimize("run", str(PIPELINES / received), "--at", AT, "--json", *places, keys=runs.keys)
    assert done.code == 0, done.err
    kept, possible = (
        set(ran.table().column(answered).to_pylist())
        for ran in (runs[received], Ran(tmp_path / "out", done, runs.keys))
    )
    assert kept
    assert kept <= possible
