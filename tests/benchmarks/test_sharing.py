"""Sharing is measured beside the same work without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import sharing
from benchmarks.data.generate import devices


def test_the_cost_of_sharing_is_reported_as_a_ratio() -> None:
    [goal] = sharing.goals({"share": {"s": 1.1}, "apply": {"s": 1.0}})
    assert (goal["goal"], goal["reached"]) == (1.15, 1.1)


@pytest.mark.nightly
def test_the_cost_of_sharing_without_some_consents_is_also_reported() -> None:
    both = sharing.goals({"share": {"s": 1.1}, "mixed": {"s": 1.15}, "apply": {"s": 1.0}})
    assert [goal["reached"] for goal in both] == [1.1, 1.15]


@pytest.mark.nightly
def test_both_ways_are_run_and_sharing_leaves_out_who_did_not_agree(tmp_path: Path) -> None:
    found = sharing.shared(devices(tmp_path, 20_000), 1)
    assert 0 < found["mixed"]["rows"] < found["share"]["rows"] == found["apply"]["rows"] == 20_000
