"""Aggregates beyond their budget: every measure gives what it gives within it, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.aggregates import MEASURES, MeasureRefused, measure_from
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey
from minimize.aggregates.dictionaries import GroupDictionary
from minimize.aggregates.tally import AggregateTally
from minimize.arrow.pointers import Pointer
from minimize.checkpoints import at_checkpoint
from minimize.records import Batch
from minimize.spill import HashedRows, SpillSpace
from tests.aggregates import test_list_elements as view
from tests.aggregates import test_tally as table
from tests.contract.test_measures import LITERALS
from tests.hypothesis_profiles import examples


@pytest.fixture(autouse=True, scope="module")
def _nothing_fits() -> Iterator[None]:
    """A few rows are worked off at once, and nothing is held in any case."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minimize.aggregates.tally._MIN_ROWS", 1)
        patch.setattr("minimize.spill.spill_file._MIN_BYTES", 1 << 11)
        patch.setattr("minimize.spill._DIVIDED_ROWS", 1 << 6)
        yield


def tallied(
    what: AggregateDefinition, aside: SpillSpace, *batches: Batch, shared: GroupDictionary | None = None
) -> AggregateTally:
    tally = AggregateTally(what, aside, shared)
    for each in batches:
        tally.observe(each)
    return tally


def is_spilled(tally: AggregateTally) -> bool:
    """Whether pairs of a group and a subject were written."""
    pieces = [piece for pieces in tally._contributors.subjects._rows._parts for piece in pieces]
    return any(not isinstance(piece, HashedRows) for piece in pieces)


@settings(max_examples=examples(25))
@given(st.lists(table.values, max_size=25), st.lists(st.integers(0, 25), max_size=4), st.randoms(), st.booleans())
def test_setting_aside_merging_and_sharing_change_nothing(
    rows: list[table.Row], cuts: list[int], order: random.Random, together: bool
) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    aside = SpillSpace(0)
    shared = GroupDictionary.for_definition(table.EVERYTHING) if together else None
    parts = [table.batch(shuffled[start:end]) for start, end in pairwise(edges)]
    tallies = [tallied(table.EVERYTHING, aside, part, shared=shared) for part in parts]
    merged = AggregateTally(table.EVERYTHING, aside, shared)
    for number, tally in enumerate(tallies):
        if number % 2:
            tally.merge(merged)
            merged = tally
        else:
            merged.merge(tally)
    one_by_one = tallied(table.EVERYTHING, aside, *(table.batch([row]) for row in shuffled)).settle()
    result = merged.settle()
    assert result.table.to_pylist() == table.literal(rows)
    assert result.table.equals(one_by_one.table)
    assert (result.rows_seen, one_by_one.rows_seen) == (len(rows), len(rows))


TYPES = {
    "key": pa.string(),
    "whole": pa.int64(),
    "unsigned": pa.uint64(),
    "single": pa.float32(),
    "double": pa.float64(),
    "money": pa.decimal128(30, 2),
    "wide": pa.decimal256(60, 3),
    "time": pa.timestamp("us", "UTC"),
    "day": pa.date32(),
    "word": pa.string(),
    "rare": pa.int32(),
}


def measured_fields() -> Iterator[tuple[str, str, Any]]:
    """Each measure of a field with every field whose type it takes, and its argument."""
    for word, kind in MEASURES.items():
        for field in () if kind.takes is None else TYPES:
            argument = {"of": field, **LITERALS[word][1]}
            with suppress(MeasureRefused):
                measure_from(word, argument).output_type(TYPES[field])
                yield word, field, argument


def everything() -> AggregateDefinition:
    measures = {"n": BoundMeasure(measure_from("count"), None)}
    measures["devices"] = BoundMeasure(measure_from("count_distinct", "device"), pa.string())
    for word, field, argument in measured_fields():
        measures[f"{word}_{field}"] = _measured(word, field, argument)
    measures["tail"] = _measured("quantile", "money", {"of": "money", "q": 0.9})
    return AggregateDefinition("all", {"key": GroupKey("key", TYPES["key"])}, measures, 3, Pointer.parse("device"), 5)


def _measured(word: str, field: str, argument: Any) -> BoundMeasure:
    return BoundMeasure(
        measure_from(word, argument), TYPES[field], generalized=field in ("whole", "money", "time", "double")
    )


def data(rows: int, seed: int) -> Batch:
    """Rows of many devices and values; some lack a subject or a value."""
    draw = random.Random(seed)
    columns: dict[str, Sequence[Any]] = {
        "key": [draw.choice(["a", "b", "c", None, f"k{draw.randrange(300)}"]) for _ in range(rows)],
        "whole": [draw.choice([None, draw.randrange(-(2**63), 2**63), draw.randrange(5)]) for _ in range(rows)],
        "unsigned": [draw.randrange(2**64) for _ in range(rows)],
        "single": [draw.choice([draw.gauss(0, 9), -0.0, float("inf")]) for _ in range(rows)],
        "double": [draw.choice([draw.gauss(0, 1e9), 0.0, -0.0, None, float("-inf")]) for _ in range(rows)],
        "money": [Decimal(draw.randrange(-(10**29), 10**29)).scaleb(-2) for _ in range(rows)],
        "wide": [Decimal(draw.randrange(-(10**9), 10**9)).scaleb(-3) for _ in range(rows)],
        "time": [draw.randrange(-(10**15), 10**15) for _ in range(rows)],
        "day": [draw.randrange(-9000, 9000) for _ in range(rows)],
        "word": [draw.choice(["w1", "w2", "w3", None, f"w{draw.randrange(40)}"]) for _ in range(rows)],
        "rare": [draw.choice([None, None, 7, draw.randrange(9)]) for _ in range(rows)],
    }
    devices = pa.array([draw.choice([None, *(f"d{draw.randrange(4000)}" for _ in range(9))]) for _ in range(rows)])
    released = {name: pa.array(values, TYPES[name]) for name, values in columns.items()}
    return Batch(pa.record_batch({"device": devices}), released=released)


@pytest.mark.slow
def test_every_measure_over_every_type_gives_the_same_beyond_the_budget() -> None:
    assert {"count", *(word for word, *_ in measured_fields())} == {*MEASURES}
    batches = [data(700, seed) for seed in range(6)]
    within = tallied(everything(), SpillSpace(None), *batches)
    aside = SpillSpace(1)
    beyond = tallied(everything(), aside, *batches[:3])
    beyond.merge(tallied(everything(), aside, *batches[3:]))
    assert (is_spilled(beyond), is_spilled(within)) == (True, False)
    assert beyond.settle() == within.settle()
    assert within.settle().table.num_rows > 5


def test_elements_of_lists_count_the_same_beyond_the_budget() -> None:
    what = view.definition(
        "/apps/*/name",
        below=2,
        n=("count",),
        d=("count_distinct", "device"),
        s=("sum", "/apps/*/size"),
        w=("sum", "weight"),
    )
    draw = random.Random(5)
    records = [
        view.record(
            f"d{draw.randrange(60)}",
            *(view.app(f"app{draw.randrange(90)}", draw.choice([None, 3])) for _ in range(draw.randrange(3))),
            weight=draw.choice([1, None]),
        )
        for _ in range(400)
    ]
    batches = [view.batch(*records[start : start + 50]) for start in range(0, 400, 50)]
    aside = SpillSpace(1)
    beyond = tallied(what, aside, *batches[4:])
    beyond.merge(tallied(what, aside, *batches[:4]))
    assert is_spilled(beyond)
    assert beyond.settle() == tallied(what, SpillSpace(None), *batches).settle()


def test_nothing_is_set_aside_within_the_budget() -> None:
    with at_checkpoint("spill.put", lambda *_: pytest.fail("set aside")):
        assert tallied(everything(), SpillSpace(), data(2000, 1)).settle().rows_seen == 2000


def test_a_tally_in_memory_can_be_pickled() -> None:
    tally = tallied(everything(), SpillSpace(None), data(500, 1))
    assert ForkingPickler.loads(ForkingPickler.dumps(tally)).settle() == tally.settle()


def test_tallies_under_two_keys_do_not_merge() -> None:
    with pytest.raises(ValueError, match="different keys"):
        tallied(everything(), SpillSpace(0), data(50, 1)).merge(tallied(everything(), SpillSpace(0), data(50, 2)))
