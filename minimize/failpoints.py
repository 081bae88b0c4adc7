"""Named points at which a test makes the process end, to show that a crash anywhere is survived.

`MINIMIZE_FAIL_AT=swap.after` ends the process there at once, like a power cut. `swap.after#2` ends it the third time that
the point is passed. Without the variable nothing happens.

    FAIL_POINTS       the steps of a publication, in order
    SYNC_POINTS       before and after each fsync, by what is written to disk
    LEDGER_POINTS     steps within a ledger transaction, and before and after its commit
    OTHER_POINTS      steps that not every publication has: retained files, files that other processes wrote
    OBJECT_POINTS     steps that only a publication in an object store has
"""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "MINIMIZE_FAIL_AT"
KILLED: Final = 137

FAIL_POINTS: Final = (
    "begin.after",
    "file.opened",
    "file.group",
    "file.closed",
    "success.before",
    "success.after",
    "attach.after",
    "intent.before",
    "intent.written",
    "intent.after",
    "swap.before",
    "swap.between",
    "swap.after",
    "remove.before",
    "remove.after",
    "receipt.before",
    "receipt.written",
    "receipt.after",
    "clean.before",
    "clean.between",
    "clean.after",
    "back.before",
    "back.after",
)
SYNC_KINDS: Final = ("data", "small", "copy", "folder", "keyring", "ledger", "identity")
SYNC_POINTS: Final = tuple(f"sync.{what}.{when}" for what in SYNC_KINDS for when in ("before", "after"))
LEDGER_POINTS: Final = ("lease.taken", "audit.appended", "run.indexed", "ledger.before", "ledger.after")
OTHER_POINTS: Final = (
    "begin.before",
    "index.opened",
    "index.closed",
    "keep.before",
    "keep.after",
    "adopt.before",
    "adopt.after",
    "clean.replaced",
    "clean.intent",
    "back.between",
)
OBJECT_POINTS: Final = ("swap.unmarked", "swap.copied", "swap.deleted")
POINTS: Final = frozenset((*FAIL_POINTS, *SYNC_POINTS, *LEDGER_POINTS, *OTHER_POINTS, *OBJECT_POINTS))


def fail_point(name: str, turn: int | None = None) -> None:
    """Ends the process where the environment says so.

    Takes one of `POINTS`, and how many times it was passed before; it is counted where that is not said. Raises ValueError for a
    name that is not listed.
    """
    if name not in POINTS:
        raise ValueError(f"{name} is no fail point")
    wanted, _, left = os.environ.get(VARIABLE, "").partition("#")
    if wanted != name:
        return
    if turn is None and left not in ("", "0"):
        os.environ[VARIABLE] = f"{name}#{int(left) - 1}"
    elif turn is None or turn == int(left or 0):
        os._exit(KILLED)
