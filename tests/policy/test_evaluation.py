"""Conditions over facts that may be unknown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import product

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.policy.condition import (
    ALWAYS,
    NEVER,
    AllOf,
    AnyOf,
    Atom,
    Condition,
    FeatureOn,
    FieldEquals,
    LevelAtLeast,
    RowFacts,
    TimeWithin,
    atoms,
    conjuncts,
    evaluate,
    possibly,
    surely,
)

FACTS: tuple[Atom, ...] = (
    FeatureOn("usage"),
    LevelAtLeast("full"),
    FieldEquals("owner", ("corporate",)),
    TimeWithin("seen", timedelta(days=7), "time"),
)
Row = dict[Atom, bool | None]


@dataclass(frozen=True)
class Rows:
    """Facts of several rows."""

    rows: list[Row]

    def __len__(self) -> int:
        return len(self.rows)

    def setting(self, atom: Atom) -> pa.BooleanArray:
        return pa.array([row[atom] for row in self.rows], pa.bool_())

    equals = within = setting


def reference(condition: Condition, row: Row) -> bool | None:
    """Kleene's logic, value by value: false < unknown < true, `and` is the minimum, `or` the maximum."""
    order = [False, None, True]
    match condition:
        case AllOf(parts):
            return min((reference(part, row) for part in parts), key=order.index, default=True)
        case AnyOf(parts):
            return max((reference(part, row) for part in parts), key=order.index, default=False)
        case atom:
            return row[atom]


def completions(row: Row) -> list[Row]:
    """Every way in which the unknown facts of a row may turn out."""
    choices = [[truth] if truth is not None else [True, False] for truth in row.values()]
    return [dict(zip(row, chosen, strict=True)) for chosen in product(*choices)]


conditions: st.SearchStrategy[Condition] = st.recursive(
    st.sampled_from(FACTS),
    lambda inner: (
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=10,
)
row_facts: st.SearchStrategy[Row] = st.fixed_dictionaries(dict.fromkeys(FACTS, st.sampled_from([True, False, None])))


@given(conditions, st.lists(row_facts, max_size=5))
def test_it_is_kleenes_logic_row_by_row(condition: Condition, rows: list[Row]) -> None:
    assert evaluate(condition, Rows(rows)).to_pylist() == [reference(condition, row) for row in rows]


@given(conditions, row_facts)
def test_roundings_bound_every_completion_of_unknown_facts(condition: Condition, row: Row) -> None:
    truth = evaluate(condition, Rows([row]))
    complete = evaluate(condition, Rows(completions(row))).to_pylist()
    assert surely(truth)[0].as_py() <= min(complete)
    assert max(complete) <= possibly(truth)[0].as_py()


@given(conditions, row_facts)
def test_a_condition_is_simplified_to_what_is_unknown(condition: Condition, row: Row) -> None:
    facts = RowFacts(lambda atom: row[atom])
    left = facts.simplify(condition)
    assert all(row[atom] is None for atom in atoms(left))
    assert (left in (ALWAYS, NEVER)) == (facts.outcome(condition) is not None)
    ways = Rows(completions(row))
    assert evaluate(left, ways).to_pylist() == evaluate(condition, ways).to_pylist()


@given(conditions, row_facts)
def test_a_condition_is_true_if_all_its_conjuncts_are(condition: Condition, row: Row) -> None:
    assert reference(AllOf(tuple(conjuncts(condition))), row) == reference(condition, row)
