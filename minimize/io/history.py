"""The receipts of an output folder: its truth."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from minimize.errors import OutputError
from minimize.file_operations import stands
from minimize.receipt import Receipt
from minimize.stores import Place, Remote
from minimize.system import said

RUNS: Final = "runs"
RECEIPT: Final = "receipt.json"
INTENT: Final = "intent.json"
SUCCESS: Final = "_SUCCESS"


def receipts(output: Place) -> tuple[Receipt, ...]:
    """All receipts of the output, by sequence; none where nothing was published yet.

    Raises OutputError where one cannot be read.
    """
    found = [_read(path) for path in _named(output, RECEIPT)]
    return tuple(sorted(found, key=lambda receipt: receipt.sequence))


def known_runs(output: Place) -> frozenset[str]:
    """The ids of the runs that were published."""
    return frozenset(path.parent.name for path in _named(output, RECEIPT))


def is_unsettled(output: Place) -> bool:
    """Whether a publication was begun and not finished: it is going on, or its process died."""
    return bool(_named(output, INTENT))


def has_runs(output: Place) -> bool:
    """Whether something was published here, or begun."""
    return (output / RUNS).is_dir()


def _named(output: Place, name: str) -> list[Place]:
    """The files of this name that runs have right in their folders, by run, empty objects left out: some stores make an object
    before its bytes are there. Raises OutputError where one cannot be looked into:
    what cannot be seen is not gone."""
    runs = output / RUNS
    if isinstance(runs, Remote):
        found = (PurePosixPath(path) for path, size in sorted(runs.sizes().items()) if size)
        return [runs / path for path in found if path.name == name and len(path.parts) == 2]
    try:
        return [run / name for run in sorted(runs.iterdir()) if stands(run / name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        what, hint = said(error)
    raise OutputError(f"{RUNS} cannot be looked into: {what}", hint=hint)


def _read(path: Place) -> Receipt:
    try:
        return Receipt.from_json(path.read_bytes())
    except OSError as error:
        message, hint = said(error)
    except OutputError as error:
        message, hint = error.message, error.hint
    raise OutputError(f"{RUNS}/{path.parent.name}/{RECEIPT}: {message}", hint=hint)
