"""Settings over tokens answer as settings over the subjects themselves do."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import KeyringError
from minimize.keys import Keyring, new_keyring
from minimize.keys.keyring import add_key
from minimize.ledger.kinds import RecordedSetting
from minimize.ledger.subject_tokens import subject_token
from minimize.settings import FeatureSwitch, load_settings
from minimize.settings.timeline import FieldIds
from minimize.settings.tokenized import TokenizedSettings, ledger_rows

T0 = datetime(2026, 11, 1, tzinfo=UTC)
AT = T0 + timedelta(days=20)
TENANTS, SUBJECTS = ("north", "south", "east"), ("d1", "d2", "d3", None)
ROW = st.fixed_dictionaries(
    {
        "tenant_id": st.sampled_from(TENANTS[:2]),
        "subject": st.sampled_from(SUBJECTS),
        "setting": st.sampled_from(["location", "level"]),
        "value": st.sampled_from(["on", "off", "basic", "full"]),
        "holder": st.sampled_from(["admin", "user"]),
        "valid_from": st.integers(0, 15).map(lambda day: T0 + timedelta(days=day)),
        "recorded_at": st.integers(0, 25).map(lambda day: T0 + timedelta(days=day)),
    }
)
RECORDS = st.lists(
    st.tuples(st.sampled_from((*TENANTS, None)), st.sampled_from(SUBJECTS), st.integers(0, 18)), min_size=1
)


@pytest.fixture(scope="module", name="keys")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return new_keyring(tmp_path_factory.mktemp("keys") / "test.keys", now=T0)


def tokened(rows: list[dict[str, Any]], keys: Keyring) -> list[RecordedSetting]:
    return [
        RecordedSetting(**row | {"subject": row["subject"] and subject_token(keys, row["tenant_id"], row["subject"])})
        for row in rows
    ]


def columns(records: list[tuple[str | None, str | None, int]]) -> tuple[pa.Array, pa.Array, pa.Array]:
    tenants, subjects, days = zip(*records, strict=True)
    times = pa.array([T0 + timedelta(days=day) for day in days], pa.timestamp("us", "UTC"))
    return pa.array(tenants, pa.string()), pa.array(subjects, pa.string()), times


def test_a_token_of_another_field_counts_in_that_field_alone(keys: Keyring) -> None:
    wide: dict[str, Any] = {
        "tenant_id": "north",
        "setting": "location",
        "holder": "admin",
        "valid_from": T0,
        "recorded_at": T0,
    }
    own = wide | {"subject": subject_token(keys, "north", "d1", field="user"), "field": "user", "value": "off"}
    rows = [RecordedSetting(**wide, subject=None, value="on"), RecordedSetting(**own)]
    seen = ledger_rows(rows, keys, "a ledger").effective_at(AT)
    tenants, subjects = pa.array(["north"] * 3), pa.array(["d1", "d2", "d2"])
    asked = (FeatureSwitch("location"), tenants, subjects, None)
    assert seen.feature_on(*asked).to_pylist() == [True, True, True]
    users = {"user": FieldIds(pa.array(["d3", "d2", "d1"]), np.array([0, 1, 1]))}
    assert seen.feature_on(*asked, users).to_pylist() == [True, False, True]
    assert seen.deciding_rows("north", "location", AT, "d1", field="user")[-1].value == "off"
    assert [row.value for row in seen.deciding_rows("north", "location", AT, "d1")] == ["on"]


@given(st.lists(ROW, max_size=12), RECORDS, st.booleans())
def test_tokenized_and_plain_settings_give_equal_answers(
    keys: Keyring, rows: list[dict[str, Any]], records: list[Any], encoded: bool
) -> None:
    plain = load_settings(pa.Table.from_pylist(rows, load_settings(None).table.schema)).effective_at(AT)
    veiled = ledger_rows(tokened(rows, keys), keys, "a ledger").effective_at(AT)
    tenants, subjects, times = columns(records)
    subjects = subjects.dictionary_encode() if encoded else subjects
    for holders, per_subject in product(((), ("user",)), (False, True)):
        asked = (FeatureSwitch("location", holders, per_subject), tenants, subjects, times)
        assert veiled.feature_on(*asked).equals(plain.feature_on(*asked))
    level = ("full", ("required", "basic", "full"), tenants, subjects, times)
    assert veiled.level_at_least(*level).equals(plain.level_at_least(*level))


def own_off(keys: Keyring) -> list[RecordedSetting]:
    on = {"tenant_id": "north", "subject": None, "setting": "location", "value": "on", "holder": "admin"}
    times = {"valid_from": T0, "recorded_at": T0}
    return tokened([on | times, on | times | {"subject": "device-4711", "value": "off", "holder": "user"}], keys)


def answers(settings: Any) -> list[bool]:
    tenants, subjects = pa.array(["north", "north"]), pa.array(["device-4711", "d2"])
    return list(settings.feature_on(FeatureSwitch("location"), tenants, subjects, None).to_pylist())


def test_a_token_of_an_older_key_still_matches_its_subject(tmp_path: Path) -> None:
    first = new_keyring(tmp_path / "test.keys", now=T0)
    rows = own_off(first)
    newer = add_key(first.path, "subject", now=T0)
    assert answers(ledger_rows(rows, newer, "a ledger").effective_at(AT)) == [False, True]


def test_both_tokens_of_a_subject_must_be_on(tmp_path: Path) -> None:
    """Brought in from another ledger, they cannot be told to be one before the subject is there."""
    first = new_keyring(tmp_path / "test.keys", now=T0)
    newer = add_key(first.path, "subject", now=T0)
    on, off = own_off(first)
    for mine, other in (("off", "on"), ("on", "off"), ("on", "on")):
        tokens = (subject_token(newer, "north", "device-4711", version) for version in (1, 2))
        own = [replace(off, subject=token, value=value) for token, value in zip(tokens, (mine, other), strict=True)]
        seen = ledger_rows([on, *own], newer, "a ledger").effective_at(AT)
        assert answers(seen) == [mine == other == "on", True]
        assert [row.value for row in seen.deciding_rows("north", "location", AT, "device-4711")] == ["on", mine, other]


def test_of_two_tokens_of_a_subject_each_must_be_on_for_a_per_subject_feature(tmp_path: Path) -> None:
    first = new_keyring(tmp_path / "test.keys", now=T0)
    newer = add_key(first.path, "subject", now=T0)
    on, own = own_off(first)
    switch = FeatureSwitch("location", per_subject=True)
    for values in (("on", "on"), ("on", "off"), ("on",)):
        tokens = (subject_token(newer, "north", "device-4711", version) for version in (1, 2))
        rows = [
            replace(own, subject=token, value=value, valid_from=AT)
            for token, value in zip(tokens, values, strict=False)
        ]
        found = ledger_rows([on, *rows], newer, "a ledger").effective_at(AT)
        asked = (switch, pa.array(["north", "north"]), pa.array(["device-4711", "d2"]), None)
        assert found.feature_on(*asked).to_pylist() == ["off" not in values, False]


def test_a_token_whose_key_is_not_there_is_an_error_and_not_an_on(keys: Keyring, tmp_path: Path) -> None:
    other = new_keyring(tmp_path / "other.keys", now=T0)
    newer = add_key(other.path, "subject", now=T0)
    rows = own_off(newer)
    with pytest.raises(KeyringError):
        ledger_rows(rows, keys, "a ledger")


def test_settings_of_subjects_require_a_keyring(keys: Keyring) -> None:
    with pytest.raises(KeyringError, match="settings of single subjects"):
        ledger_rows(own_off(keys), None, "a ledger")


def test_settings_sent_to_another_process_hold_no_key_and_no_subject(keys: Keyring) -> None:
    seen = ledger_rows(own_off(keys), keys, "a ledger").effective_at(AT)
    assert isinstance(seen, TokenizedSettings)
    assert answers(seen) == [False, True]
    sent = pickle.dumps(seen)
    assert all(secret not in sent for secrets in seen.secrets.values() for secret in secrets.values())
    assert b"device-4711" not in sent
    assert answers(copy.deepcopy(seen).with_keys(keys)) == [False, True]


def test_the_printed_settings_hide_the_subjects(keys: Keyring) -> None:
    seen = ledger_rows(own_off(keys), keys, "a ledger").effective_at(AT)
    assert "subject/1" not in repr(seen)


def test_why_finds_the_rows_of_the_subject(keys: Keyring) -> None:
    seen = ledger_rows(own_off(keys), keys, "a ledger").effective_at(AT)
    assert [row.value for row in seen.deciding_rows("north", "location", AT, "device-4711")] == ["on", "off"]
    assert [row.value for row in seen.deciding_rows("north", "location", AT, "d2")] == ["on"]
