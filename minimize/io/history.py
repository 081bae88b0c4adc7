"""The receipts of an output folder: its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from minimize.errors import OutputError
from minimize.receipt import Receipt
from minimize.system import said

RUNS: Final = "runs"
RECEIPT: Final = "receipt.json"
INTENT: Final = "intent.json"


def receipts(output: Path) -> tuple[Receipt, ...]:
    """All receipts of the output, by sequence; none where nothing was published yet.

    Raises OutputError where one cannot be read.
    """
    found = sorted((output / RUNS).glob(f"*/{RECEIPT}"))
    return tuple(sorted((_read(path) for path in found), key=lambda receipt: receipt.sequence))


def known_runs(output: Path) -> frozenset[str]:
    """The ids of the runs that were published."""
    return frozenset(path.parent.name for path in (output / RUNS).glob(f"*/{RECEIPT}"))


def is_unsettled(output: Path) -> bool:
    """Whether a publication was begun and not finished: it is going on, or its process died."""
    return any((output / RUNS).glob(f"*/{INTENT}"))


def _read(path: Path) -> Receipt:
    try:
        return Receipt.from_json(path.read_bytes())
    except OSError as error:
        message, hint = said(error)
    except OutputError as error:
        message, hint = error.message, error.hint
    raise OutputError(f"{RUNS}/{path.parent.name}/{RECEIPT}: {message}", hint=hint)
