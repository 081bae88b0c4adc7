"""The receipts of an output folder: its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from minimize.disk import stands
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
    found = [_read(run / RECEIPT) for run in _runs(output, RECEIPT)]
    return tuple(sorted(found, key=lambda receipt: receipt.sequence))


def known_runs(output: Path) -> frozenset[str]:
    """The ids of the runs that were published."""
    return frozenset(run.name for run in _runs(output, RECEIPT))


def is_unsettled(output: Path) -> bool:
    """Whether a publication was begun and not finished: it is going on, or its process died."""
    return bool(_runs(output, INTENT))


def _runs(output: Path, name: str) -> list[Path]:
    """The folders of runs in which a file of this name stands. Raises OutputError where one cannot be looked into: what cannot
    be seen is not gone."""
    try:
        return [run for run in sorted((output / RUNS).iterdir()) if stands(run / name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        what, hint = said(error)
    raise OutputError(f"{RUNS} cannot be looked into: {what}", hint=hint)


def _read(path: Path) -> Receipt:
    try:
        return Receipt.from_json(path.read_bytes())
    except OSError as error:
        message, hint = said(error)
    except OutputError as error:
        message, hint = error.message, error.hint
    raise OutputError(f"{RUNS}/{path.parent.name}/{RECEIPT}: {message}", hint=hint)
