"""Values that people put right, in place of those that came in."""

from __future__ import annotations

import pickle
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from minimize.errors import KeyringError
from minimize.keys import Keyring, new_keyring
from minimize.ledger.subject_kinds import RecordedCorrection
from minimize.ledger.subject_tokens import subject_token
from minimize.plan import Plan
from minimize.records import Batch
from minimize.stages.corrections import Corrections, correctable_fields, find_corrections, open_value, seal_value
from minimize.stages.gate import Gate
from tests.project import AT
from tests.stages.make import before, plan_of, records

COLUMNS = {"phone": pa.string(), "size": pa.int64()}
FIELDS: dict[str, Any] = {"phone": {"type": "string", "do": "keep"}, "size": {"type": "integer", "do": "keep"}}
RAW = records(
    COLUMNS,
    {"phone": "1", "size": 1, "event_time": before(hours=3)},
    {"phone": "2", "size": 2, "event_time": before(hours=1)},
    {"phone": "3", "size": 3, "event_time": before(hours=3), "device_id": "other"},
    {"phone": "4", "size": 4, "event_time": before(hours=3), "tenant_id": "other"},
    {"phone": None, "size": None, "event_time": None},
)


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Keyring:
    return new_keyring(tmp_path / "test.keys", now=AT)


@pytest.fixture(name="plan")
def _plan() -> Plan:
    return plan_of(FIELDS, columns=COLUMNS, subject="device_id", time="event_time")


def row(keys: Keyring, name: str, text: str | None, hours: float = 2, told: float = 1) -> RecordedCorrection:
    token = subject_token(keys, "t", "d")
    return RecordedCorrection(
        "t", token, name, seal_value(keys, token, name, text), before(hours=hours), before(hours=told), "ann"
    )


def made(keys: Keyring, plan: Plan, *rows: RecordedCorrection) -> Corrections:
    found = find_corrections(rows, plan.policy, AT, keys)
    assert found is not None
    return found


def test_records_up_to_the_correction_have_the_corrected_value(keys: Keyring, plan: Plan) -> None:
    right = made(keys, plan, row(keys, "phone", "+49"), row(keys, "size", "42"))(RAW)
    assert right["phone"].to_pylist() == ["+49", "2", "3", "4", "+49"]
    assert right["size"].to_pylist() == [42, 2, 3, 4, 42]
    assert right.schema == RAW.schema


def test_dictionaries_stay_dictionaries(keys: Keyring, plan: Plan) -> None:
    raw = RAW.set_column(3, "phone", RAW["phone"].dictionary_encode())
    right = made(keys, plan, row(keys, "phone", "+49"))(raw)
    assert right.schema == raw.schema
    assert right["phone"].to_pylist() == ["+49", "2", "3", "4", "+49"]


def test_the_gate_looks_at_what_was_put_right(keys: Keyring) -> None:
    plan = plan_of(FIELDS, columns=COLUMNS, records={"collect_if": {"phone": "+49"}})
    batch = Gate(plan, None, AT, corrected=made(keys, plan, row(keys, "phone", "+49")))(Batch(RAW))
    assert batch.raw["size"].to_pylist() == [1, None]


def test_of_several_the_last_recorded_counts(keys: Keyring, plan: Plan) -> None:
    right = made(keys, plan, row(keys, "phone", "+1"), row(keys, "phone", None))(RAW)
    assert right["phone"].to_pylist()[0] is None


def test_later_corrections_and_those_of_other_policies_are_not_seen(keys: Keyring, plan: Plan) -> None:
    assert find_corrections([row(keys, "phone", "+49", told=-1)], plan.policy, AT, keys) is None
    assert find_corrections([row(keys, "unknown", "+49")], plan.policy, AT, keys) is None
    assert find_corrections([], plan.policy, AT + timedelta(days=1), keys) is None


def test_a_pickle_holds_neither_key_nor_value(keys: Keyring, plan: Plan) -> None:
    found = made(keys, plan, row(keys, "phone", "CANARY-4711"))
    assert found(RAW)["phone"].to_pylist()[0] == "CANARY-4711"
    sent = pickle.dumps(found)
    assert b"CANARY-4711" not in sent
    there = pickle.loads(sent)
    with pytest.raises(KeyringError):
        there(RAW)
    assert there.unlock(keys)(RAW)["phone"].to_pylist()[0] == "CANARY-4711"


def test_a_seal_opens_for_its_subject_and_field_alone(keys: Keyring, tmp_path: Path) -> None:
    text = seal_value(keys, "token", "phone", "+49")
    assert (open_value(keys, "token", "phone", text), "+49" in text) == ("+49", False)
    other = new_keyring(tmp_path / "other.keys", now=AT)
    for wrong in ((keys, "token", "name"), (keys, "another", "phone"), (other, "token", "phone")):
        with pytest.raises(KeyringError):
            open_value(*wrong, text)
    with pytest.raises(KeyringError):
        open_value(keys, "token", "phone", "nonsense")


def test_identity_and_time_are_not_correctable(plan: Plan) -> None:
    assert set(correctable_fields(plan.policy)) == {"phone", "size"}
