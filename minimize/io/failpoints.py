"""Named points at which a process can be made to die, so that tests can show that a crash anywhere is survived.

`MINIMIZE_FAIL_AT=swap.after` ends the process there at once, as a power cut would; `swap.after#2` ends it the third time
round. It does nothing that a power cut could not do, and nothing at all where the variable is not set.
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


def fail_point(name: str, turn: int = 0) -> None:
    """Ends the process where the environment says so.

    Takes one of `FAIL_POINTS`, and how many times it was passed before. Raises ValueError for a name that is not listed.
    """
    if name not in FAIL_POINTS:
        raise ValueError(f"{name} is no fail point")
    wanted = os.environ.get(VARIABLE)
    if wanted is not None and wanted in (f"{name}#{turn}", name if turn == 0 else None):
        os._exit(KILLED)
