"""`top` over whole inputs: what is kept, what is other, and that batches do not matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.arrow.pointers import Pointer
from minimize.records import Batch
from minimize.spill import SpillSpace
from minimize.techniques.base import Context, UnsupportedType, treat
from minimize.techniques.top import SubjectValues, Top, TopTally, TopValues
from tests.hypothesis_profiles import examples

Pair = tuple[str | None, str | None]
SUBJECT = Pointer.parse("device")


def batch(pairs: Sequence[Pair], encoded: bool = False) -> Batch:
    values = pa.array([value for value, _ in pairs], pa.string())
    raw = pa.record_batch({"model": values, "device": pa.array([subject for _, subject in pairs], pa.string())})
    return Batch(raw, released={"model": values.dictionary_encode() if encoded else values})


def tally(top: Top, *batches: Batch, key: str = "model", aside: SpillSpace | None = None) -> TopTally:
    seen = TopTally(key, Pointer.parse(key), SUBJECT, top, SubjectValues(SpillSpace() if aside is None else aside))
    for each in batches:
        seen.observe(each)
    return seen


def kept(top: Top, pairs: Sequence[Pair]) -> tuple[str, ...]:
    return tally(top, batch(pairs)).settle().values


def of(value: str, count: int, start: int = 0) -> list[Pair]:
    return [(value, f"d{start + number}") for number in range(count)]


def test_the_most_frequent_values_are_kept_most_frequent_first() -> None:
    pairs = [*of("a", 2), *of("b", 4), *of("c", 3), *of("d", 1)]
    assert kept(Top(keep=2, other="other", at_least=1), pairs) == ("b", "c")


def test_frequent_means_subjects_not_rows() -> None:
    pairs = [*(of("a", 1) * 9), *of("b", 2), *of("c", 2)]
    assert kept(Top(keep=1, other="other", at_least=1), pairs) == ("b",)


def test_ties_go_in_the_order_of_the_values() -> None:
    assert kept(Top(keep=2, other="other", at_least=1), [*of("z", 2), *of("é", 2), *of("a", 2)]) == ("a", "z")


def test_a_value_of_too_few_subjects_becomes_other() -> None:
    pairs = [*of("a", 5), *of("b", 4), *of("c", 2), *of("d", 2, start=2)]
    assert kept(Top(keep=9, other="other", at_least=4), pairs) == ("a", "b")


def test_the_least_frequent_kept_value_joins_an_other_that_is_too_small() -> None:
    pairs = [*of("a", 5), *of("b", 4), *of("c", 1)]
    assert kept(Top(keep=9, other="other", at_least=3), pairs) == ("a",)


def test_an_other_row_without_subjects_is_not_too_small() -> None:
    assert kept(Top(keep=9, other="other", at_least=3), [*of("a", 5), *of("b", 4), (None, "d")]) == ("a", "b")


def test_subjects_of_other_are_counted_once() -> None:
    pairs = [*of("a", 5), *of("b", 1), *of("c", 1), *of("d", 1)]
    assert kept(Top(keep=9, other="other", at_least=2), pairs) == ()


def test_where_all_are_too_few_all_are_other() -> None:
    assert kept(Top(keep=9, other="other", at_least=3), [*of("a", 1), *of("b", 1, start=1)]) == ()


def test_a_value_that_is_called_like_other_is_in_other() -> None:
    pairs = [*of("other", 6), *of("a", 3), *of("b", 1)]
    assert kept(Top(keep=9, other="other", at_least=3), pairs) == ("a",)


def test_a_value_without_any_subject_becomes_other_and_makes_it_too_small() -> None:
    assert kept(Top(keep=9, other="other", at_least=2), [*of("a", 3), *of("b", 2), ("c", None)]) == ("a",)


def test_unkept_values_become_other_and_null_stays_null() -> None:
    technique, context = TopValues(values=("a",), other="rest"), Context("model", datetime(2026, 1, 1, tzinfo=UTC))
    values = pa.array(["a", "b", None, "a"])
    for array in (values, values.dictionary_encode(), values.dictionary_encode(null_encoding="encode")):
        treated = treat(technique, array, context).values
        assert treated.cast(pa.string()).to_pylist() == ["a", "rest", None, "a"]


def test_a_dropped_value_is_not_left_in_the_dictionary() -> None:
    context = Context("model", datetime(2026, 1, 1, tzinfo=UTC))
    treated = treat(
        TopValues(values=("a",), other="rest"), pa.array(["a", "secret"]).dictionary_encode(), context
    ).values
    assert set(treated.dictionary.to_pylist()) == {"a", "rest"}


def test_kept_values_are_not_printed() -> None:
    assert "secret" not in repr(TopValues(values=("secret",), other="rest"))


def test_values_below_a_list_count_for_the_subject_of_their_record() -> None:
    apps = pa.array([["a", "b"], ["a"], None, ["c", "a"]], pa.list_(pa.string()))
    raw = pa.record_batch({"apps": apps, "device": pa.array(["p", "q", "r", "s"])})
    data = Batch(raw, released={"/apps/*": pa.array(["a", "b", "a", "c", "a"])})
    assert tally(Top(keep=5, other="other", at_least=2), data, key="/apps/*").settle().values == ("a",)


def test_only_strings_are_taken() -> None:
    top = Top(keep=1, other="other")
    assert top.output_type(pa.dictionary(pa.int32(), pa.string())) == pa.string()
    with pytest.raises(UnsupportedType):
        top.output_type(pa.int64())


@pytest.mark.parametrize(
    "parameters", [{"keep": 0, "other": "o"}, {"keep": 1}, {"keep": 1, "other": "o", "at_least": 0}]
)
def test_parameters_without_effect_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Top.model_validate(parameters)


pairs_ = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d", "other", None]), st.sampled_from(["p", "q", "r", "s", "t", None])),
    max_size=30,
)


@settings(max_examples=examples(25))
@given(pairs_, st.integers(1, 4), st.integers(1, 4), st.integers(0, 30), st.randoms())
def test_batches_order_and_merging_change_nothing_and_other_is_never_small(
    pairs: list[Pair], keep: int, at_least: int, cut: int, random: Any
) -> None:
    top = Top(keep=keep, other="other", at_least=at_least)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    aside = SpillSpace()
    first = tally(top, batch(shuffled[:cut], encoded=True), aside=aside)
    second = tally(top, batch(shuffled[cut:]), aside=aside)
    second.merge(first)
    one_by_one = tally(top, *(batch([pair]) for pair in pairs))
    result = second.settle()
    assert result == one_by_one.settle()
    assert result.values == literal(pairs, top)
    outside = [pair for pair in pairs if pair[0] is not None and pair[0] not in result.values]
    assert not outside or not result.values or len(subjects(outside)) >= at_least


def literal(pairs: Sequence[Pair], top: Top) -> tuple[str, ...]:
    owners: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair[0] is not None:
            owners[pair[0]].append(pair)
    ranked = sorted(owners, key=lambda value: (-len(subjects(owners[value])), value))
    kept = [value for value in ranked if len(subjects(owners[value])) >= top.at_least and value != top.other][
        : top.keep
    ]
    while kept:
        others = [pair for value in owners if value not in kept for pair in owners[value]]
        if not others or len(subjects(others)) >= top.at_least:
            break
        kept.pop()
    return tuple(kept)


def subjects(pairs: Iterable[Pair]) -> set[str]:
    return {subject for _, subject in pairs if subject is not None}
