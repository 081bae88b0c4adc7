"""The house that tests of the job run: none of them depends on today."""

from __future__ import annotations

from typing import Any

import pytest

from tests.job.house import LASTING, House, events


@pytest.mark.parametrize("said", [{}, {"retention": None}, {"retention": "9999d", "features": LASTING["features"]}])
def test_by_the_real_clock_nothing_is_run_that_will_be_too_old_one_day(house: House, said: dict[str, Any]) -> None:
    house.policy(**said)
    house.brings(events(3))
    with pytest.raises(AssertionError, match="depends on today"):
        house.run(at=None)
    assert house.run().rows.read == 3


def test_what_lasts_is_run_by_the_real_clock(house: House) -> None:
    house.policy(**LASTING)
    house.brings(events(3))
    assert house.run(at=None, output=None).rows.written == 3
