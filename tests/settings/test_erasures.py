"""Whose records must not come back, against a literal reading."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from minimize.errors import KeyringError
from minimize.keys import Keyring, new_keyring
from minimize.ledger.subject_tokens import subject_token
from minimize.settings.erasures import Erasures, Tombstone
from tests.hypothesis_profiles import examples

AT = datetime(2026, 11, 25, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")
Row = tuple[str | None, str | None, datetime | None]


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return new_keyring(tmp_path_factory.mktemp("keys") / "test.keys", now=AT)


def columns(rows: Sequence[Row]) -> tuple[pa.Array, pa.Array, pa.Array]:
    tenants, subjects, times = zip(*rows, strict=True)
    return pa.array(tenants, pa.string()), pa.array(subjects, pa.string()), pa.array(times, TIME)


def gone(erased: Erasures, rows: Sequence[Row]) -> list[bool]:
    found = erased.erased_mask(*columns(rows))
    return [False] * len(rows) if found is None else found.to_pylist()


def erased(keys: Keyring, *stones: tuple[str, str | None, datetime]) -> Erasures:
    made = Erasures.from_tombstones([stone(keys, *each) for each in stones], keys)
    assert made is not None
    return made


def stone(keys: Keyring, tenant: str, subject: str | None, until: datetime) -> Tombstone:
    return Tombstone(tenant, until, None if subject is None else subject_token(keys, tenant, subject))


def test_records_up_to_the_erasure_are_erased_and_later_ones_are_not(keys: Keyring) -> None:
    made = erased(keys, ("north", "d1", AT))
    second = timedelta(seconds=1)
    rows: list[Row] = [("north", "d1", AT), ("north", "d1", AT + second), ("north", "d2", AT), ("south", "d1", AT)]
    assert gone(made, rows) == [True, False, False, False]


def test_a_whole_tenant_is_gone_with_all_of_its_subjects(keys: Keyring) -> None:
    made = erased(keys, ("north", None, AT))
    assert gone(made, [("north", "d1", AT), ("north", None, AT), ("south", "d1", AT)]) == [True, True, False]


def test_a_record_without_a_time_is_as_old_as_can_be(keys: Keyring) -> None:
    made = erased(keys, ("north", "d1", AT))
    assert gone(made, [("north", "d1", None)]) == [True]
    untimed = made.erased_mask(pa.array(["north"]), pa.array(["d1"]), None)
    assert untimed is not None
    assert untimed.to_pylist() == [True]


def test_of_several_erasures_the_latest_counts(keys: Keyring) -> None:
    made = erased(
        keys, ("north", "d1", AT), ("north", "d1", AT - timedelta(days=1)), ("north", None, AT - timedelta(days=9))
    )
    assert gone(made, [("north", "d1", AT), ("north", "d2", AT), ("north", "d2", AT - timedelta(days=9))]) == [
        True,
        False,
        True,
    ]


def test_an_empty_list_of_erasures_is_none(keys: Keyring) -> None:
    assert Erasures.from_tombstones([], keys) is None


def test_a_subject_is_recognized_under_an_older_key(tmp_path: Path) -> None:
    from minimize.keys import add_key

    path = tmp_path / "test.keys"
    old = new_keyring(path, now=AT)
    made = stone(old, "north", "d1", AT)
    new = add_key(path, "subject", now=AT)
    assert gone(Erasures.from_tombstones([made], new) or erased(new), [("north", "d1", AT)]) == [True]


def test_without_subject_keys_erasures_cannot_be_evaluated(keys: Keyring) -> None:
    made = pickle.loads(pickle.dumps(erased(keys, ("north", "d1", AT))))
    with pytest.raises(KeyringError):
        gone(made, [("north", "d1", AT)])
    assert gone(made.with_keys(keys), [("north", "d1", AT)]) == [True]


def test_neither_people_nor_keys_are_printed_or_pickled(keys: Keyring) -> None:
    made = erased(keys, ("north", "d1", AT))
    assert gone(made, [("north", "d1", AT)]) == [True]
    assert "d1" not in repr(made)
    assert keys.subkey("subject", "ledger", 1) not in pickle.dumps(made)


def rows() -> st.SearchStrategy[list[Row]]:
    when = st.integers(-3, 3).map(lambda day: AT + timedelta(days=day)) | st.none()
    who = st.sampled_from([None, "d1", "d2"])
    return st.lists(st.tuples(st.sampled_from([None, "north", "south"]), who, when), min_size=1, max_size=8)


def stones() -> st.SearchStrategy[list[tuple[str, str | None, datetime]]]:
    when = st.integers(-2, 2).map(lambda day: AT + timedelta(days=day))
    who = st.sampled_from([None, "d1", "d2"])
    return st.lists(st.tuples(st.sampled_from(["north", "south"]), who, when), min_size=1, max_size=4)


@given(rows(), stones(), st.booleans())
@hypothesis(
    max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_erasures_match_a_literal_reading(keys: Keyring, found: list[Row], told: Any, encoded: bool) -> None:
    def plainly(row: Row) -> bool:
        return any(
            row[0] == tenant and who in (None, row[1]) and (row[2] is None or row[2] <= until)
            for tenant, who, until in told
        )

    given_columns = [
        each.dictionary_encode() if encoded and index < 2 else each for index, each in enumerate(columns(found))
    ]
    said = erased(keys, *told).erased_mask(*given_columns)
    assert (said.to_pylist() if said is not None else [False] * len(found)) == [plainly(row) for row in found]
