"""Of data in memory nothing that was planted is found in what `apply` gives, however that is written down."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc
import pytest

import minimize
from tests.leak.held import AT, FIELDS, PURPOSE, TABLE, policy
from tests.leak.held import IN_TABLE as PLANTED
from tests.leak.opened import named, unsealed
from tests.leak.sweep import found
from tests.ledger.ledgers import empty
from tests.project import Builds

NO_MAPS = TABLE.drop_columns(["labels"])
POLICY = policy()
WITHOUT_MAPS = policy({key: field for key, field in FIELDS.items() if key != "/labels/*"})
WITHOUT_NESTED = policy({key: field for key, field in FIELDS.items() if not key.startswith("/")})
"""Records of flat columns are released by another function than nested ones."""


@pytest.fixture(autouse=True)
def _without_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)


def left(data: Any) -> Any:
    maps = isinstance(data, pa.Table | pa.RecordBatch | pa.RecordBatchReader)
    given = minimize.apply(POLICY if maps else WITHOUT_MAPS, data, purpose=PURPOSE, at=AT)
    return given.read_all() if isinstance(given, pa.RecordBatchReader) else given


def written(data: Any) -> Iterator[bytes]:
    """Everything that a caller's ways of writing data down would ship."""
    yield pickle.dumps(data)
    yield repr(data).encode()
    if isinstance(data, pd.DataFrame):
        file = io.BytesIO()
        data.to_parquet(file)
        yield file.getvalue() + repr(data.attrs).encode()
    elif isinstance(data, pl.DataFrame):
        file = io.BytesIO()
        data.write_ipc(file)
        yield file.getvalue()
        yield from written(data.to_arrow())
    else:
        yield from _arrow(data)


def _arrow(data: pa.Table | pa.RecordBatch) -> Iterator[bytes]:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, data.schema) as writer:
        writer.write(data)
    yield sink.getvalue().to_pybytes()
    yield pickle.dumps(data.slice(1, 1))
    yield data.schema.to_string(show_field_metadata=True, show_schema_metadata=True).encode()
    yield b"".join(_buffers(data))


def _buffers(data: pa.Table | pa.RecordBatch) -> Iterator[bytes]:
    """Every buffer that the columns hold on to, whole."""
    for column in data.columns:
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            yield from (buffer.to_pybytes() for buffer in chunk.buffers() if buffer is not None)


def hits(data: Any) -> set[str]:
    return set().union(*(found(PLANTED.values(), text) for text in written(data)))


KINDS: dict[str, Callable[[], Any]] = {
    "table": lambda: TABLE,
    "slice of a table": lambda: TABLE.slice(1, 2),
    "batch": lambda: TABLE.to_batches()[0],
    "slice of a batch": lambda: TABLE.to_batches()[0].slice(2, 2),
    "reader": lambda: TABLE.to_reader(max_chunksize=1),
    "several chunks": lambda: pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)]),
    "pandas": lambda: NO_MAPS.to_pandas(),
    "pandas over Arrow": lambda: NO_MAPS.drop_columns(["for_others"]).to_pandas(types_mapper=pd.ArrowDtype),
    "Polars": lambda: pl.from_arrow(NO_MAPS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_planted_is_in_what_apply_gives(kind: str) -> None:
    given = left(KINDS[kind]())
    assert len(given) in (1, 2, 4)
    assert hits(given) == set()


@pytest.mark.parametrize("kind", ["table", "slice of a table", "batch", "reader"])
def test_nothing_planted_is_in_flat_columns_that_apply_gives(kind: str) -> None:
    given = minimize.apply(WITHOUT_NESTED, KINDS[kind](), purpose=PURPOSE, at=AT)
    table = given.read_all() if isinstance(given, pa.RecordBatchReader) else given
    assert not {"device", "apps", "tags", "labels"} & set(table.schema.names)
    assert hits(table) == set()


def test_nothing_planted_is_in_what_apply_gives_to_duckdb() -> None:
    given = left(duckdb.from_arrow(NO_MAPS))
    assert hits(given.to_arrow_table()) == set()


def test_nothing_planted_is_in_what_a_prepared_minimizer_gives_batch_by_batch() -> None:
    minimizer = minimize.prepare(POLICY, TABLE.schema, purpose=PURPOSE)
    for batch in TABLE.to_batches(max_chunksize=1):
        assert hits(minimizer(batch, AT)) == set()


def test_neither_index_nor_attributes_of_a_frame_come_along() -> None:
    frame = NO_MAPS.to_pandas().set_index("note", drop=False)
    frame.attrs["note"] = PLANTED["dropped text"].value
    assert hits(left(frame)) == set()


def test_nothing_planted_can_be_read_in_what_a_stream_spills(tmp_path: Path) -> None:
    with named(tmp_path / "spill"):
        left(TABLE.to_reader(max_chunksize=1))
    assert (tmp_path / "spill").stat().st_size > 1000
    assert found(PLANTED.values(), tmp_path) == set()


def test_a_stream_is_spilled_without_what_is_gated_dropped_or_hidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unsealed(monkeypatch)
    with named(tmp_path / "spill"):
        left(TABLE.to_reader(max_chunksize=1))
    words = ("gated", "undeclared", "purpose", "under a", "spare", "metadata", "element")
    gone = {place for place in PLANTED if any(word in place for word in words)}
    spilled = found(PLANTED.values(), tmp_path)
    assert spilled & (gone | {"dropped text", "dropped in a struct"}) == {"key of a gated map"}
    assert "dropped identifier" in spilled, "the control: top counts subjects, so that they are set aside"


def test_fields_that_identify_erased_subjects_are_not_spilled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, builds: Builds
) -> None:
    builds.copy(empty, tmp_path / "organization")
    unsealed(monkeypatch)
    spilled = []
    for name, ledger in (("with", tmp_path / "organization" / "ledger.db"), ("without", None)):
        (tmp_path / name).mkdir()
        reader = TABLE.to_reader(max_chunksize=1)
        with named(tmp_path / name / "spill"):
            minimize.apply(POLICY, reader, purpose=PURPOSE, at=AT, ledger=ledger).read_all()
        spilled.append(found(PLANTED.values(), tmp_path / name))
    assert spilled[0] == spilled[1]


def test_a_spill_has_no_name_while_it_is_in_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    given = minimize.apply(POLICY, TABLE.to_reader(max_chunksize=1), purpose=PURPOSE, at=AT)
    given.read_next_batch()
    assert list(tmp_path.iterdir()) == []
    given.read_all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_control_finds_what_was_planted_in_what_came_in(kind: str) -> None:
    data = KINDS[kind]()
    data = data.read_all() if isinstance(data, pa.RecordBatchReader) else data
    whole = {"dropped text", "undeclared", "undeclared name", "gated by level"}
    assert hits(data) >= whole - ({"undeclared name"} if "slice" in kind else set())


def test_the_control_finds_every_place_of_a_table() -> None:
    assert hits(TABLE) == set(PLANTED)


def test_the_control_finds_what_a_slice_holds_on_to() -> None:
    rest = pa.table({"kept": pa.array(["fine", PLANTED["dropped text"].value])}).slice(0, 1)
    assert rest.to_pydict() == {"kept": ["fine"]}
    assert hits(rest) == {"dropped text"}
