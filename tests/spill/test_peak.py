"""Memory beyond the budget: ten times the subjects take no more of it. Each measurement is a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

TOP = """
import resource, sys
import pyarrow as pa
from minimize.pointer import Pointer
from minimize.spill import Aside
from minimize.stage import Batch
from minimize.techniques.frequent import TopTally
from minimize.techniques.top import Top

tally = TopTally("m", Pointer.parse("m"), Pointer.parse("d"), Top(keep=50, other="other"), Aside(8 << 20))
for start in range(0, int(sys.argv[1]), 50_000):
    numbers = pa.array(range(start, start + 50_000))
    models = pa.array([f"model {number % 2000 if number % 3 else number}" for number in range(start, start + 50_000)])
    tally.observe(Batch(pa.record_batch({"d": numbers.cast(pa.string())}), released={"m": models}))
assert len(tally.settle().kept) == 50
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(code: str, subjects: int) -> int:
    done = subprocess.run([sys.executable, "-c", code, str(subjects)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return int(done.stdout)


@pytest.mark.slow
def test_ten_times_the_subjects_and_values_of_a_top_take_no_more_memory() -> None:
    assert peak(TOP, 3_000_000) <= 1.10 * peak(TOP, 300_000)
