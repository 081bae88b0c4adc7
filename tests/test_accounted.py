"""The account of a call in memory: every row that is not returned has a reason, and the rows balance."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minimize
import minimize.pandas
from minimize import RowCounts
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from tests.project import AT, event, table

FIELDS: dict[str, Any] = {
    "tenant_id": {"type": "string", "do": "keep"},
    "device_id": {"type": "string", "role": "identifier", "do": "drop"},
    "event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "hour"}}},
    "battery": {"type": "double", "do": "keep"},
    "storage": {"type": "integer", "do": "keep", "required": True},
}
TOP = {"model": {"type": "string", "role": "quasi", "do": {"top": {"keep": 2, "other": "other", "at_least": 3}}}}
OLD = f"{AT - timedelta(days=31):%Y-%m-%dT%H:%M:%SZ}"
SETTINGS = pa.table(
    {
        "tenant_id": ["north"],
        "subject": pa.array([None], pa.string()),
        "setting": ["usage"],
        "value": ["on"],
        "holder": ["admin"],
        "valid_from": pa.array([AT - timedelta(days=300)], pa.timestamp("us", "UTC")),
        "recorded_at": pa.array([AT - timedelta(days=300)], pa.timestamp("us", "UTC")),
    }
)


@pytest.fixture(autouse=True, scope="module")
def _without_ledger() -> Iterator[None]:
    """No ledger of other tests, which may record erasures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MINIMIZE_LEDGER", raising=False)
        yield


def policy(*, top: bool = False) -> Policy:
    return policy_from_mapping(
        {
            "policy": "p",
            "version": 1,
            "purposes": ["operations"],
            "tenant": "tenant_id",
            "subject": "device_id",
            "time": "event_time",
            "retention": "30d",
            "never": ["/contacts"],
            "features": {"usage": {"about": "usage"}},
            "records": {"feature": "usage", "collect_if": {"battery": [1.0, 2.0]}},
            "fields": FIELDS | (TOP if top else {}),
        }
    )


REASONS: dict[str, dict[str, Any]] = {
    "returned": {},
    "retention": {"event_time": OLD},
    "setting": {"tenant_id": "south"},
    "condition": {"battery": 3.0},
    "missing_field": {"storage": None},
}


def rows(reasons: list[str]) -> pa.Table:
    good = {"tenant_id": "north", "battery": 1.0, "storage": 5}
    return table([event(number) | good | REASONS[reason] for number, reason in enumerate(reasons)])


def accounted(data: Any, *, top: bool = False) -> tuple[Any, RowCounts]:
    found: tuple[Any, RowCounts] = minimize.apply(policy(top=top), data, settings=SETTINGS, at=AT, counts=True)
    return found


ALL = [*REASONS, "returned", "retention", "retention"]
COUNTS = {"retention": 3, "setting": 1, "condition": 1, "missing_field": 1}


def test_every_row_that_is_not_returned_has_a_reason() -> None:
    out, account = accounted(rows(ALL))
    assert (account.read, account.returned, out.num_rows, account.complete) == (8, 2, 2, True)
    assert account.gated == {"setting": 1, "condition": 1, "retention": 3, "erased": 0}
    assert (account.quarantined, account.deduplicated) == ({"missing_field": 1}, 0)
    assert account.not_returned == COUNTS


def test_the_log_has_the_reasons_once_per_call(caplog: pytest.LogCaptureFixture) -> None:
    data = rows(ALL * 3)
    with caplog.at_level(logging.WARNING, "minimize"):
        accounted(pa.Table.from_batches(data.to_batches(max_chunksize=5)))
    (record,) = [each for each in caplog.records if getattr(each, "code", None) == "W010"]
    assert record.getMessage() == "18 records dropped: condition 3, missing_field 3, retention 9, setting 3"
    assert record.__dict__["data"] == {reason: 3 * count for reason, count in sorted(COUNTS.items())}


def test_a_row_that_retention_removes_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """3,000 of 6,000 rows vanished without a word."""
    with caplog.at_level(logging.WARNING, "minimize"):
        out = minimize.apply(policy(), rows(["returned", "retention"] * 3000), settings=SETTINGS, at=AT)
    assert out.num_rows == 3000
    assert "3000 records dropped: retention 3000" in caplog.text


def test_a_call_that_returns_every_row_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "minimize"):
        _, account = accounted(rows(["returned"] * 3))
    assert not [each for each in caplog.records if getattr(each, "code", None) == "W010"]
    assert account.not_returned == {}


@given(st.lists(st.sampled_from(list(REASONS)), max_size=40), st.booleans(), st.booleans(), st.integers(1, 9))
def test_the_rows_balance(reasons: list[str], lazy: bool, top: bool, size: int) -> None:
    whole = rows(reasons)
    data = pa.Table.from_batches(whole.to_batches(max_chunksize=size), whole.schema)
    out, account = accounted(data.to_reader() if lazy else data, top=top)
    returned = (out.read_all() if lazy else out).num_rows
    assert account.complete
    assert account.returned == returned == reasons.count("returned")
    assert account.read == len(reasons)
    lost = sum(account.gated.values()) + sum(account.quarantined.values()) + account.deduplicated
    assert account.read == account.returned + lost
    assert account.not_returned == {
        reason: reasons.count(reason) for reason in REASONS if reason != "returned" and reason in reasons
    }


def test_of_a_stream_the_account_is_complete_when_the_stream_ends(caplog: pytest.LogCaptureFixture) -> None:
    data = rows(ALL * 2)
    reader = pa.RecordBatchReader.from_batches(data.schema, data.to_batches(max_chunksize=4))
    with caplog.at_level(logging.WARNING, "minimize"):
        out, account = accounted(reader)
        assert (account.read, account.complete) == (0, False)
        out.read_next_batch()
        assert 0 < account.read < 16
        assert not account.complete
        assert "W010" not in {getattr(each, "code", None) for each in caplog.records}
        out.read_all()
    assert (account.read, account.returned, account.complete) == (16, 4, True)
    assert "12 records dropped" in caplog.text


def test_pandas_and_polars_have_an_account_too() -> None:
    frame, account = (
        rows(ALL).to_pandas(types_mapper=pd.ArrowDtype).minimize(policy(), settings=SETTINGS, at=AT, counts=True)
    )
    assert isinstance(frame, pd.DataFrame)
    assert (len(frame), account.not_returned) == (2, COUNTS)
    polars, account = accounted(pl.DataFrame(rows(ALL)))
    assert isinstance(polars, pl.DataFrame)
    assert (len(polars), account.not_returned) == (2, COUNTS)


def test_every_object_with_the_capsule_interface_gets_an_account() -> None:
    class Foreign:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return rows(ALL).__arrow_c_stream__(requested_schema)

    out, account = accounted(Foreign())
    assert (out.num_rows, account.not_returned) == (2, COUNTS)


def test_a_minimizer_has_the_account_of_the_last_call() -> None:
    ready = minimize.prepare(policy(), rows([]), settings=SETTINGS)
    assert ready.last is None
    ready(rows(ALL), AT)
    assert ready.last is not None
    assert ready.last.not_returned == COUNTS
    ready(rows(["returned"]), AT)
    assert (ready.last.read, ready.last.not_returned) == (1, {})


def test_each_thread_has_its_own_last_account() -> None:
    ready = minimize.prepare(policy(), rows([]), settings=SETTINGS)
    ready(rows(ALL), AT)

    def work(count: int) -> int:
        ready(rows(["retention"] * count), AT)
        assert ready.last is not None
        return ready.last.gated["retention"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(1, 20))) == list(range(1, 20))
    assert ready.last is not None
    assert ready.last.read == 8


def test_an_account_cannot_be_changed_and_shows_counts_alone() -> None:
    _, account = accounted(rows(ALL))
    with pytest.raises(AttributeError):
        account.read = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        account.gated["retention"] = 0  # type: ignore[index]
    assert repr(account) == (
        "RowCounts(read=8, returned=2, setting=1, condition=1, retention=3, missing_field=1, complete=True)"
    )
    assert account.to_json() == {
        "read": 8,
        "returned": 2,
        "gated": {"setting": 1, "condition": 1, "retention": 3, "erased": 0},
        "quarantined": {"missing_field": 1},
        "left_out": {"missing_field": 1},
        "deduplicated": 0,
        "complete": True,
    }
