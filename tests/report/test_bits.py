from __future__ import annotations

from decimal import Decimal
from math import log2
from typing import Any

import pytest

from minimize.policy.model import Treatment
from minimize.report.fields import is_one_to_one, loss_by_distinct, loss_by_width
from minimize.report.rounded_counts import RoundedCount
from minimize.techniques.bin import Bin
from minimize.techniques.keep import Keep
from minimize.techniques.mask import Mask
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.techniques.round import Round
from minimize.techniques.truncate_ip import TruncateIp
from minimize.techniques.truncate_time import TruncateTime


@pytest.mark.parametrize(
    ("do", "type_", "bits"),
    [
        ((TruncateTime(to="hour"),), "timestamp", log2(3600)),
        ((TruncateTime(to="month"),), "date", log2(30.436875)),
        ((TruncateIp(v4=24),), "string", 8.0),
        ((Bin(width=Decimal(100)),), "integer", log2(100)),
        ((Round(to=Decimal(1)),), "integer", 0.0),
        ((Keep(),), "string", 0.0),
        ((Pseudonymize(key="k"),), "string", 0.0),
    ],
)
def test_the_width_of_a_cell_tells_where_the_finest_step_is_known(do: Treatment, type_: str, bits: float) -> None:
    found = loss_by_width(do, type_)
    assert found is not None
    assert found.number == pytest.approx(bits, abs=0.01)


@pytest.mark.parametrize("do", [(Bin(width=Decimal(10)),), (Round(to=Decimal("0.1")),), (Mask(keep_last=4),), "drop"])
def test_where_no_finest_step_is_known_nothing_is_guessed(do: Any) -> None:
    assert loss_by_width(do, "double" if not isinstance(do, str) else "string") is None


def test_distinct_values_tell_from_rounded_figures() -> None:
    found = loss_by_distinct(RoundedCount.rounded(80), RoundedCount.rounded(10))
    assert found is not None
    assert (found.number, str(found)) == (3.0, "3.0")


def test_few_values_that_stand_give_a_bound() -> None:
    found = loss_by_distinct(RoundedCount.rounded(80), RoundedCount.rounded(2))
    assert found is not None
    assert str(found) == "at least 4.3"


@pytest.mark.parametrize(("before", "after"), [(None, 10), (10, None), (3, 2), (0, 10), (10, 0)])
def test_without_both_figures_there_are_no_bits(before: int | None, after: int | None) -> None:
    left, right = (None if number is None else RoundedCount.rounded(number) for number in (before, after))
    assert loss_by_distinct(left, right) is None


def test_a_pseudonym_that_rotates_does_not_keep_as_many_apart() -> None:
    assert is_one_to_one((Pseudonymize(key="k"),))
    assert not is_one_to_one((Pseudonymize(key="k", rotate="day"),))
    assert not is_one_to_one("drop")
