"""Candidates for `deduplicate`, held or set aside: the same ones stay."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.errors import ConfigurationError
from minimize.plan import Plan
from minimize.records import Batch
from minimize.spill import SpillSpace
from minimize.stages.deduplicate import (
    DeduplicateRecords,
    DeduplicateTally,
    DuplicateCandidates,
    DuplicateRule,
    digest_words,
    encode_values,
    row_digests,
    select_survivors,
)
from tests.hypothesis_profiles import examples
from tests.stages.make import APPS, before, deduplicating, gated, plan_of, records

RULE = DuplicateRule.from_plan(deduplicating("device_id"), b"k" * 32)
TABLES = [
    RULE.candidates(
        records(
            {}, *({"device_id": f"d{number % 900}", "event_time": before(hours=number % 7)} for number in range(*span))
        )
    )
    for span in ((0, 1000), (500, 2500), (2000, 2600))
]


def staying(found: DuplicateCandidates) -> pa.Table:
    return pa.concat_tables(found.survivors()).sort_by("group")


@pytest.mark.parametrize("memory", [None, 1 << 40, 0])
def test_the_survivors_do_not_depend_on_the_budget(memory: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.stages.deduplicate._MIN_BYTES", 1 << 10)
    found, other = DuplicateCandidates(SpillSpace(memory)), DuplicateCandidates(SpillSpace(memory))
    found.add(TABLES[:1])
    other.add(TABLES[1:])
    found.merge(other)
    assert bool(found.pieces) == (memory == 0)
    assert staying(found).equals(select_survivors(pa.concat_tables(TABLES)).combine_chunks())
    assert staying(found).num_rows > 900


def test_nothing_found_is_nothing_that_stays() -> None:
    assert list(DuplicateCandidates(SpillSpace(0)).survivors()) == []


def test_candidates_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.stages.deduplicate._MIN_BYTES", 1 << 10)
    found = DuplicateCandidates(SpillSpace(0))
    for table in TABLES:
        found.add([table])
        assert sum(each.nbytes for each in found.tables) <= 1 << 10


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array(["é", "", None]), ["2:é".encode(), b"0:", b"-"]),
        (pa.array([1, -20, None], pa.int16()), [b"1:1", b"3:-20", b"-"]),
        (pa.array([0.1, -0.0, 1.0]), [b"3:0.1", b"2:-0", b"1:1"]),
        (pa.array([True, False]), [b"4:true", b"5:false"]),
        (pa.array([Decimal("1.50")], pa.decimal128(5, 2)), [b"4:1.50"]),
        (pa.array([b"\xff"]), [b"1:\xff"]),
        (pa.array([b"\xff"], pa.binary(1)), [b"1:\xff"]),
        (pa.array([datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)], pa.timestamp("ms", "UTC")), [b"4:1000"]),
        (pa.array([date(1970, 1, 3)]), [b"1:2"]),
        (pa.array([time(0, 0, 1)], pa.time32("s")), [b"1:1"]),
        (pa.array([None]), [b"-"]),
        (pa.array([{"b": 1, "a": None}, None]), [b"{-1:1}", b"-"]),
        (pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int8())), [b"1[{1:k1:1}]", b"0[]"]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), [b"2[1:11:2]", b"-"]),
        (pa.array(["a", None, "b"]).dictionary_encode(), [b"1:a", b"-", b"1:b"]),
    ],
)
def test_a_value_has_one_text(array: pa.Array, texts: list[bytes]) -> None:
    assert encode_values(array).to_pylist() == texts


def test_a_slice_has_the_texts_of_its_own_values() -> None:
    assert encode_values(pa.array([[1], [2, 3], [4]]).slice(1, 1)).to_pylist() == [b"2[1:21:3]"]


def test_a_long_key_is_used_whole() -> None:
    column = [pa.array(["a"])]
    one, other = row_digests(column, b"k" * 64 + b"1"), row_digests(column, b"k" * 64 + b"2")
    assert one != other


values = st.lists(
    st.none() | st.lists(st.none() | st.sampled_from(["", "-", "1:", "a", "]", "[0"]), max_size=3), max_size=6
)


@given(values)
def test_different_values_have_different_texts_and_equal_ones_equal_texts(drawn: list[Any]) -> None:
    texts = encode_values(pa.array(drawn, pa.list_(pa.string()))).to_pylist()
    for one, its in zip(drawn, texts, strict=True):
        assert [one == other for other in drawn] == [its == text for text in texts]


DAY = datetime(2026, 11, 24, tzinfo=UTC)
KEY = b"k" * 32
COLUMNS = {"n": pa.int64(), "id": pa.string()}


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


def plan(*by: str, record: str | None = None) -> Plan:
    fields = {"n": {"type": "integer", "do": "keep"}, "id": {"type": "string", "do": "drop"}}
    rule = deduplicating(*by).pipeline
    assert rule is not None
    assert rule.records is not None
    more = {} if record is None else {"record": record}
    return plan_of(fields, columns=COLUMNS, pipeline=rule.records, **more)


def events(*rows: dict[str, Any]) -> pa.RecordBatch:
    return records(COLUMNS, *rows)


def settled(rule: Plan, *batches: pa.RecordBatch) -> DeduplicateRecords:
    tally = DeduplicateTally.from_plan(rule, KEY)
    for batch in batches:
        tally.observe(Batch(batch))
    return tally.settle()


def kept(rule: Plan, raw: pa.RecordBatch) -> list[int]:
    found: list[int] = settled(rule, raw)(Batch(raw)).raw["n"].to_pylist()
    return found


def test_two_check_ins_on_one_day_become_the_earlier_one() -> None:
    raw = events({"event_time": at(16), "n": 1}, {"event_time": at(8), "n": 2})
    batch = settled(plan("device_id"), raw)(Batch(raw))
    assert batch.raw["n"].to_pylist() == [2]
    assert batch.counts.deduplicated == 1


def test_days_are_of_universal_time() -> None:
    raw = events({"event_time": at(23.9), "n": 1}, {"event_time": at(24), "n": 2}, {"event_time": at(25), "n": 3})
    assert kept(plan("device_id"), raw) == [1, 2]


def test_records_that_differ_in_one_of_the_fields_are_no_duplicates() -> None:
    rows = [
        {"tenant_id": t, "device_id": d, "event_time": at(1), "n": i}
        for i, (t, d) in enumerate([("a", "b"), ("a", "c"), ("b", "b")])
    ]
    assert kept(plan("tenant_id", "device_id"), events(*rows)) == [0, 1, 2]


def test_null_is_a_value_like_another() -> None:
    rows = [
        {"device_id": device, "event_time": at(hour), "n": hour} for hour, device in enumerate([None, "", None, ""])
    ]
    assert kept(plan("device_id"), events(*rows)) == [0, 1]


def test_at_the_same_time_the_smaller_record_stays() -> None:
    raw = events(*({"event_time": at(1), "id": id_, "n": n} for n, id_ in enumerate(["b", None, "a", "c"])))
    assert kept(plan("device_id", record="id"), raw) == [2]


def test_without_a_record_field_the_keyed_digest_decides_the_same_way_in_any_order() -> None:
    rows = [{"event_time": at(1), "n": n} for n in range(6)]
    assert kept(plan("device_id"), events(*rows)) == kept(plan("device_id"), events(*reversed(rows)))


def test_another_key_may_decide_otherwise() -> None:
    raw = events(*({"event_time": at(1), "n": n} for n in range(8)))
    winners = set()
    for number in range(16):
        tally = DeduplicateTally.from_plan(plan("device_id"), bytes([number]) * 32)
        tally.observe(Batch(raw))
        winners |= set(tally.settle()(Batch(raw)).raw["n"].to_pylist())
    assert len(winners) > 1


def test_of_records_that_are_equal_in_everything_one_stays_in_every_pass() -> None:
    raw = events(*[{"event_time": at(1), "n": 7}] * 5)
    stage = settled(plan("device_id"), raw.slice(0, 2), raw.slice(2))
    for cut in (1, 3, 5):
        parts = [stage(Batch(raw.slice(0, cut))), stage(Batch(raw.slice(cut)))]
        assert [part.raw.num_rows for part in parts if part.raw.num_rows] == [1]


def test_the_masks_of_the_gate_lose_the_same_rows() -> None:
    rule = deduplicating("device_id").pipeline
    assert rule is not None
    name = {"type": "string", "do": "keep", "collect_if": {"/apps/*/managed": True}}
    fields = {"/apps/*/name": name, "/apps/*/managed": {"type": "boolean", "do": "drop"}}
    bound = plan_of(fields, columns={"apps": APPS}, pipeline=rule.records)
    apps = [{"name": "a", "managed": True}, {"name": "b", "managed": False}]
    raw = records({"apps": APPS}, {"event_time": at(2), "apps": apps}, {"event_time": at(1), "apps": apps[::-1]})
    batch = gated(bound, raw)
    assert settled(bound, raw)(batch).closed["/apps/*/name"].to_pylist() == [True, False]


def test_encoding_does_not_matter() -> None:
    raw = events(*({"device_id": d, "event_time": at(1), "n": n} for n, d in enumerate(["a", "b", None, "a"])))
    encoded = raw.set_column(1, "device_id", raw["device_id"].dictionary_encode())
    assert kept(plan("device_id"), raw) == kept(plan("device_id"), encoded)


def test_nothing_seen_lets_nothing_through() -> None:
    raw = events({"n": 1})
    assert settled(plan("device_id"))(Batch(raw)).raw.num_rows == 0


def test_an_empty_batch_is_accepted() -> None:
    assert settled(plan("device_id"), events())(Batch(events())).counts.deduplicated == 0


def test_a_record_without_event_time_has_a_day_of_its_own() -> None:
    raw = events({"event_time": None, "n": 1}, {"event_time": at(1), "n": 2}, {"event_time": None, "n": 1})
    assert sorted(kept(plan("device_id"), raw)) == [1, 2]


def test_a_list_element_is_nothing_to_go_by() -> None:
    rule = deduplicating("/apps/*/name").pipeline
    assert rule is not None
    bound = plan_of({"/apps/*/name": {"type": "string"}}, columns={"apps": APPS}, pipeline=rule.records)
    with pytest.raises(ConfigurationError):
        DeduplicateTally.from_plan(bound, KEY)


def test_neither_tally_nor_stage_prints_key_or_records() -> None:
    tally = DeduplicateTally.from_plan(plan("device_id"), KEY)
    tally.observe(Batch(events({"event_time": at(1), "id": "canary-id"})))
    assert "kkkk" not in repr(tally.rule)
    assert "canary" not in repr(tally.candidates) + repr(tally.rule)


def test_beyond_the_budget_the_same_records_stay() -> None:
    rule, random = plan("device_id", record="id"), Random(3)
    raw = events(
        *(
            {
                "device_id": f"d{random.randrange(3000)}",
                "event_time": at(random.randrange(9)),
                "n": n,
                "id": f"id {n % 99}",
            }
            for n in range(6000)
        )
    )
    aside = SpillSpace(1)
    one, other = DeduplicateTally.from_plan(rule, KEY, aside), DeduplicateTally.from_plan(rule, KEY, aside)
    for start in range(0, 6000, 500):
        (one if start % 1000 else other).observe(Batch(raw.slice(start, 500)))
    one.merge(other)
    assert one.candidates.pieces
    assert one.settle()(Batch(raw)).raw.equals(settled(rule, raw)(Batch(raw)).raw)


rows = st.fixed_dictionaries(
    {
        "device_id": st.sampled_from(["a", "b", None]),
        "event_time": st.sampled_from([at(1), at(2), at(30), None]),
        "n": st.integers(0, 2),
        "id": st.sampled_from(["x", "y", None]),
    }
)


@settings(max_examples=examples(40))
@given(st.lists(rows, min_size=1, max_size=12), st.randoms(use_true_random=False), st.integers(1, 5), st.booleans())
def test_neither_batches_nor_order_matter(drawn: list[dict[str, Any]], random: Any, size: int, by_record: bool) -> None:
    rule = plan("device_id", record="id" if by_record else None)
    raw = events(*drawn)
    expected = settled(rule, raw)(Batch(raw))
    shuffled = events(*random.sample(drawn, len(drawn)))
    parts = [shuffled.slice(start, size) for start in range(0, len(drawn), size)]
    one, other = DeduplicateTally.from_plan(rule, KEY), DeduplicateTally.from_plan(rule, KEY)
    for index, part in enumerate(parts):
        (one if index % 2 else other).observe(Batch(part))
    one.merge(other)
    stage = one.settle()
    found = [stage(Batch(part)) for part in random.sample(parts, len(parts))]
    assert sum(part.counts.deduplicated for part in found) == expected.counts.deduplicated
    order = [(name, "ascending") for name in ("device_id", "event_time", "n", "id")]
    assert pa.Table.from_batches([part.raw for part in found]).sort_by(order) == pa.table(expected.raw).sort_by(order)


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
