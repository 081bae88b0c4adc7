from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from minimize.report.facts import ROUNDING_STEP, RoundedCount
from minimize.text import percent_text

numbers = st.integers(0, 10**7)


def test_counts_below_five_are_hidden_and_zero_is_shown() -> None:
    assert [str(RoundedCount.rounded(number)) for number in range(6)] == ["0", *["fewer than 5"] * 4, "5"]


def test_a_total_of_small_parts_reveals_no_more_than_they_do() -> None:
    assert str(RoundedCount.total([RoundedCount.rounded(1), RoundedCount.rounded(4)])) == "fewer than 9"
    assert str(RoundedCount.total([RoundedCount.rounded(1), RoundedCount.rounded(100)])) == "100"


def test_a_total_without_many_small_parts_is_a_lower_bound() -> None:
    found = RoundedCount.total([RoundedCount.rounded(20), *[RoundedCount.rounded(1)] * 7])
    assert (str(found), found.to_json()) == ("20 or more", "20 or more")
    assert RoundedCount.total([RoundedCount.rounded(1_000), RoundedCount.rounded(1)]).to_json() == 1_000


@given(numbers)
def test_a_count_is_off_by_less_than_a_step(number: int) -> None:
    found = RoundedCount.rounded(number)
    assert found.value % ROUNDING_STEP == 0
    assert abs(found.value - number) < ROUNDING_STEP
    assert bool(found) == (number > 0)


@given(st.lists(numbers, max_size=8))
def test_a_total_is_known_from_the_rounded_parts_alone(parts: list[int]) -> None:
    rounded = [RoundedCount.rounded(part) for part in parts]
    again = [RoundedCount(each.value, each.few) for each in rounded]
    assert RoundedCount.total(rounded) == RoundedCount.total(again)
    assert RoundedCount.total(rounded).value == sum(each.value for each in rounded)


@given(st.lists(numbers, min_size=1, max_size=8), st.data())
def test_a_part_that_is_changed_within_its_rounding_changes_no_total(parts: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(parts) - 1))
    other = data.draw(st.integers(1, 4))
    same = [*parts[:place], other, *parts[place + 1 :]]
    few = [*parts[:place], 5 - other, *parts[place + 1 :]]
    assert RoundedCount.total(map(RoundedCount.rounded, same)) == RoundedCount.total(map(RoundedCount.rounded, few))


@given(st.lists(numbers, max_size=4), st.lists(numbers, max_size=4))
def test_sums_do_not_depend_on_their_order(left: list[int], right: list[int]) -> None:
    one, other = (
        RoundedCount.total(map(RoundedCount.rounded, left)),
        RoundedCount.total(map(RoundedCount.rounded, right)),
    )
    assert one + other == RoundedCount.total(map(RoundedCount.rounded, [*right, *left]))


def test_a_share_of_a_hidden_count_is_hidden() -> None:
    assert RoundedCount.rounded(3).share(RoundedCount.rounded(100)) is None
    assert RoundedCount.rounded(3).share(RoundedCount.rounded(0)) is None
    assert RoundedCount.rounded(50).share(RoundedCount.rounded(100)) == 0.5


def test_a_share_close_to_none_or_all_is_shown_as_a_bound() -> None:
    assert [percent_text(share) for share in (0.001, 0.999, 0.5)] == ["under 1%", "over 99%", "50%"]
