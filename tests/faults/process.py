"""Ends a process at a checkpoint, like a power cut: `python -m tests.faults.process POINT WORD…` runs `minimize WORD…` that way.

`swap.after` ends it the first time that the point is passed, `swap.after#2` the third time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from minimize.checkpoints import at_checkpoint
from minimize.cli.main import main

KILLED = 137


def kill_at(point: str | None) -> AbstractContextManager[None]:
    """Ends this process at once at a point, within a block. Raises ValueError for an unknown point."""
    if point is None:
        return nullcontext()
    name, _, number = point.partition("#")
    return at_checkpoint(name, _ends_at(int(number or 0)))


def _ends_at(number: int) -> Callable[..., None]:
    """Ends the process at this number: the one that the point has in its loop, else how many times it was passed before."""
    passed = -1

    def end(_: str, turn: object = None, *_facts: object) -> None:
        nonlocal passed
        passed += 1
        if number == (turn if isinstance(turn, int) else passed):
            os._exit(KILLED)

    return end


if __name__ == "__main__":
    _, at, *words = sys.argv
    sys.argv = ["minimize", *words]
    with kill_at(at):
        main()
