"""Slices of a day, and when their records arrive.
A few lines are spoilt.
Messages of third parties: the fields of their manifests, and the envelope.
"""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from minimize_samples import DATASETS
from minimize_samples.dataset import (
    DAY_MILLISECONDS,
    FATAL_SHARE,
    HARMLESS_SHARE,
    DatasetFaults,
    ReceivedDataset,
    Slice,
    delay_events,
    spoil_lines,
)
from minimize_samples.datasets.managed_devices import DeviceTelemetry

from minimize.policy.load import load_pipeline
from minimize.recipients import Function, load_recipient
from tests.golden.runner import ROOT

from .made import DAY, dataset, records


def test_a_slice_begins_at_midnight_utc() -> None:
    assert Slice(date(1970, 1, 3), 0, 1, 1).midnight == 2 * DAY_MILLISECONDS


def test_some_events_are_late_and_a_few_too_old_to_keep() -> None:
    events = np.arange(20_000) * 1000
    after, _ = delay_events(events, np.random.default_rng(1))
    days = (events - after) // DAY_MILLISECONDS
    assert 0.01 < np.mean((days > 0) & (days < 4)) < 0.03
    assert np.sum(days >= 40) == 20


@pytest.mark.parametrize(("count", "expected"), [(99, 0), (100, 1), (450, 1), (1500, 1), (1501, 2)])
def test_a_few_hundred_events_have_one_that_is_too_old(count: int, expected: int) -> None:
    after, _ = delay_events(np.zeros(count, np.int64), np.random.default_rng(1))
    assert np.sum(after <= -40 * DAY_MILLISECONDS) == expected


def test_records_arrive_out_of_order_but_all_of_them() -> None:
    _, arrival = delay_events(np.arange(1000) * 1000, np.random.default_rng(1))
    assert sorted(arrival.tolist()) == list(range(1000))
    assert arrival.tolist() != list(range(1000))


def test_turns_count_a_members_records_over_the_days_of_a_sample() -> None:
    dataset = DeviceTelemetry(6, 1)
    turns = [
        dataset.rows(Slice(date(2026, 11, 24), 0, 6, 6, index), np.random.default_rng(1)).turns for index in (0, 1)
    ]
    assert [sorted(turn.tolist()) for turn in turns] == [[0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5]]


FAULTS = DatasetFaults(("id",), {"n": "one"}, "time", {"contacts": []}, {"strange": 1})
RECORD = {"id": "a", "n": 1, "time": "2026-11-24T00:00:00Z"}


def spoilt(count: int = 2000, faults: DatasetFaults = FAULTS) -> list[bytes]:
    lines = pa.array([json.dumps(RECORD, separators=(",", ":"))] * count, pa.string())
    after: list[bytes] = spoil_lines(lines, faults, np.random.default_rng(1)).to_pylist()
    return after


def test_every_line_stays_where_it_was() -> None:
    after = spoilt()
    assert len(after) == 2000
    assert after.count(json.dumps(RECORD, separators=(",", ":")).encode()) == 2000 - int(2000 * FATAL_SHARE) - int(
        2000 * HARMLESS_SHARE
    )


def test_fewer_than_one_in_a_hundred_is_lost() -> None:
    assert FATAL_SHARE < 0.01


def test_no_line_holds_a_line_break() -> None:
    assert not any(b"\n" in line for line in spoilt())


@pytest.mark.parametrize("fault", range(len(FAULTS.fatal())))
def test_each_fatal_fault_makes_another_line(fault: int) -> None:
    made = FAULTS.fatal()[fault](dict(RECORD))
    assert made != json.dumps(RECORD, separators=(",", ":")).encode()


def test_all_kinds_are_seen_among_a_few_thousand() -> None:
    after = spoilt(4000)
    assert any(b"contacts" in line for line in after)
    assert any(b"\xff" in line for line in after)
    assert any(line.startswith(b"[") for line in after)
    assert any(line.count(b'"id"') == 2 for line in after)
    assert any(b'"id"' not in line for line in after)
    assert any(not line.endswith((b"}", b"]")) for line in after)
    assert any(b"strange" in line for line in after)


def test_a_small_sample_is_left_alone() -> None:
    assert len(set(spoilt(50))) == 1


def test_the_kinds_of_faults_go_on_in_the_next_slice() -> None:
    lines = pa.array([json.dumps(RECORD, separators=(",", ":"))] * 250, pa.string())
    after = [set(spoil_lines(lines, FAULTS, np.random.default_rng(1), sequence).to_pylist()) for sequence in range(3)]
    fatal = [{line for line in lines if b'"strange"' not in line and b"+01:00" not in line} for lines in after]
    assert fatal[0] & fatal[1] & fatal[2] == {lines[0].as_py().encode()}
    assert len(fatal[0] | fatal[1] | fatal[2]) == 7


def test_a_time_may_have_another_offset() -> None:
    times = [json.loads(made(dict(RECORD)))["time"] for made in FAULTS.harmless()]
    assert "2026-11-24T01:00:00.000+01:00" in times


NAMES = [name for name, kind in DATASETS.items() if issubclass(kind, ReceivedDataset)]
ENVELOPE = {"message_id": "string", "tenant_id": "string", "received_at": "timestamp"}
TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("ms", "UTC"),
}


def function_of(name: str) -> Function:
    source = load_pipeline(ROOT / "pipelines" / name).source
    found = load_recipient(ROOT / "pipelines" / "recipients" / f"{source.recipient}.yaml").function(
        str(source.function)
    )
    assert found is not None
    return found


def test_there_is_one_dataset_for_each_function_that_receives() -> None:
    assert len(NAMES) == 9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 50])
def test_a_table_has_the_fields_of_the_function_and_their_types(name: str, count: int) -> None:
    made = dataset(name).records(Slice(DAY, 0, count, count), np.random.default_rng(1)).table()
    fields = ENVELOPE | {key: each.type for key, each in function_of(name).fields.items()}
    assert {field.name: field.type for field in made.schema} == {key: TYPES[each] for key, each in fields.items()}


@pytest.mark.parametrize("name", NAMES)
def test_each_field_is_there_and_a_null_is_not(name: str) -> None:
    made = records(name)
    assert {field for record in made for field in record} == {*ENVELOPE, *function_of(name).fields}
    assert None not in [value for record in made for value in record.values()]


@pytest.mark.parametrize("name", NAMES)
def test_each_message_has_its_own_id_the_tenant_the_subject_and_the_time_of_its_arrival(name: str) -> None:
    made = records(name)
    assert all({*ENVELOPE, DATASETS[name].subject} <= record.keys() for record in made)
    assert len({record["message_id"] for record in made}) == len(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_field_has_a_value_of_another_type_by_mistake(name: str) -> None:
    assert DATASETS[name].wrong
    assert {field for field, _ in DATASETS[name].wrong} <= set(function_of(name).fields)
