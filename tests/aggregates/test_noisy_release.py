"""One release: equal data give equal bytes in any division, order and process, and any other data other noise in every row."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minimize.aggregates import measure_from
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey, NoiseTerms
from minimize.aggregates.dictionaries import GroupDictionary
from minimize.aggregates.noise import NoiseKey
from minimize.aggregates.tally import AggregateResult, AggregateTally, settle_tables
from minimize.arrow.pointers import Pointer
from minimize.spill import HashedRows, SpillSpace
from tests.aggregates import test_list_elements as lists
from tests.aggregates.noisy_tables import (
    BOUNDS,
    DATE,
    KEY,
    MEASURES,
    TYPES,
    Row,
    batch,
    definition,
    people,
    settled,
    tally,
)
from tests.aggregates.test_noisy_figures import random_rows
from tests.hypothesis_profiles import examples

WHAT = definition(limit=2, values=2)
COARSE = definition((), name="coarse", limit=2)


@pytest.fixture
def _nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows are processed at once, and are spilled."""
    monkeypatch.setattr("minimize.aggregates.tally._MIN_ROWS", 1)
    monkeypatch.setattr("minimize.spill.spill_file._MIN_BYTES", 1 << 11)
    monkeypatch.setattr("minimize.spill._DIVIDED_ROWS", 1 << 6)


def assert_equal(results: Sequence[AggregateResult], others: Sequence[AggregateResult]) -> None:
    """Asserts that tables have equal bytes and one mark."""
    for one, other in zip(results, others, strict=True):
        assert one.table.equals(other.table)
        assert one.mark == other.mark
        assert (one.rows_seen, one.most_of_subject) == (other.rows_seen, other.most_of_subject)
    assert any(one.table.num_rows for one in results)


def parts_of(rows: Sequence[Row], cuts: Sequence[int]) -> Iterator[Sequence[Row]]:
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    yield from (rows[start:end] for start, end in pairwise(edges))


def merged(what: AggregateDefinition, parts: Sequence[AggregateTally], space: SpillSpace) -> AggregateTally:
    """The parts merged in their order, each second time the other way."""
    found = tally(what, space=space)
    for number, part in enumerate(parts):
        if number % 2:
            part.merge(found)
            found = part
        else:
            found.merge(part)
    return found


@pytest.mark.usefixtures("_nothing_fits")
@pytest.mark.parametrize("memory", [None, 0])
@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1 << 32), st.lists(st.integers(1, 200), max_size=5), st.randoms())
def test_division_order_and_merging_change_nothing(
    memory: int | None, seed: int, cuts: list[int], order: random.Random
) -> None:
    rows = random_rows(seed, 3)
    expected = settled(rows, WHAT, COARSE)
    shuffled = list(rows)
    order.shuffle(shuffled)
    space, tallies = SpillSpace(memory), dict[str, AggregateTally]()
    for place, what in enumerate((WHAT, COARSE)):
        parts = [tally(what, batch(part), space=space) for part in parts_of(shuffled, cuts)]
        order.shuffle(parts)
        tallies[str(place)] = merged(what, parts, space)
    assert_equal(expected, list(settle_tables(tallies, KEY, DATE).values()))


@pytest.mark.usefixtures("_nothing_fits")
def test_spilled_parts_are_tried() -> None:
    found = tally(WHAT, batch(random_rows(3, 3)), space=SpillSpace(0))
    found.digest(KEY)
    pieces = [piece for pieces in found._contributors.subjects._rows._parts for piece in pieces]
    assert any(not isinstance(piece, HashedRows) for piece in pieces)


def test_threads_that_share_groups_change_nothing() -> None:
    rows = random_rows(5, 3)
    groups = GroupDictionary.for_definition(WHAT)
    parts = list(parts_of(rows, range(0, 300, 20)))
    with ThreadPoolExecutor(4) as pool:
        tallies = list(pool.map(lambda part: tally(WHAT, batch(part), groups=groups), reversed(parts)))
    whole = tally(WHAT, groups=groups)
    for each in tallies:
        whole.merge(each)
    assert_equal(settled(rows, WHAT), list(settle_tables({"t": whole}, KEY, DATE).values()))


def test_tallies_of_other_processes_change_nothing() -> None:
    rows = random_rows(7, 3)
    whole = tally(WHAT)
    for part in parts_of(rows, [50, 90]):
        sent = ForkingPickler.dumps(tally(WHAT, batch(part)))
        assert KEY.values not in bytes(sent)
        whole.merge(ForkingPickler.loads(sent))
    assert_equal(settled(rows, WHAT), list(settle_tables({"t": whole}, KEY, DATE).values()))


def test_elements_of_lists_have_equal_noise_in_any_division() -> None:
    app = {
        "rows": MEASURES["rows"],
        "devices": BoundMeasure(measure_from("count_distinct", "device"), pa.string()),
        "sizes": measure_of_sizes("sum"),
        "middle": measure_of_sizes("quantile", q=0.5),
    }
    draw = random.Random(5)
    records = [
        lists.record(
            f"d{number % 70}", *(lists.app(draw.choice("ab"), draw.randrange(9)) for _ in range(draw.randrange(4)))
        )
        for number in range(300)
    ]
    keys = {"name": GroupKey("/apps/*/name", TYPES["org"])}
    what = AggregateDefinition("apps", keys, app, 10, Pointer.parse("device"), noise=NoiseTerms(), limits=WHAT.limits)
    whole, one, two = (AggregateTally(what, SpillSpace(None), hasher=KEY.hasher) for _ in range(3))
    whole.observe(lists.batch(*records))
    one.observe(lists.batch(*records[200:]))
    two.observe(lists.batch(*records[:200]))
    one.merge(two)
    results = [list(settle_tables({"t": each}, KEY, DATE).values()) for each in (whole, one)]
    assert_equal(*results)
    counts = [
        [record["device"] for record in records if any(each["name"] == name for each in record["apps"])]
        for name in "ab"
    ]
    assert results[0][0].most_of_subject >= max(each.count(name) for each in counts for name in set(each))


def measure_of_sizes(word: str, **parameters: Any) -> BoundMeasure:
    """A measure of the sizes of applications."""
    made = measure_from(word, {"of": "/apps/*/size", **parameters})
    return BoundMeasure(made, TYPES["score"], generalized=True, bounds=BOUNDS["score"])


# Other data.

ROWS = [
    *people(40, org="x", score=lambda number: number, size=0.5, mood="a", age=10),
    *people(30, 40, org="y", score=50, mood="b", age=20),
    *people(3, 70, org="small", score=7, mood="rare", age=30),
]
TABLES = (definition(), definition((), name="coarse"))


def changed(place: int, **values: Any) -> list[Row]:
    return [{**row, **values} if number == place else row for number, row in enumerate(ROWS)]


@pytest.mark.parametrize(
    "rows",
    [
        changed(0, score=99),
        changed(0, badge="B-new"),
        changed(0, size=0.6),
        changed(0, mood="b"),
        changed(0, age=20),
        changed(0, score=None),
        changed(0, org="y"),
        changed(71, score=8),
        changed(71, badge="B-new"),
        changed(71, mood="a"),
        ROWS[:-1],
        ROWS[1:],
        [*ROWS, *people(1, 80, org="new")],
    ],
    ids=lambda rows: "",
)
def test_any_other_value_or_person_gives_other_noise_in_every_row_of_every_table(rows: list[Row]) -> None:
    before, after = settled(ROWS, *TABLES), settled(rows, *TABLES)
    assert before[0].mark == before[1].mark != after[0].mark
    for one, other in zip(before, after, strict=True):
        figures = {row.get("org"): row for row in other.table.to_pylist()}
        shown = [row for row in one.table.to_pylist() if row.get("org") in figures]
        assert shown
        assert all(row != figures[row.get("org")] for row in shown)


@pytest.mark.parametrize(
    "tables",
    [
        TABLES[:1],
        (*TABLES, definition(("mood",), name="third")),
        (definition(limit=2), TABLES[1]),
        (definition(noise=NoiseTerms("3")), TABLES[1]),
        (definition(measures={"people": MEASURES["people"]}), TABLES[1]),
    ],
    ids=["one less", "one more", "limit", "sd", "measures"],
)
def test_other_tables_are_another_release(tables: tuple[AggregateDefinition, ...]) -> None:
    assert settled(ROWS, *tables)[0].mark != settled(ROWS, *TABLES)[0].mark


def test_other_names_and_another_order_are_the_same_release() -> None:
    renamed = definition(
        {"company": GroupKey("org", TYPES["org"])},
        {f"other {name}": each for name, each in reversed(list(MEASURES.items()))},
        name="renamed",
    )
    before, after = settled(ROWS, *TABLES), settled(ROWS, TABLES[1], renamed)
    assert before[0].mark == after[0].mark
    usual = [tuple(row[name] for name in MEASURES) for row in before[0].table.to_pylist()]
    assert [tuple(row[f"other {name}"] for name in MEASURES) for row in after[1].table.to_pylist()] == usual


def test_dates_have_unrelated_marks() -> None:
    assert len({settled(ROWS, *TABLES, date=date)[0].mark for date in ("2026-01-01", "2026-01-02", None)}) == 3


def test_noise_needs_its_key() -> None:
    with pytest.raises(ValueError, match="need a key"):
        settle_tables({"t": tally(WHAT, batch(ROWS))}, None, DATE)


def test_a_tally_under_another_key_than_its_noise_is_refused() -> None:
    for found in (tally(WHAT, batch(ROWS), key=NoiseKey(b"w" * 32, b"d" * 32)), AggregateTally(WHAT)):
        with pytest.raises(ValueError, match="another key"):
            settle_tables({"t": found}, KEY, DATE)
