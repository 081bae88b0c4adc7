from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.errors import ConfigurationError
from minimize.stages.deduplicate import DuplicateRule, digest_words, select_survivors
from tests.stages.make import before, deduplicating, plan_of, records

RULE = DuplicateRule.from_plan(deduplicating("device_id"), b"k" * 32)


def test_only_the_first_of_each_group_is_a_candidate() -> None:
    raw = records({}, {"event_time": before(hours=2)}, {"event_time": before(hours=3)}, {"device_id": "e"})
    assert sorted(RULE.candidates(raw)["at"].to_pylist()) == [1, 2]


def test_event_times_may_be_dictionary_encoded() -> None:
    raw = records({}, {"event_time": before(hours=2)}, {"event_time": before(hours=3)})
    encoded = raw.set_column(2, "event_time", raw["event_time"].dictionary_encode())
    assert RULE.candidates(encoded)["at"].to_pylist() == [1]


def test_equal_records_are_one_candidate_that_knows_how_many_they_are() -> None:
    assert RULE.candidates(records({}, {}, {}, {}))["count"].to_pylist() == [3]


def test_candidates_of_several_batches_are_compared_again() -> None:
    parts = [RULE.candidates(records({}, {"event_time": before(hours=hours)})) for hours in (1, 3, 2, 3)]
    found = select_survivors(pa.concat_tables(parts))
    assert found["count"].to_pylist() == [2]
    assert found["row"].to_pylist() == parts[1]["row"].to_pylist()


def test_no_candidates_have_no_best() -> None:
    nothing = RULE.candidates(records({}, {})).slice(0, 0)
    assert select_survivors(nothing).num_rows == 0
    assert digest_words(nothing["row"]).size == 0


def test_a_struct_may_be_gone_by() -> None:
    columns = {"os": pa.struct([("v", pa.string())])}
    pipeline = deduplicating("os").pipeline
    assert pipeline is not None
    plan = plan_of({"os": {"type": "struct", "do": "drop"}}, columns=columns, pipeline=pipeline.records)
    raw = records(columns, {"os": {"v": "1"}}, {"os": None}, {"os": {"v": "1"}}, {"os": {"v": None}})
    assert DuplicateRule.from_plan(plan, b"").candidates(raw).num_rows == 3


def test_dates_are_days() -> None:
    type_ = pa.date32()
    raw = records({"event_time": type_}, {"event_time": before(days=1)}, {"event_time": before(days=2)})
    assert RULE.candidates(raw).num_rows == 2


def test_a_plan_that_does_not_deduplicate_has_no_rule() -> None:
    with pytest.raises(ConfigurationError):
        DuplicateRule.from_plan(plan_of({}), b"")
