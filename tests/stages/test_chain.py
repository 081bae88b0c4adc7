from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.stages.chains import is_tally_step, resolve_chain, run_branches, run_chain
from minimize.techniques import Context
from minimize.techniques.keep import Keep
from minimize.techniques.mask import Mask
from minimize.techniques.truncate_version import TruncateVersion
from tests.project import AT
from tests.stages.make import Beside, Unsettled

CONTEXT = Context("f", AT)
VALUES = pa.array(["1.2", "x", None, "3.4"])


def listed(mask: pa.BooleanArray | None) -> list[bool] | None:
    return None if mask is None else mask.to_pylist()


def test_what_one_step_could_not_treat_is_null_for_the_next_and_remembered() -> None:
    treated = run_chain([TruncateVersion(parts=1), Mask(keep_last=1)], VALUES, CONTEXT)
    assert treated.values.to_pylist() == ["****", None, None, "****"]
    assert listed(treated.untreated) == [False, True, False, False]


def test_one_branch_needs_no_cases() -> None:
    assert run_branches([[Keep()]], None, VALUES, CONTEXT, pa.string()).values is VALUES


def test_a_single_branch_that_drops_gives_nulls_of_the_type() -> None:
    out = run_branches([None], None, VALUES, CONTEXT, pa.string())
    assert out.values.equals(pa.nulls(4, pa.string()))
    assert listed(out.dropped) == [True] * 4


@pytest.mark.parametrize("values", [VALUES, VALUES.dictionary_encode()])
def test_branches_are_put_together_in_the_order_of_the_rows(values: pa.Array) -> None:
    cases = pa.array([1, 0, -1, -1], pa.int8())
    out = run_branches([[TruncateVersion(parts=1)], None, [Mask(keep_last=1)]], cases, values, CONTEXT, pa.string())
    assert out.values.to_pylist() == [None, None, None, "****4"]
    assert listed(out.untreated) == [False, True, False, False]
    assert listed(out.dropped) == [True, False, False, False]


def test_a_branch_sees_of_the_companions_its_own_rows() -> None:
    context = Context("f", AT, columns={"o": pa.array(["p", "q", "r", "s"])})
    out = run_branches(
        [[Beside(other="o")], [Keep()]], pa.array([-1, 0, 0, -1], pa.int8()), VALUES, context, pa.string()
    )
    assert out.values.to_pylist() == ["1.2", "x/q", None, "3.4"]


def test_a_tally_ends_a_chain_until_it_has_settled() -> None:
    steps = (TruncateVersion(parts=1), Unsettled(), Mask(keep_last=1))
    assert resolve_chain(steps, None) == [steps[0]]
    assert resolve_chain(steps, Keep()) == [steps[0], Keep(), steps[2]]
    assert [is_tally_step(step) for step in steps] == [False, True, False]
