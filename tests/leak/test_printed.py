"""Nothing planted is in what objects print of themselves, nor in an error, whatever stands behind it, of a library call."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import minimize
from minimize.arrow.pointers import Pointer
from minimize.checkpoints import at_checkpoint
from minimize.engines.base import BatchOutcome
from minimize.plan import request
from minimize.records import Batch, UndeclaredCount
from minimize.settings import SETTINGS_SCHEMA, load_settings
from minimize.sources.memory import memory_source
from minimize.stages.gate import Gate
from minimize.stages.generalize import GeneralizeFields
from tests.leak.held import AT, PLANTED, PURPOSE, TABLE, plant, policy
from tests.leak.planted import ALL, build
from tests.leak.printed import printed_by
from tests.leak.sweep import found

POLICY = policy()
ROW = {
    "tenant_id": "acme",
    "subject": None,
    "setting": "location",
    "value": "on",
    "holder": "admin",
    "valid_from": "2026-01-01T00:00:00Z",
    "recorded_at": "2026-01-01T00:00:00Z",
}
HEAD = ",".join(SETTINGS_SCHEMA.names)


def said(**changes: Any) -> pa.Table:
    return pa.Table.from_pylist([{**ROW, **changes}])


def whole(error: BaseException | None, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """All that an error says of itself and of what stands behind it, though a traceback would not show it."""
    if error is not None and id(error) not in seen:
        yield from ("".join(traceback.format_exception(error)), repr(error), repr(vars(error)))
        yield from whole(error.__cause__, seen | {id(error)})
        yield from whole(error.__context__, seen | {id(error)})


def apply(data: Any, **more: Any) -> Any:
    given = minimize.apply(POLICY, data, purpose=PURPOSE, at=AT, **more)
    return given.read_all() if isinstance(given, pa.RecordBatchReader) else given


def with_column(name: str, values: pa.Array) -> pa.Table:
    return TABLE.set_column(TABLE.schema.get_field_index(name), name, values)


def not_utf8() -> pa.Array:
    text = plant("beside bytes that are no text").encode() + b"\xff"
    data = pa.array([text] * 4, pa.binary()).buffers()
    return pa.Array.from_buffers(pa.string(), 4, data)


def failing() -> Iterator[pa.RecordBatch]:
    yield TABLE.to_batches()[0]
    raise ValueError(plant("in an error of the caller's own stream"))


FAILURES: dict[str, Callable[[], Any]] = {
    "a column of another type": lambda: apply(with_column("ip", TABLE["phone"].combine_chunks().cast(pa.binary()))),
    "text that is not UTF-8": lambda: apply(with_column("kept", not_utf8())),
    "a stream that fails": lambda: apply(pa.RecordBatchReader.from_batches(TABLE.schema, failing())),
    "no table": lambda: apply([{"note": plant("in what is no table")}]),
    "values of several types": lambda: apply(pd.DataFrame({"ip": [1, plant("among values of several types")]})),
    "columns that are missing": lambda: apply(TABLE.select(["note", plant("undeclared name")])),
    "settings with a bad time": lambda: apply(TABLE, settings=said(valid_from=plant("time in settings"))),
    "settings without a holder": lambda: apply(TABLE, settings=said(holder="", subject=plant("subject in settings"))),
    "settings of another type": lambda: apply(TABLE, settings=said(subject=[plant("list in settings")])),
}
FILES = {
    "ragged": f"{HEAD}\nacme,{plant('ragged row of settings')}\n",
    "unclosed": f'{HEAD}\nacme,"{plant("unclosed quote in settings")}\n',
    "bad time": f"{HEAD}\nacme,{plant('subject in a file')},location,on,admin,{plant('time in a file')},2026\n",
    "other header": f"{plant('header of a file')},b\n1,2\n",
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_shows_nothing_planted(name: str) -> None:
    with pytest.raises(minimize.MinimizeError) as caught:
        FAILURES[name]()
    assert found(PLANTED.values(), "\n".join(whole(caught.value)).encode()) == set()


@pytest.mark.parametrize("name", FILES)
def test_an_error_about_a_file_of_settings_shows_nothing_planted(name: str, tmp_path: Path) -> None:
    (tmp_path / "settings.csv").write_text(FILES[name])
    with pytest.raises(minimize.MinimizeError) as caught:
        apply(TABLE, settings=tmp_path / "settings.csv")
    assert found(PLANTED.values(), "\n".join(whole(caught.value)).encode()) == set()


def reveals(_: str, batch: Batch) -> None:
    raise ValueError(f"cannot treat {batch.raw.to_pylist()}")


@pytest.mark.parametrize("data", [TABLE, TABLE.to_reader(max_chunksize=1)], ids=["table", "stream"])
def test_an_unexpected_error_shows_no_planted_value(data: Any) -> None:
    with at_checkpoint("gate", reveals), pytest.raises(minimize.MinimizeError, match="ValueError in") as caught:
        apply(data)
    assert found(PLANTED.values(), "\n".join(whole(caught.value)).encode()) == set()


def test_an_unexpected_error_of_a_run_shows_no_planted_value(tmp_path: Path) -> None:
    folder = build(tmp_path)
    printed_by(folder, ("keys", "new", "keys", "--name", "device", "--name", "ticket"))
    with at_checkpoint("gate", reveals), pytest.raises(minimize.MinimizeError, match="ValueError in") as caught:
        minimize.run(folder, at=AT, output=tmp_path / "out", keys=tmp_path / "keys")
    assert found(ALL, "\n".join(whole(caught.value)).encode()) == set()


def test_a_value_in_the_context_of_an_error_is_found() -> None:
    def behind() -> None:
        try:
            raise ValueError(plant("behind an error"))
        except ValueError:
            raise RuntimeError("fine") from None

    with pytest.raises(RuntimeError) as caught:
        behind()
    assert plant("behind an error") not in "".join(traceback.format_exception(caught.value))
    assert found(PLANTED.values(), "\n".join(whole(caught.value)).encode()) == {"behind an error"}


def objects() -> Iterator[Any]:
    """Everything that holds records, settings or names on the way through the program."""
    source = memory_source(TABLE, request(POLICY, PURPOSE))
    rows = load_settings(said(subject=plant("subject of a setting")))
    minimizer = minimize.prepare(POLICY, TABLE, purpose=PURPOSE, settings=rows)
    yield from (source, rows, rows.effective_at(AT), minimizer, minimizer.plan)
    for chunk in source.parts[0].read():
        batch = Gate(minimizer.plan, rows.effective_at(AT), AT)(Batch(chunk.records))
        first = GeneralizeFields(minimizer.plan, None, AT, until_tally=True)
        yield from (chunk, batch, first(batch), first)
    name = Pointer((plant("undeclared name"),))
    yield BatchOutcome(undeclared={name: UndeclaredCount(1, frozenset({plant("dropped identifier")}))})


def test_nothing_planted_is_printed_by_what_holds_records() -> None:
    printed = [(repr(each), str(each), getattr(each, "_repr_html_", str)()) for each in objects()]
    assert found(PLANTED.values(), repr(printed).encode()) == set()
    assert len(printed) == 10


def test_text_printed_by_arrow_is_found() -> None:
    assert "dropped text" in found(PLANTED.values(), repr(TABLE.select(["note"])).encode())


def test_nothing_planted_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    apply(pa.concat_tables([TABLE, with_column("device_id", pa.nulls(4, pa.string()))]), settings=said())
    logged = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "missing_field" in logged
    assert found(PLANTED.values(), logged.encode()) == set()
