"""Memory beyond the budget: ten times the subjects take no more of it. Each measurement is a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

TOP = """
import resource, sys
import pyarrow as pa
from minimize.arrow.pointers import Pointer
from minimize.spill import SpillSpace
from minimize.records import Batch
from minimize.techniques.top import SubjectValues, Top, TopTally

tally = TopTally("m", Pointer.parse("m"), Pointer.parse("d"), Top(keep=50, other="other"), SubjectValues(SpillSpace(8 << 20)))
for start in range(0, int(sys.argv[1]), 50_000):
    numbers = pa.array(range(start, start + 50_000))
    models = pa.array([f"model {number % 2000 if number % 3 else number}" for number in range(start, start + 50_000)])
    tally.observe(Batch(pa.record_batch({"d": numbers.cast(pa.string())}), released={"m": models}))
assert len(tally.settle().values) == 50
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

AGGREGATE = """
import resource, sys
import numpy as np
import pyarrow as pa
from minimize.aggregates import measure_from
from decimal import Decimal
from minimize.aggregates.base import ValueBounds
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey, NoiseTerms
from minimize.aggregates.noise import NoiseKey
from minimize.aggregates.tally import AggregateTally, settle_tables
from minimize.arrow.pointers import Pointer
from minimize.spill import SpillSpace
from minimize.records import Batch

words = {
    "devices": ("count_distinct", "d"),
    "serials": ("count_distinct", "s"),
    "middle": ("quantile", {"of": "bin", "q": 0.5}),
    "share": ("share", {"of": "k", "is": "a"}),
    "parts": ("histogram", "k"),
    "mean": ("mean", "x"),
}
types = {"d": pa.string(), "s": pa.int64(), "x": pa.float64(), "bin": pa.float64(), "k": pa.string()}
bounds = ValueBounds(Decimal(0), Decimal(10**6))
measures = {name: BoundMeasure(measure, types[measure.of], bounds=bounds) for name, measure in
            ((name, measure_from(*word)) for name, word in words.items())}
noise, key = (NoiseTerms(), NoiseKey.random()) if sys.argv[2] == "noise" else (None, None)
what = AggregateDefinition("a", {"k": GroupKey("k", pa.string())}, measures, 10, Pointer.parse("d"), noise=noise)
tally = AggregateTally(what, SpillSpace(8 << 20), hasher=None if key is None else key.hasher)
keys = pa.array(["a", "b", "c"])
for start in range(0, int(sys.argv[1]), 50_000):
    numbers = np.arange(start, start + 50_000)
    leaves = {"k": keys.take(pa.array(numbers % 3)), "s": pa.array(numbers * 7), "x": pa.array(numbers / 3),
              "bin": pa.array(numbers % 100 / 1.0)}
    tally.observe(Batch(pa.record_batch({"d": pa.array(numbers).cast(pa.string())}), released=leaves))
table = settle_tables({"a": tally}, key, None)["a"].table
for name in ("devices", "serials"):
    assert abs(sum(table[name].to_pylist()) - int(sys.argv[1])) <= (0 if key is None else 3 * 26)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(code: str, subjects: int, kind: str = "") -> int:
    done = subprocess.run([sys.executable, "-c", code, str(subjects), kind], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return int(done.stdout)


@pytest.mark.slow
def test_ten_times_the_subjects_and_values_of_a_top_take_no_more_memory() -> None:
    assert peak(TOP, 3_000_000) <= 1.10 * peak(TOP, 300_000)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["exact", "noise"])
def test_ten_times_the_subjects_and_values_of_an_aggregate_take_no_more_memory(kind: str) -> None:
    assert peak(AGGREGATE, 4_000_000, kind) <= 1.10 * peak(AGGREGATE, 400_000, kind)
