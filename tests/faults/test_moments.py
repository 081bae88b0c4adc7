"""`kill -9` at any moment of the time in which a run writes: all of the old or all of the new, to whoever reads."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.faults.child import start
from tests.faults.versions import Versions

pytestmark = pytest.mark.nightly

LONGEST_S = 0.2
"""About how long a run writes."""


def killed(versions: Versions, out: Path, seed: int) -> bool:
    """Starts a run, waits until it writes, and kills it some time later; gives whether that was before it ended."""
    known = {path.name for path in (out / "runs").iterdir()}
    process = start(versions.command(out))
    while process.is_alive() and {path.name for path in (out / "runs").iterdir()} == known:
        time.sleep(0.001)
    time.sleep(random.Random(seed).uniform(0, LONGEST_S))
    process.kill()
    process.join()
    return process.exitcode != 0


def check(versions: Versions, out: Path) -> None:
    versions.settled(out)
    versions.becomes_new(out)


@pytest.mark.parametrize("seed", range(6))
def test_killed_while_it_writes_it_is_old_or_new(versions: Versions, out: Path, seed: int) -> None:
    killed(versions, out, seed)
    check(versions, out)


def test_killed_at_two_hundred_moments_it_is_old_or_new(versions: Versions, tmp_path: Path) -> None:
    """And as many more as it takes until a hundred of them met a run at work: how many do depends on the machine."""
    in_time = 0
    for seed in range(600):
        out = versions.out(tmp_path / str(seed))
        in_time += killed(versions, out, 1000 + seed)
        check(versions, out)
        if seed >= 199 and in_time >= 100:
            break
    assert in_time >= 100
