"""Which of two conditions holds less often.
The parameters of every technique, in order.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from minimize.policy.condition import AllOf, AnyOf, Condition, FeatureOn, FieldEquals, LevelAtLeast, TimeWithin
from minimize.policy.treatments import Treatment
from minimize.review.changes import chain_grade, condition_grade, implies
from minimize.techniques import TECHNIQUES

LEVELS = ("required", "basic", "full")
A, B = FieldEquals("a", (1,)), FieldEquals("a", (1, 2))
ATOMS = [
    *(FieldEquals("a", values) for values in ((1,), (2,), (1, 2))),
    FieldEquals("b", (1,)),
    *(LevelAtLeast(name) for name in LEVELS),
    FeatureOn("f"),
    *(TimeWithin("seen", timedelta(days=days), of) for days in (1, 7) for of in ("time", "other")),
]
conditions: some.SearchStrategy[Condition] = some.recursive(
    some.sampled_from(ATOMS),
    lambda inner: some.builds(
        lambda kind, parts: kind(tuple(parts)),
        some.sampled_from([AllOf, AnyOf]),
        some.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
WORLDS = [
    {"a": a, "b": b, "level": level, "f": f, "time": time, "other": other}
    for a, b, level, f, time, other in product((1, 2, 3), (1, 2), LEVELS, (True, False), (0, 3, 9), (0, 3, 9))
]


def holds(condition: Condition, world: dict[str, object]) -> bool:
    match condition:
        case AllOf(of):
            return all(holds(part, world) for part in of)
        case AnyOf(of):
            return any(holds(part, world) for part in of)
        case FeatureOn():
            return bool(world["f"])
        case LevelAtLeast(name):
            return LEVELS.index(str(world["level"])) >= LEVELS.index(name)
        case FieldEquals(key, values):
            return world[key] in values
        case TimeWithin(_, age, of):
            return int(str(world[of])) < age.days


@given(conditions, conditions)
def test_an_implied_condition_holds_whenever_the_other_does(one: Condition, other: Condition) -> None:
    if implies(one, other, LEVELS):
        assert [world for world in WORLDS if holds(one, world) and not holds(other, world)] == []


@given(conditions, conditions)
def test_where_the_way_tightens_the_way_back_loosens(one: Condition, other: Condition) -> None:
    if condition_grade(one, other, LEVELS) == "tightens":
        assert condition_grade(other, one, LEVELS) == "loosens"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, A),
        (B, A),
        (A, AllOf((A, FeatureOn("f")))),
        (AnyOf((A, FeatureOn("f"))), A),
        (LevelAtLeast("basic"), LevelAtLeast("full")),
        (AnyOf((A, FeatureOn("f"))), AllOf((A, FeatureOn("f")))),
        (AllOf((B, FeatureOn("f"))), AllOf((A, FeatureOn("f"), LevelAtLeast("basic")))),
    ],
    ids=str,
)
def test_a_condition_that_holds_less_often_tightens(old: Condition | None, new: Condition) -> None:
    assert (condition_grade(old, new, LEVELS), condition_grade(new, old, LEVELS)) == ("tightens", "loosens")


def test_the_same_in_another_order_is_the_same() -> None:
    assert condition_grade(AllOf((A, FeatureOn("f"))), AllOf((FeatureOn("f"), A))) == "neutral"


def test_conditions_on_levels_of_unknown_order_are_graded_as_loosening() -> None:
    assert condition_grade(LevelAtLeast("basic"), LevelAtLeast("full")) == "loosens"


FOLDER = Path(__file__).parent
# By technique: parameters from the finest to the coarsest.
CHAINS: dict[str, list[dict[str, Any]]] = {
    "pseudonymize": [
        {"key": "k", "link": "x"},
        {"key": "k"},
        {"key": "k", "per": "t"},
        {"key": "k", "per": "t", "rotate": "year"},
        {"key": "k", "per": "t", "rotate": "month"},
        {"key": "k", "per": "t", "rotate": "day"},
    ],
    "tokenize": [{"key": "k"}, {"key": "k", "per": "t"}],
    "mask": [{"keep_last": 4}, {"keep_last": 2}],
    "round": [{"to": 0.01}, {"to": 0.1}, {"to": 5}],
    "bin": [{"width": 1}, {"width": 10}],
    "clip": [{"max": 9}, {"min": 0, "max": 9}, {"min": 1, "max": 8}],
    "truncate_time": [{"to": unit} for unit in ("minute", "hour", "day", "month", "quarter", "year")],
    "age": [{"unit": "days"}, {"unit": "months"}, {"unit": "years"}],
    "shift_dates": [{"key": "k", "per": "t", "max_days": 3}, {"key": "k", "per": "t", "max_days": 30}],
    "truncate_ip": [{"v4": 24}, {"v4": 16}, {"v4": 16, "v6": 32}],
    "truncate_version": [{"parts": 3}, {"parts": 1}],
    "map": [{"values": {"a": "1", "b": "2"}, "otherwise": "o"}, {"values": {"a": "1"}, "otherwise": "o"}],
    "top": [{"keep": 50, "other": "o"}, {"keep": 5, "other": "o"}, {"keep": 5, "other": "o", "at_least": 20}],
    "grid": [{"metres": 100}, {"metres": 1000}],
    "h3": [{"resolution": 9}, {"resolution": 5}],
    "redact": [{"patterns": ["email"]}, {"patterns": ["email", "phone"]}],
}
INCOMPARABLE: dict[str, list[dict[str, Any]]] = {
    "pseudonymize": [{"key": "k", "per": "t"}, {"key": "k", "per": "u"}],
    "mask": [{"keep_last": 4}, {"keep_first": 4}],
    "bin": [{"width": 10}, {"edges": [10, 20]}],
    "truncate_time": [{"to": "week"}, {"to": "day", "zone": "Europe/Berlin"}],
    "map": [{"values": {"a": "1"}}, {"values": {"a": "2"}}],
    "redact": [{"patterns": ["email"]}, {"patterns": ["phone"]}],
}


def form(word: str, given: dict[str, Any]) -> Treatment:
    return (TECHNIQUES[word].model_validate(given, context={"folder": FOLDER}),)


@pytest.mark.parametrize("word", CHAINS)
def test_a_coarser_form_tightens_and_a_finer_loosens(word: str) -> None:
    chain = [form(word, given) for given in CHAINS[word]]
    for place, finer in enumerate(chain):
        for coarser in chain[place + 1 :]:
            assert chain_grade(finer, coarser) == "tightens"
            assert chain_grade(coarser, finer) == "loosens"


@pytest.mark.parametrize("word", CHAINS)
def test_the_same_form_is_neutral(word: str) -> None:
    assert {chain_grade(form(word, given), form(word, given)) for given in CHAINS[word]} == {"neutral"}


@pytest.mark.parametrize("word", INCOMPARABLE)
def test_forms_that_cannot_be_compared_loosen(word: str) -> None:
    one, other = (form(word, given) for given in INCOMPARABLE[word])
    assert (chain_grade(one, other), chain_grade(other, one)) == ("loosens", "loosens")


def test_a_week_is_not_made_of_months() -> None:
    week, month = (form("truncate_time", {"to": unit}) for unit in ("week", "month"))
    assert (chain_grade(week, month), chain_grade(month, week)) == ("loosens", "loosens")


def test_edges_that_are_left_out_make_wider_bins() -> None:
    many, few = form("bin", {"edges": [1, 2, 3]}), form("bin", {"edges": [1, 3]})
    assert (chain_grade(many, few), chain_grade(few, many)) == ("tightens", "loosens")


def test_bin_labels_are_graded_looser_than_bin_numbers() -> None:
    numbers, labels = form("bin", {"edges": [1, 2]}), form("bin", {"edges": [1, 2], "as": "label"})
    assert (chain_grade(labels, numbers), chain_grade(numbers, labels)) == ("tightens", "loosens")


def test_a_hierarchy_is_its_content(tmp_path: Path) -> None:
    forms = []
    for number, label in enumerate(("Nexus", "Nexus", "Other")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "h.csv").write_text(f"Nexus 5X;{label};Google;*\n")
        kind = TECHNIQUES["generalize"]
        forms.append(
            [(kind.model_validate({"hierarchy": "h.csv", "level": n}, context={"folder": folder}),) for n in (1, 2)]
        )
    assert chain_grade(forms[0][0], forms[1][0]) == "neutral"
    assert chain_grade(forms[0][0], forms[0][1]) == "tightens"
    assert chain_grade(forms[0][0], forms[2][0]) == "loosens"
