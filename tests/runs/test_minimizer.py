"""`apply` and `prepare`: the kind that comes in goes out, minimized."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minimize
from minimize.errors import ConfigurationError, KeyringError, PolicyError, SchemaError
from minimize.keys import Keyring, new_keyring
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from tests.project import AT, FIELDS, POLICY, SCHEMA, SETTINGS, enter, event, events, table

ORDER = ["tenant_id", "device_id", "event_time", "model", "battery", "storage", "latitude"]


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return new_keyring(tmp_path_factory.mktemp("keys") / "test.keys", ("device",), now=AT)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    enter(tmp_path, monkeypatch)


def policy(fields: dict[str, Any] | None = None, **changes: Any) -> Policy:
    found = {key: field for key, field in (FIELDS | (fields or {})).items() if field is not None}
    body = POLICY | {"fields": found} | changes
    return policy_from_mapping({key: value for key, value in body.items() if value is not None})


STEADY = policy({"model": {"type": "string", "do": "keep"}})
"""Without `top`: nothing has to see everything first."""


def minimized(data: Any, keys: Keyring | None, rules: Policy = STEADY, **options: Any) -> Any:
    return minimize.apply(rules, data, keys=keys, at=AT, **options)


def plain_rows(data: pa.Table, keys: Keyring, rules: Policy = STEADY) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = minimized(data, keys, rules).to_pylist()
    return rows


def test_a_table_gives_a_table_in_the_policys_order(keys: Keyring) -> None:
    out = minimized(table(events(20)).select([*ORDER[::-1], "event_id"]), keys)
    assert isinstance(out, pa.Table)
    assert out.column_names == ORDER
    assert out.schema.field("device_id").type == pa.string()


def test_rows_keep_their_order(keys: Keyring) -> None:
    out = minimized(table(events(300)), keys)
    assert out["storage"].to_pylist() == [None if n * 13 % 150 < 10 or n * 13 % 150 >= 100 else 10 for n in range(300)]
    assert out["tenant_id"].to_pylist() == ["north", "south"] * 150


def test_a_per_subject_feature_is_collected_of_the_subjects_that_are_on(keys: Keyring, tmp_path: Path) -> None:
    rules = policy({"model": {"type": "string", "do": "keep"}}, features={"location": {"per_subject": True}})
    data = table(events(20))
    device = data["device_id"][0].as_py()
    own = (
        SETTINGS.splitlines()[1]
        .replace("north,,", f"north,{device},")
        .replace("2026-01-01T00:00:00Z", "2026-11-24T01:00:00Z")
    )
    (tmp_path / "settings.csv").write_text(SETTINGS + own + "\n")
    out = minimized(data, keys, rules, settings=tmp_path / "settings.csv")
    expected = [row["device_id"] == device and row["tenant_id"] == "north" for row in data.to_pylist()]
    assert [value is not None for value in out["latitude"].to_pylist()] == expected
    assert any(expected)


def test_a_record_batch_gives_a_record_batch(keys: Keyring) -> None:
    data = table(events(20)).to_batches()[0]
    out = minimized(data, keys)
    assert isinstance(out, pa.RecordBatch)
    assert out.to_pylist() == plain_rows(table(events(20)), keys)


def test_an_empty_batch_gives_an_empty_batch_with_its_types(keys: Keyring) -> None:
    out = minimized(pa.RecordBatch.from_pylist([], SCHEMA), keys)
    assert isinstance(out, pa.RecordBatch)
    assert (out.num_rows, out.schema.names) == (0, ORDER)


def test_pandas_gives_pandas(keys: Keyring) -> None:
    out = minimized(table(events(20)).to_pandas(), keys)
    assert isinstance(out, pd.DataFrame)
    assert list(out.columns) == ORDER
    assert list(out["model"]) == [event(n)["model"] for n in range(20)]
    assert not any(isinstance(kind, pd.ArrowDtype) for kind in out.dtypes)


def test_arrow_backed_pandas_stays_arrow_backed(keys: Keyring) -> None:
    frame = table(events(20)).to_pandas(types_mapper=pd.ArrowDtype)
    out = minimized(frame, keys)
    assert all(isinstance(kind, pd.ArrowDtype) for kind in out.dtypes)
    assert out["battery"].tolist() == minimized(table(events(20)), keys)["battery"].to_pylist()


def test_categorical_pandas_loses_no_value_and_keeps_no_hidden_one(keys: Keyring) -> None:
    frame = table(events(20)).to_pandas()
    frame["model"] = frame["model"].astype("category")
    frame["device_id"] = frame["device_id"].astype("category")
    out = minimized(frame, keys)
    assert list(out["model"]) == [event(n)["model"] for n in range(20)]
    assert list(out["device_id"]) == minimized(table(events(20)), keys)["device_id"].to_pylist()


def test_pandas_without_rows_gives_pandas_without_rows(keys: Keyring) -> None:
    frame = table(events(2)).to_pandas(types_mapper=pd.ArrowDtype).iloc[:0]
    assert list(minimized(frame, keys).columns) == ORDER


def test_polars_gives_polars(keys: Keyring) -> None:
    frame = pl.DataFrame(table(events(20)))
    out = minimized(frame, keys)
    assert isinstance(out, pl.DataFrame)
    assert out.columns == ORDER
    assert out["device_id"].to_list() == minimized(table(events(20)), keys)["device_id"].to_pylist()


def test_duckdb_gives_a_relation(keys: Keyring) -> None:
    data = table(events(20))
    with duckdb.connect() as connection:
        connection.register("checkins", data)
        out = minimized(connection.sql("select * from checkins"), keys)
    assert isinstance(out, duckdb.DuckDBPyRelation)
    assert out.columns == ORDER
    assert sorted(row[3] for row in out.fetchall()) == sorted(event(n)["model"] for n in range(20))


def test_any_other_arrow_data_gives_a_table(keys: Keyring) -> None:
    class Foreign:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return table(events(20)).__arrow_c_stream__(requested_schema)

    out = minimized(Foreign(), keys)
    assert isinstance(out, pa.Table)
    assert out.num_rows == 20


def test_a_value_that_is_no_table_is_refused(keys: Keyring) -> None:
    with pytest.raises(ConfigurationError, match="int"):
        minimized(7, keys)


class Counted:
    """A stream that says how many of its batches were taken."""

    def __init__(self, data: pa.Table, rows: int) -> None:
        self.taken = 0
        self.reader = pa.RecordBatchReader.from_batches(data.schema, self._batches(data.to_batches(max_chunksize=rows)))

    def _batches(self, batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.taken += 1
            yield batch


def test_a_stream_stays_a_stream_and_is_read_only_as_far_as_asked(keys: Keyring) -> None:
    stream = Counted(table(events(50)), 10)
    out = minimized(stream.reader, keys)
    assert isinstance(out, pa.RecordBatchReader)
    assert (out.schema.names, stream.taken) == (ORDER, 0)
    assert out.read_next_batch().num_rows == 10
    assert stream.taken == 1
    assert out.read_all().num_rows == 40


def test_top_looks_at_a_whole_stream_before_its_first_row_leaves(keys: Keyring) -> None:
    rules = policy()
    stream = Counted(table(events(50)), 10)
    out = minimized(stream.reader, keys, rules)
    assert stream.taken == 0
    first = out.read_next_batch()
    assert stream.taken == 5
    rows = [*first.to_pylist(), *out.read_all().to_pylist()]
    assert rows == plain_rows(table(events(50)), keys, rules)


def test_top_is_the_same_however_the_data_is_cut(keys: Keyring) -> None:
    rules = policy({"model": {"type": "string", "do": {"top": {"keep": 2, "other": "other", "at_least": 3}}}})
    data = table(events(200))
    whole = plain_rows(data, keys, rules)
    for size in (1, 7, 100):
        pieces = pa.Table.from_batches(data.to_batches(max_chunksize=size))
        assert plain_rows(pieces, keys, rules) == whole
        assert minimized(pieces.to_reader(), keys, rules).read_all().to_pylist() == whole
    assert {row["model"] for row in whole} < {"A", "B", "C", "other"}
    assert "other" in {row["model"] for row in whole}


@given(st.integers(1, 29), st.integers(0, 29))
def test_rows_do_not_depend_on_where_data_was_cut(first: int, second: int) -> None:
    rules = policy({"device_id": {"type": "string", "do": "drop"}, "model": {"type": "string", "do": "keep"}})
    data = table(events(30))
    low, high = sorted((first, second))
    pieces = pa.concat_tables([data.slice(0, low), data.slice(low, high - low), data.slice(high)])
    assert minimized(pieces, None, rules).equals(minimized(data, None, rules))


def test_a_slice_is_minimized_as_what_it_shows(keys: Keyring) -> None:
    whole = plain_rows(table(events(30)), keys)
    assert plain_rows(table(events(30)).slice(11, 9), keys) == whole[11:20]
    assert minimized(table(events(30)).combine_chunks().to_batches()[0].slice(11, 9), keys).to_pylist() == whole[11:20]


def test_without_settings_every_feature_is_off(keys: Keyring) -> None:
    assert minimized(table(events(20)), keys)["latitude"].null_count == 20


def settings_in(kind: str, folder: Path) -> Any:
    path = folder / "settings.csv"
    path.write_text(SETTINGS)
    frame = pd.read_csv(path)
    return {"path": path, "text": str(path), "frame": frame, "table": pa.Table.from_pandas(frame)}[kind]


@pytest.mark.parametrize("kind", ["path", "text", "frame", "table"])
def test_settings_come_as_a_path_a_table_or_a_frame(keys: Keyring, tmp_path: Path, kind: str) -> None:
    out = minimized(table(events(20)), keys, settings=settings_in(kind, tmp_path))
    on = {row["tenant_id"] for row in out.to_pylist() if row["latitude"] is not None}
    assert on == {"north"}


def test_without_a_purpose_fields_that_list_purposes_are_dropped(keys: Keyring) -> None:
    rules = policy({"storage": {"type": "integer", "purposes": ["customer_support"], "do": "keep"}})
    assert "storage" not in minimized(table(events(3)), keys, rules).column_names
    assert "storage" in minimized(table(events(3)), keys, rules, purpose="customer_support").column_names
    assert "storage" not in minimized(table(events(3)), keys, rules, purpose="service_maintenance").column_names


def test_a_purpose_that_the_policy_does_not_list_is_a_fault(keys: Keyring) -> None:
    with pytest.raises(PolicyError, match="operations"):
        minimized(table(events(3)), keys, purpose="operations")


def test_without_its_key_nothing_is_read() -> None:
    stream = Counted(table(events(50)), 10)
    with pytest.raises(KeyringError, match="device"):
        minimized(stream.reader, None)
    assert stream.taken == 0


def test_a_keyring_without_the_key_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    stream = Counted(table(events(50)), 10)
    with pytest.raises(KeyringError, match="device"):
        minimized(stream.reader, new_keyring(tmp_path / "poor.keys", (), now=AT))
    assert stream.taken == 0


def test_a_policy_without_keys_needs_no_keyring() -> None:
    rules = policy({"device_id": {"type": "string", "do": "drop"}, "model": {"type": "string", "do": "keep"}})
    assert minimized(table(events(3)), None, rules).num_rows == 3


def test_the_keyring_is_found_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Keyring
) -> None:
    new_keyring(tmp_path / "mine.keys", ("device",), now=AT)
    monkeypatch.setenv("MINIMIZE_KEYS", str(tmp_path / "mine.keys"))
    assert minimized(table(events(3)), None)["device_id"].null_count == 0


def test_missing_and_mistyped_columns_come_as_one_diff(keys: Keyring) -> None:
    data = table(events(3)).drop_columns(["model"])
    index = data.schema.get_field_index("storage")
    data = data.set_column(index, "storage", pa.array(["many"] * 3))
    with pytest.raises(SchemaError) as error:
        minimized(data, keys)
    assert {finding.field for finding in error.value.findings} == {"model", "storage"}
    assert "many" not in str(error.value)


def test_a_policy_may_be_given_by_its_path(tmp_path: Path) -> None:
    text = "{policy: p, version: 1, purposes: [operations], fields: {a: {type: integer, do: keep}}}"
    (tmp_path / "policy.yaml").write_text(text)
    for path in (tmp_path, tmp_path / "policy.yaml", str(tmp_path / "policy.yaml")):
        assert minimize.apply(path, pa.table({"a": [1], "b": [2]})).to_pydict() == {"a": [1]}


def test_records_left_out_are_logged_by_code_and_never_by_value(
    keys: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    data = table([event(1), event(2, device_id=None, tenant_id="CANARY"), event(3)])
    with caplog.at_level(logging.WARNING, "minimize"):
        out = minimized(data, keys)
    assert out.num_rows == 2
    assert left_out(caplog) == ["1 records dropped: missing_field 1"]
    assert "CANARY" not in caplog.text


def left_out(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if getattr(record, "code", None) == "W010"]


@pytest.mark.parametrize("kind", ["table", "reader"])
def test_with_top_records_left_out_are_counted_once(keys: Keyring, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    data = table([*events(20), event(2, device_id=None)])
    with caplog.at_level(logging.WARNING, "minimize"):
        out = minimized(data if kind == "table" else data.to_reader(), keys, policy())
        assert (out if kind == "table" else out.read_all()).num_rows == 20
    assert left_out(caplog) == ["1 records dropped: missing_field 1"]


def test_retention_counts_from_the_time_that_is_given(keys: Keyring) -> None:
    data = table([event(0, event_time="2026-10-26T00:00:00Z"), event(1, event_time="2026-10-26T00:00:01Z")])
    assert minimized(data, keys).num_rows == 1
    assert minimize.apply(STEADY, data, keys=keys, at=datetime.fromisoformat("2026-10-27T00:00:00Z")).num_rows == 2


def test_a_prepared_policy_minimizes_batch_after_batch(keys: Keyring) -> None:
    ready = minimize.prepare(STEADY, SCHEMA, keys=keys)
    rows = [row for batch in table(events(30)).to_batches(max_chunksize=7) for row in ready(batch, AT).to_pylist()]
    assert rows == plain_rows(table(events(30)), keys)


def test_a_prepared_policy_takes_every_kind_of_its_schema(keys: Keyring) -> None:
    ready = minimize.prepare(STEADY, table([]), keys=keys)
    assert isinstance(ready(table(events(3)), AT), pa.Table)
    assert isinstance(ready(table(events(3)).to_batches()[0], AT), pa.RecordBatch)


def test_a_prepared_policy_may_be_bound_to_a_frame(keys: Keyring) -> None:
    frame = table(events(3)).to_pandas()
    ready = minimize.prepare(STEADY, frame, keys=keys)
    assert isinstance(ready(frame, AT), pd.DataFrame)


def test_a_prepared_policy_refuses_another_schema(keys: Keyring) -> None:
    ready = minimize.prepare(STEADY, SCHEMA, keys=keys)
    index = SCHEMA.get_field_index("storage")
    other = table(events(3)).set_column(index, "storage", pa.array([1, 2, 3], pa.int8()))
    with pytest.raises(SchemaError, match="differs from the prepared schema") as error:
        ready(other, AT)
    assert [(finding.code, finding.field) for finding in error.value.findings] == [("S011", "storage")]


@pytest.mark.parametrize("kind", ["pandas", "categories", "polars", "large", "reversed", "nothing"])
def test_a_prepared_policy_accepts_data_of_an_equivalent_schema(keys: Keyring, kind: str) -> None:
    ready = minimize.prepare(STEADY, SCHEMA, keys=keys)
    data = table(events(9))
    index = SCHEMA.get_field_index("model")
    frame = data.to_pandas()
    given: dict[str, Any] = {
        "pandas": frame,
        "categories": frame.assign(model=frame["model"].astype("category")),
        "polars": pl.DataFrame(data),
        "large": data.set_column(index, "model", data["model"].cast(pa.large_string())),
        "reversed": data.select(data.column_names[::-1]),
        "nothing": data.set_column(index, "model", pa.nulls(9)),
    }
    out = ready(given[kind], AT)
    expected = [None] * 9 if kind == "nothing" else data["model"].to_pylist()
    assert list(out["model"].to_pylist() if isinstance(out, pa.Table) else out["model"]) == expected
    assert list(out.columns if not isinstance(out, pa.Table) else out.column_names) == ORDER


def test_a_mapping_with_the_keys_of_a_policy_is_a_policy() -> None:
    fields = {"version": {"type": "string", "do": {"truncate_version": {"parts": 1}}}}
    mapping = {"policy": "p", "version": 1, "purposes": ["operations"], "fields": fields}
    data = pa.table({"version": ["10.4"]})
    assert minimize.apply(mapping, data).to_pylist() == [{"version": "10"}]
    assert minimize.prepare(mapping, data.schema)(data).to_pylist() == [{"version": "10"}]
    with pytest.raises(PolicyError) as caught:
        minimize.apply({"policy": "p"}, data)
    assert {finding.code for finding in caught.value.findings} == {"P005"}


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ([{"model": "a"}], "pyarrow.RecordBatch.from_pylist(records)"),
        (pl.DataFrame({"model": ["a"]}).lazy(), "frame.collect()"),
        (7, "Pass a pandas or Polars DataFrame"),
    ],
    ids=["dicts", "lazy", "other"],
)
def test_data_that_is_no_table_is_refused_with_the_call_that_makes_one(data: Any, hint: str, keys: Keyring) -> None:
    ready = minimize.prepare(STEADY, SCHEMA, keys=keys)
    calls: list[Callable[[Any], Any]] = [ready, partial(minimize.apply, STEADY, keys=keys)]
    for call in calls:
        with pytest.raises(ConfigurationError) as caught:
            call(data)
        assert hint in str(caught.value.hint)


@pytest.mark.parametrize("wrong", [None, 7])
def test_an_invalid_policy_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not a policy"):
        minimize.apply(wrong, table(events(1)))


def test_preparing_a_policy_requires_its_key() -> None:
    with pytest.raises(KeyringError, match="device"):
        minimize.prepare(STEADY, SCHEMA)


def test_a_prepared_policy_serves_many_threads(keys: Keyring) -> None:
    ready = minimize.prepare(STEADY, SCHEMA, keys=keys)
    batches = [table(events(40, first=40 * number)).to_batches()[0] for number in range(24)]
    alone = [ready(batch, AT).to_pylist() for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda batch: ready(batch, AT).to_pylist(), batches * 3))
    assert together == alone * 3


def test_buffers_of_the_result_hold_no_hidden_value(keys: Keyring) -> None:
    data = table([event(n, model=f"CANARY-{n}") for n in range(5)] + events(20))
    rules = policy({"model": {"type": "string", "do": {"top": {"keep": 1, "other": "other", "at_least": 3}}}})
    out = minimized(data, keys, rules)
    held = b"".join(
        buffer.to_pybytes() for column in out.columns for chunk in column.chunks for buffer in chunk.buffers() if buffer
    )
    assert b"CANARY" not in held
    assert b"e1" not in held


def test_nested_records_come_out_nested_with_what_is_kept(keys: Keyring) -> None:
    rules = policy_from_mapping(
        {
            "policy": "n",
            "version": 1,
            "purposes": ["operations"],
            "fields": {
                "/apps/*/name": {"type": "string", "do": "keep", "collect_if": {"/apps/*/managed": True}},
                "/apps/*/managed": {"type": "boolean", "do": "drop"},
                "/os/version": {"type": "string", "do": {"truncate_version": {"parts": 1}}},
            },
        }
    )
    data = pa.table(
        {
            "apps": [[{"name": "mail", "managed": True}, {"name": "game", "managed": False}], [], None],
            "os": [{"version": "10.1", "build": "x"}, None, {"version": None, "build": "y"}],
        }
    )
    assert minimize.apply(rules, data).to_pylist() == [
        {"apps": [{"name": "mail"}], "os": {"version": "10"}},
        {"apps": [], "os": None},
        {"apps": None, "os": None},
    ]
