"""Row groups and files that need not be decoded are not, and nothing that may be seen is left out for it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.governance.access import ALL_TENANTS, TenantSet
from minimize.output.stored_file import StoredFile, as_stored_file
from minimize.server.filter import bind_condition, date_matches, folder_matches, matching_row_groups, tenant_conditions
from minimize.server.request import parse_filter
from tests.door.home import AGGREGATES, FIELDS, PURPOSE, Home
from tests.world import owned_event

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
def test_statistics_say_which_row_groups_may_hold_a_row(
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


def test_folders_and_dates_say_something_about_all_of_their_rows() -> None:
    rules = [bind_condition(parse_filter({"t": ["a", "b"]})[0], pa.string())]
    assert [folder_matches(value, pa.string(), rules) for value in ("a", "c", None)] == [True, False, False]
    later = [bind_condition(parse_filter({"date": {">": "2026-11-23"}})[0], pa.date32())]
    assert [date_matches(on, later) for on in ("2026-11-24", "2026-11-23", None)] == [True, False, False]
    assert date_matches(None, [])


def test_files_of_tenants_and_dates_that_are_not_wanted_are_not_opened(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = {"must_be": "identified", "partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}
    home.project.policy(FIELDS)
    home.project.pipeline(purpose=PURPOSE, records=records, aggregates=AGGREGATES, output="apart")
    home.project.records([owned_event(number) for number in range(60)], "2026-11-24")
    home.project.records([owned_event(number) for number in range(20)], "2026-11-23")
    home.project.run(output=home.project.out / "apart")
    from minimize.server import snapshot
    from minimize.server.authorizer import Caller
    from minimize.server.client import DatasetReader
    from minimize.server.service import DataAccessService, LocalTransport, find_datasets

    door = DataAccessService(
        find_datasets([home.project.out / "apart"]), home.access, home.ledger, home.keys, home.time
    )
    reader = DatasetReader(LocalTransport(door, Caller("nora"), home.ledger), "checkins")
    found = reader.read(purpose=PURPOSE)
    assert set(found["tenant_id"].to_pylist()) == {"north"}
    assert found.num_rows == 40
    opened: list[str] = []
    real = snapshot.OpenSnapshot.file

    def file(self: snapshot.OpenSnapshot, path: str, coded: Collection[str] = ()) -> StoredFile:
        opened.append(path)
        return real(self, path, coded)

    monkeypatch.setattr(snapshot.OpenSnapshot, "file", file)
    assert reader.read(columns=["model"], where={"date": "2026-11-23"}, purpose=PURPOSE).num_rows == 10
    assert [path.split("/")[1:3] for path in opened] == [["date=2026-11-23", "tenant_id=north"]]
    for columns in (["tenant_id"], ["tenant_id", "date"]):
        assert reader.read(columns=columns, purpose=PURPOSE).num_rows == 40
