"""Attacks on released records, next to their literal definitions in plain Python, and on tables that are crafted to leak."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.disclosure_risk.attacks import ATTACKS, measure_attacks
from minimize.disclosure_risk.attacks.base import AttackedRecords, AttackResult, SuccessRate
from minimize.disclosure_risk.attacks.differences import Differences
from minimize.disclosure_risk.attacks.inference import PARTS, Inference, _part_of_person
from minimize.disclosure_risk.attacks.linkage import Linkage
from minimize.disclosure_risk.attacks.singling_out import MOST_SETS, SinglingOut
from minimize.errors import ConfigurationError
from tests.disclosure_risk.reference import Row, combination

QUASI = ("model", "age", "carrier", "month")
SCHEMA = pa.schema({**dict.fromkeys((*QUASI, "illness"), pa.string()), "device": pa.int64()})
VALUES = st.sampled_from(["x", "y", "*", "", None])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            **dict.fromkeys(QUASI, VALUES),
            "illness": st.sampled_from(["flu", "cold", None]),
            "device": st.integers(1, 9) | st.none(),
        }
    ),
    max_size=30,
)


def table_of(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def attacked(rows: Sequence[Row], person: str | None, **more: Any) -> AttackedRecords:
    return AttackedRecords(table_of(rows), QUASI, ("illness",), person, **more)


def with_persons(rows: Sequence[Row], person: str | None) -> list[tuple[Any, Row]]:
    """Each row with its data subject: its number if there is no column of data subjects."""
    return [(number if person is None else row[person], row) for number, row in enumerate(rows)]


def persons_of(rows: Sequence[Row], names: Sequence[str], person: str | None) -> dict[tuple[Any, ...], set[Any]]:
    members = defaultdict(set)
    for owner, row in with_persons(rows, person):
        members[combination(row, names)].add(owner)
    return members


BY_PERSON = pytest.mark.parametrize("person", [None, "device"])


@BY_PERSON
@given(rows=ROWS)
def test_three_attributes_isolate_those_whose_combination_nobody_else_has(rows: list[Row], person: str | None) -> None:
    sets = list(combinations(QUASI, 3))
    isolated = [
        len({owner for members in persons_of(rows, names, person).values() if len(members) == 1 for owner in members})
        for names in sets
    ]
    (result,) = SinglingOut.measure(attacked(rows, person))
    assert result.attack.successes == sum(isolated) / len(sets)
    assert result.attack.attempts == len({owner for owner, _ in with_persons(rows, person)})
    assert result.control is None
    assert result.risk == result.attack.rate


@BY_PERSON
@given(rows=ROWS)
def test_a_person_is_linked_with_one_chance_in_the_size_of_their_class(rows: list[Row], person: str | None) -> None:
    members = persons_of(rows, QUASI, person)
    chances = defaultdict(list)
    for owners in members.values():
        for owner in owners:
            chances[owner].append(1 / len(owners))
    (result,) = Linkage.measure(attacked(rows, person, suppressed=2))
    expected = math.fsum(sum(each) / len(each) for each in chances.values())
    assert result.attack.successes == pytest.approx(expected)
    assert result.attack.attempts == len(chances) + 2


def guess(rows: Sequence[tuple[Any, Row]], target: Row) -> Any:
    """The most frequent value among the people with the target's attributes; else among all."""
    triples = {(combination(row, QUASI), row["illness"], owner) for owner, row in rows}
    overall = Counter(value for _, value, _ in triples)
    near = Counter(value for known, value, _ in triples if known == combination(target, QUASI))
    ordered = sorted(near or overall, key=lambda value: (value is None, value or ""))
    return max(ordered, key=lambda value: (near[value], overall[value]), default="nothing is known")


def guessed_share(rows: Sequence[tuple[Any, Row]], parts: dict[Any, int] | None) -> float:
    """The expected number of people whose value is guessed, from all rows or from the rows of the other parts."""
    hits: dict[Any, dict[Any, bool]] = defaultdict(dict)
    for owner, row in rows:
        known = rows if parts is None else [each for each in rows if parts[each[0]] != parts[owner]]
        hits[owner][combination(row, QUASI), row["illness"]] = guess(known, row) == row["illness"]
    return math.fsum(sum(each.values()) / len(each) for each in hits.values())


@given(rows=ROWS)
def test_the_majority_is_guessed_and_the_control_guesses_people_who_are_held_out(rows: list[Row]) -> None:
    owned = with_persons(rows, "device")
    (result,) = Inference.measure(attacked(rows, "device"))
    parts = {owner: _part_of_person(owner) for owner, _ in owned}
    assert result.attack.successes == pytest.approx(guessed_share(owned, None))
    assert result.control is not None
    assert result.control.successes == pytest.approx(guessed_share(owned, parts))
    assert result.sensitive == "illness"


@given(rows=ROWS)
def test_records_without_persons_are_guessed_one_by_one(rows: list[Row]) -> None:
    (result,) = Inference.measure(attacked(rows, None))
    assert result.attack.successes == guessed_share(with_persons(rows, None), None)
    assert result.attack.attempts == len(rows)


@BY_PERSON
@given(rows=ROWS, seed=st.integers())
def test_results_do_not_depend_on_order_or_chunks(rows: list[Row], person: str | None, seed: int) -> None:
    shuffled = random.Random(seed).sample(rows, len(rows))
    half = len(rows) // 2
    chunked = pa.concat_tables([table_of(shuffled[:half]), table_of(shuffled[half:])])
    again = AttackedRecords(chunked, QUASI, ("illness",), person)
    assert measure_attacks(again) == measure_attacks(attacked(rows, person))


def test_persons_are_divided_into_parts_of_similar_size_in_the_same_way_each_time() -> None:
    sizes = Counter(_part_of_person(f"device-{number}") for number in range(10_000))
    assert len(sizes) == PARTS
    assert min(sizes.values()) > 850
    assert [_part_of_person(f"device-{number}") for number in range(8)] == [9, 1, 4, 3, 6, 2, 3, 3]


@given(before=ROWS, after=ROWS)
def test_a_difference_isolates_who_alone_joined_or_left_a_combination(before: list[Row], after: list[Row]) -> None:
    sides = [
        {(combination(row, QUASI), owner) for owner, row in with_persons(each, "device")} for each in (before, after)
    ]
    owners = [{owner for _, owner in side} for side in sides]
    (result,) = Differences.measure(attacked(after, "device", earlier=table_of(before)))
    if owners[0] & owners[1] or not owners[0] or not owners[1]:
        changes = [side - other for side, other in (sides, sides[::-1])]
        alone = [Counter(known for known, _ in change) for change in changes]
        isolated = {
            owner for change, sizes in zip(changes, alone, strict=True) for known, owner in change if sizes[known] == 1
        }
        assert result.attack == SuccessRate(len(isolated), len({owner for change in changes for _, owner in change}))
    else:
        counts = [Counter(known for known, _ in side) for side in sides]
        differences = [abs(counts[0][known] - counts[1][known]) for known in {**counts[0], **counts[1]}]
        assert result.attack == SuccessRate(differences.count(1), sum(differences))


@given(before=ROWS, after=ROWS)
def test_without_identifiers_a_number_that_differs_by_one_isolates(before: list[Row], after: list[Row]) -> None:
    counts = [Counter(combination(row, QUASI) for row in each) for each in (before, after)]
    differences = [abs(counts[0][known] - counts[1][known]) for known in {**counts[0], **counts[1]}]
    (result,) = Differences.measure(attacked(after, None, earlier=table_of(before)))
    assert result.attack == SuccessRate(differences.count(1), sum(differences))


def test_a_column_that_changed_its_type_is_compared_as_text_and_one_that_is_new_is_not_compared() -> None:
    before = pa.table({"age": [30, 30, 40], "device": [1, 2, 3]})
    after = pa.table({"age": ["30", "30"], "model": ["A", "B"], "device": [1, 2]})
    records = AttackedRecords(after, ("age", "model"), person="device", earlier=before)
    assert Differences.measure(records)[0].attack == SuccessRate(1, 1)


# Tables that are crafted to leak, each with a table that does not.


def people(count: int, **columns: Any) -> pa.Table:
    numbers = range(count)
    return pa.table(
        {"device": numbers, **{name: [value(number) for number in numbers] for name, value in columns.items()}}
    )


def by_name(table: pa.Table, quasi: Sequence[str], **more: Any) -> dict[str, AttackResult]:
    return {each.name: each for each in measure_attacks(AttackedRecords(table, quasi, person="device", **more))}


def test_a_number_that_belongs_to_one_person_singles_them_out_and_links_them() -> None:
    leaking = people(400, serial=str, model=lambda number: number % 4)
    safe = people(400, serial=lambda number: number // 100, model=lambda number: number % 4)
    found = by_name(leaking, ["serial", "model"])
    assert found["singling_out"].risk == found["linkage"].risk == 1
    control = by_name(safe, ["serial", "model"])
    assert control["singling_out"].risk == 0
    assert control["linkage"].risk == pytest.approx(16 / 400)


def random_illness(number: int) -> str:
    return random.Random(number).choice(["flu", "cold", "none"])


def test_what_only_ones_own_record_tells_is_risk_and_what_everybody_tells_is_not() -> None:
    own = by_name(people(900, badge=str, illness=random_illness), ["badge"], sensitive=["illness"])["inference"]
    assert own.attack.rate == 1
    assert own.control is not None
    assert own.control.rate == pytest.approx(1 / 3, abs=0.06)
    assert own.risk == 1
    general = people(900, site=lambda number: number % 3, illness=lambda number: ["flu", "cold", "none"][number % 3])
    pattern = by_name(general, ["site"], sensitive=["illness"])["inference"]
    assert pattern.attack.rate == 1
    assert pattern.control is not None
    assert pattern.control.rate == 1
    assert pattern.risk == 0


def test_large_groups_with_unrelated_values_reveal_hardly_more_than_the_control() -> None:
    illnesses = random.Random(1).choices(["flu", "cold", "none"], [5, 3, 2], k=3000)
    table = people(3000, site=lambda number: number % 5, illness=illnesses.__getitem__)
    result = by_name(table, ["site"], sensitive=["illness"])["inference"]
    assert result.risk == pytest.approx(0, abs=0.03)
    assert result.risk_interval is not None
    assert result.risk_interval[0] < 0 < result.risk_interval[1] < 0.15


def test_one_person_who_leaves_a_large_group_is_isolated_and_a_hundred_are_not() -> None:
    before = people(500, site=lambda number: number % 5)
    for left, isolated in ((1, 1), (100, 0)):
        result = by_name(before.slice(left), ["site"], earlier=before)["differences"]
        assert result.attack == SuccessRate(isolated, left)


def test_a_reidentified_release_under_other_pseudonyms_is_compared_by_numbers() -> None:
    before = people(500, site=lambda number: number % 5)
    after = before.slice(1).set_column(0, "device", pa.array(range(1000, 1499)))
    assert by_name(after, ["site"], earlier=before)["differences"].attack == SuccessRate(1, 1)


# The form of a result.


def test_wilson_intervals() -> None:
    """Against the published example of Newcombe (1998): 15 of 148, and 0 of 20."""
    low, high = SuccessRate(15, 148).interval or (0, 0)
    assert (round(low, 4), round(high, 4)) == (0.0624, 0.1605)
    low, high = SuccessRate(0, 20).interval or (1, 1)
    assert (round(low, 4), round(high, 4)) == (0, 0.1611)


def test_without_records_nothing_is_known() -> None:
    for person in (None, "device"):
        for result in measure_attacks(attacked([], person, earlier=table_of([]))):
            assert result.attack == SuccessRate(0, 0)
            assert (result.risk, result.risk_interval, result.attack.rate) == (None, None, None)
            assert result.to_json()["low"] is None


def test_a_control_that_always_succeeds_leaves_no_risk() -> None:
    assert AttackResult("inference", "", "records", SuccessRate(5, 5), SuccessRate(5, 5)).risk == 0
    assert AttackResult("inference", "", "records", SuccessRate(3, 4), SuccessRate(2, 4)).risk == 0.5
    assert AttackResult("inference", "", "records", SuccessRate(1, 4), SuccessRate(2, 4)).risk == -0.5


def test_results_have_no_value() -> None:
    rows = [{**dict.fromkeys(QUASI, "secret"), "illness": "planted", "device": 4711}] * 3
    records = attacked(rows, "device", earlier=table_of(rows[:1]))
    results = measure_attacks(records)
    assert [each.name for each in results] == list(ATTACKS)
    shown = repr(records) + repr(results) + str([each.to_json() for each in results])
    assert not any(value in shown for value in ("secret", "planted", "4711"))


def test_many_attributes_are_tried_in_a_limited_number_of_sets() -> None:
    names = [f"a{number:02}" for number in range(20)]
    table = pa.table({name: ["x", "x", "y"] for name in names})
    (result,) = SinglingOut.measure(AttackedRecords(table, names))
    assert result.attack == SuccessRate(1.0, 3)
    assert math.comb(20, 3) > MOST_SETS


@pytest.mark.parametrize(
    ("quasi", "sensitive", "person", "message"),
    [
        (["model", "modle"], [], None, "no column modle"),
        (["model", "illness"], ["illness"], None, "illness has two parts"),
        (["model"], ["illness"], "model", "model has two parts"),
    ],
)
def test_columns_that_do_not_fit(quasi: list[str], sensitive: list[str], person: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AttackedRecords(table_of([]), quasi, sensitive, person)
