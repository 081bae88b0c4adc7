""""""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from minimize.arrow.columns import KnownNames
from minimize.settings.evaluation import KnownEntities, KnownSubjects, SettingsQuery, pair_codes

KNOWN = KnownEntities(
    KnownNames(pa.array(["t", "u"])), {None: KnownSubjects(KnownNames(pa.array(["s"])), np.array([1 << 32]))}
)
TENANTS = pa.array(["u", "x", None, "t"])
TIME = pa.timestamp("ms", "UTC")


def asked(
    tenants: pa.Array = TENANTS, subjects: pa.Array | None = None, times: pa.Array | None = None
) -> SettingsQuery:
    return SettingsQuery(KNOWN, tenants, subjects, times)


@pytest.mark.parametrize("encode", [False, True])
def test_what_is_true_of_a_tenant_is_true_of_its_records_and_of_nobody_elses(encode: bool) -> None:
    tenants = TENANTS.dictionary_encode() if encode else TENANTS
    assert asked(tenants).spread(np.array([False, True, False])).to_pylist() == [True, False, False, False]
    assert asked(tenants).spread(np.array([True, True, False])).to_pylist() == [True, False, False, True]


def test_of_tenants_of_whom_it_is_always_true_no_record_is_looked_at_twice() -> None:
    everybody = pa.array(["t", "u", "t"]).dictionary_encode()
    assert asked(everybody).spread(np.array([True, True, False])).to_pylist() == [True, True, True]


def test_nothing_is_true_where_the_subject_or_the_time_is_missing() -> None:
    subjects, times = pa.array(["a", None, "b", "c"]), pa.array([1, 2, 3, None], TIME)
    everybody = pa.array(["t"] * 4)
    truths = np.array([True, True, False])
    assert asked(everybody, subjects, times).spread(truths).to_pylist() == [True, False, True, False]


def test_a_pair_with_rows_of_its_own_has_a_place() -> None:
    found = asked(pa.array(["u", "t", "u", "x"]), pa.array(["s", "s", "z", "s"])).own
    assert found is not None
    assert [(ids.rows.tolist(), ids.positions.tolist()) for ids in found] == [([0], [0])]


def test_the_bounds_of_times_are_in_microseconds_and_leave_nulls_out() -> None:
    assert asked(times=pa.array([5, None, 2, 3], TIME)).bounds == (2_000, 5_000)
    assert asked(times=pa.array([None] * 4, TIME)).bounds is None
    assert asked().bounds is None
    day = pa.array([datetime(1970, 1, 2, tzinfo=UTC).date()] * 4)
    assert asked(times=day.dictionary_encode()).bounds == (86_400_000_000, 86_400_000_000)


def test_nobody_and_somebody_are_no_pair() -> None:
    assert pair_codes(np.array([0, -1, 3]), np.array([2, 2, -1])).tolist() == [2, -1, -1]
