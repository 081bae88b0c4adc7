"""A few lines are spoilt."""

import json

import numpy as np
import pyarrow as pa
import pytest

from minimize.samples.dataset import FATAL_SHARE, HARMLESS_SHARE, DatasetFaults, spoil_lines

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
