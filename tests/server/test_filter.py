"""Conditions on columns: which rows meet them, and what statistics settle, on every type that can be compared.
Row groups and files that need not be decoded are not, and nothing that may be seen is left out for it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.access import ALL_TENANTS, TenantSet
from minimize.checkpoints import at_checkpoint
from minimize.errors import RefusedError
from minimize.output.stored_file import StoredFile, as_stored_file
from minimize.server.request import parse_filter
from minimize.server.view import bind_condition, date_matches, folder_matches, matching_row_groups, tenant_conditions
from tests.server.home import AGGREGATES, FIELDS, PURPOSE, Home
from tests.world import owned_event

TIMES = pa.timestamp("ms", "UTC")
NUMBERS = st.lists(st.integers(-5, 5) | st.none(), min_size=1, max_size=20)
OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def mask(values: list[Any], type_: pa.DataType, said: Any, *, coded: bool = False) -> list[bool]:
    column = pa.array(values, type_)
    rule = bind_condition(parse_filter({"c": said})[0], type_)
    found = rule.mask(column.dictionary_encode() if coded else column)
    assert found.null_count == 0
    return [*found.to_pylist()]


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("b", [False, True, False]),
        (["a", "z"], [True, False, False]),
        ({"!=": "a"}, [False, True, False]),
        ({">=": "b"}, [False, True, False]),
        (None, [False, False, True]),
        ([], [False, False, False]),
    ],
)
def test_texts(said: Any, expected: list[bool], coded: bool) -> None:
    assert mask(["a", "b", None], pa.string(), said, coded=coded) == expected


@pytest.mark.parametrize(
    ("values", "type_", "said", "expected"),
    [
        ([1, 2, None], pa.int32(), {">": 1}, [False, True, False]),
        ([1.5, float("nan"), None], pa.float64(), {"<": 2}, [True, False, False]),
        ([True, False, None], pa.bool_(), True, [True, False, False]),
        ([Decimal("1.50"), None], pa.decimal128(5, 2), "1.5", [True, False]),
        ([date(2026, 1, 2), None], pa.date32(), {"<=": date(2026, 1, 2)}, [True, False]),
        ([b"x", None], pa.binary(), b"x", [True, False]),
        ([datetime(2026, 1, 2, tzinfo=UTC), None], TIMES, "2026-01-02", [True, False]),
        ([datetime(2026, 1, 2, tzinfo=UTC), None], TIMES, {">": "2026-01-02T01:00:00+02:00"}, [True, False]),
    ],
)
def test_other_types(values: list[Any], type_: pa.DataType, said: Any, expected: list[bool]) -> None:
    assert mask(values, type_, said) == expected


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        (pa.string(), 1),
        (pa.string(), True),
        (pa.int32(), "1"),
        (pa.int32(), 1.5),
        (pa.int8(), 1000),
        (pa.int32(), True),
        (pa.float64(), "1"),
        (pa.bool_(), 1),
        (pa.bool_(), {"<": True}),
        (pa.binary(), {">": b"x"}),
        (pa.binary(), "not base64!"),
        (pa.date32(), "soon"),
        (TIMES, 7),
        (TIMES, "2026-01-02T00:00:00"),
        (pa.decimal128(5, 2), "x"),
        (pa.decimal128(5, 2), True),
        (pa.decimal128(5, 2), "1.234"),
        (pa.list_(pa.string()), "a"),
        (pa.struct([("a", pa.string())]), None),
    ],
)
def test_a_condition_that_does_not_fit_a_column_is_refused(type_: pa.DataType, said: Any) -> None:
    with pytest.raises(RefusedError) as error:
        bind_condition(parse_filter({"c": said})[0], type_)
    assert error.value.code == "B004"
    assert error.value.__context__ is None


@given(NUMBERS, OPERATORS, st.integers(-6, 6))
def test_no_row_that_meets_a_condition_is_left_out_by_statistics(
    values: list[int | None], operator: str, wanted: int
) -> None:
    column = pa.array(values, pa.int64())
    rule = bind_condition(parse_filter({"c": {operator: wanted}})[0], pa.int64())
    ends = pc.min_max(column)
    if ends["min"].is_valid and rule.mask(column).true_count:
        assert rule.may_match_range(ends["min"], ends["max"])


def test_statistics_settle_what_they_can() -> None:
    low, high = pa.scalar(3), pa.scalar(5)
    no = [{"==": 2}, {"<": 3}, {"<=": 2}, {">": 5}, {">=": 6}, {"in": [1, 6]}]
    yes = [{"==": 4}, {"<": 4}, {"<=": 3}, {">": 4}, {">=": 5}, {"in": [1, 3]}, {"!=": 3}]
    found = [
        bind_condition(parse_filter({"c": said})[0], pa.int64()).may_match_range(low, high) for said in (*no, *yes)
    ]
    assert found == [False] * len(no) + [True] * len(yes)


TABLE = pa.table(
    {
        "n": pa.array([*range(40)], pa.int32()),
        "t": pa.array([f"t{number // 10}" for number in range(40)]),
        "f": pa.array([float("nan") if number < 10 else number / 2 for number in range(40)]),
        "s": pa.array([{"x": number} for number in range(40)]),
        "l": pa.array([[number] for number in range(40)]),
        "z": pa.array([None] * 10 + [*range(30)], pa.int64()),
    }
)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> StoredFile:
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=10, use_dictionary=False)
    return as_stored_file("a.parquet", pq.ParquetFile(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    ("where", "groups"),
    [
        ({"n": {">=": 25}}, [2, 3]),
        ({"n": {">=": 25}, "t": "t2"}, [2]),
        ({"n": [3, 33]}, [0, 3]),
        ({"n": 400}, []),
        ({"n": {"!=": 3}}, [0, 1, 2, 3]),
        ({"t": {"<": "t1"}}, [0]),
        ({"f": {">": 15}}, [0, 3]),
        ({"z": {"<": 10}}, [0, 1]),
        ({"z": None}, [0, 1, 2, 3]),
        ({"other": 1}, [0, 1, 2, 3]),
    ],
)
def test_statistics_determine_which_row_groups_may_hold_a_row(
    file: StoredFile, where: dict[str, Any], groups: list[int]
) -> None:
    types = {**dict(zip(TABLE.schema.names, TABLE.schema.types, strict=True)), "other": pa.int64()}
    rules = [bind_condition(each, types[each.column]) for each in parse_filter(where)]
    assert matching_row_groups(file, rules) == groups


def test_every_row_that_meets_a_condition_is_in_the_row_groups_that_are_left(file: StoredFile) -> None:
    for column in ("n", "f", "z"):
        type_ = TABLE.schema.field(column).type
        for operator in ("==", "!=", "<", "<=", ">", ">="):
            for value in range(-1, 41, 3):
                rule = bind_condition(parse_filter({column: {operator: value}})[0], type_)
                left = matching_row_groups(file, [rule])
                wanted = {
                    row // 10
                    for row, meets in enumerate(rule.mask(TABLE[column].combine_chunks()).to_pylist())
                    if meets
                }
                assert wanted <= {*left}


def test_a_scope_is_a_condition_where_it_names_tenants() -> None:
    assert tenant_conditions(ALL_TENANTS, "t") == []
    assert tenant_conditions(~TenantSet.from_names("a"), "t") == []
    (rule,) = tenant_conditions(TenantSet.from_names("b", "a"), "t")
    assert rule.values.to_pylist() == ["a", "b"]


def test_folders_and_dates_determine_whether_their_rows_can_match() -> None:
    rules = [bind_condition(parse_filter({"t": ["a", "b"]})[0], pa.string())]
    assert [folder_matches(value, pa.string(), rules) for value in ("a", "c", None)] == [True, False, False]
    later = [bind_condition(parse_filter({"date": {">": "2026-11-23"}})[0], pa.date32())]
    assert [date_matches(on, later) for on in ("2026-11-24", "2026-11-23", None)] == [True, False, False]
    assert date_matches(None, [])


def test_files_of_tenants_and_dates_that_are_not_wanted_are_not_opened(home: Home) -> None:
    records = {"must_be": "identified", "partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}
    home.project.policy(FIELDS)
    home.project.pipeline(purpose=PURPOSE, records=records, aggregates=AGGREGATES, output="apart")
    home.project.records([owned_event(number) for number in range(60)], "2026-11-24")
    home.project.records([owned_event(number) for number in range(20)], "2026-11-23")
    home.project.run(output=home.project.out / "apart")
    from minimize.server.authorizer import Caller
    from minimize.server.client import DatasetReader
    from minimize.server.service import DataAccessService, LocalTransport, find_datasets

    door = DataAccessService(find_datasets([home.project.out / "apart"]), home.access, home.ledger, home.time)
    reader = DatasetReader(LocalTransport(door, Caller("nora")), "checkins")
    found = reader.read(purpose=PURPOSE)
    assert set(found["tenant_id"].to_pylist()) == {"north"}
    assert found.num_rows == 40
    opened: list[str] = []
    with at_checkpoint("snapshot.read", lambda _, path: opened.append(path)):
        assert reader.read(columns=["model"], where={"date": "2026-11-23"}, purpose=PURPOSE).num_rows == 10
    assert [path.split("/")[1:3] for path in opened] == [["date=2026-11-23", "tenant_id=north"]]
    for columns in (["tenant_id"], ["tenant_id", "date"]):
        assert reader.read(columns=columns, purpose=PURPOSE).num_rows == 40
