"""Rules for the names of outputs, dates and runs, and for what an output folder may be next to or contain."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Final

from minimize.errors import OutputError
from minimize.output.folder import RUNS, SKETCHES, SKETCHES_SUFFIX, identity_of, is_companion, published_runs
from minimize.output.recovery import list_data_files
from minimize.output.subject_index import INDEX_FOLDER, INDEX_SUFFIX
from minimize.stores import Location, is_within

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
_RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}")
LEDGER_PREFIX: Final = "ledger.db"
"""What the files of a ledger begin with that an output folder may hold."""
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def check_apart(folder: Location, source: Location | None) -> None:
    """Raises OutputError where output folder and source lie within each other."""
    if source is None:
        return
    if is_within(folder, source):
        raise OutputError("the output folder lies inside the source", hint="write to a folder beside it")
    if is_within(source, folder):
        raise OutputError("the source lies inside the output folder", hint="write to a folder beside it")


def check_folder(folder: Location) -> None:
    """Raises OutputError where a file stands in the place of the output folder."""
    if folder.exists() and not folder.is_dir():
        raise OutputError("the output is a file", hint="name a folder")


def check_free(folder: Location) -> None:
    """Raises OutputError where a folder that no run has written to holds files: they are somebody else's, and stay untouched."""
    check_folder(folder)
    if not folder.exists() or identity_of(folder) is not None or published_runs(folder):
        return
    foreign = sum(not path.name.startswith(LEDGER_PREFIX) and _contains_files(path) for path in folder.iterdir())
    if foreign:
        hint = "write to another folder: --output DIR, or `output:` of the pipeline"
        raise OutputError(f"the output folder holds files, and no run has written to it: {foreign}", hint=hint)


def _contains_files(path: Location) -> bool:
    """Whether this is a file, or there is one below it."""
    if isinstance(path, Path) and path.is_symlink():
        return True
    return any(not below.is_dir() for below in path.rglob("*")) if path.is_dir() else True


def check_partition(folder: Location, name: str, on: str | None) -> None:
    """Whether an output of this name and date may be written to this output folder.

    Raises OutputError where `name` cannot be an output or `on` a date, or the output's folder is a link, holds what no run wrote,
    or undated data that a dated partition would stand beside.
    """
    if not _NAME.fullmatch(name.removeprefix(f"{SKETCHES}/")) or name == RUNS or (on is not None and not is_date(on)):
        raise OutputError("an output is named like a column, its date as YYYY-MM-DD")
    root = folder / name
    if root.is_symlink() or root.parent.is_symlink():
        raise OutputError(f"{name} is a link", hint="put a folder in its place, or write to another folder")
    if root.parent.exists() and not root.parent.is_dir():
        raise OutputError(f"{root.parent.name} is a file", hint="move it away, or write to another folder")
    if root.exists() and not root.is_dir():
        raise OutputError(f"{name} is a file", hint="move it away, or write to another folder")
    files = list_data_files(root) if root.is_dir() else ()
    runs = published_runs(folder)
    suffix = INDEX_SUFFIX if name == INDEX_FOLDER else SKETCHES_SUFFIX if is_companion(f"{name}/") else ".parquet"
    foreign = sum(not _is_published_file(path, runs, suffix) for path in files)
    if foreign:
        hint = "move them away, or write to another folder"
        raise OutputError(f"{name}/ holds files that no run wrote: {foreign}", hint=hint)
    if on is not None and any(not path.startswith("date=") for path in files):
        raise OutputError(f"{name}/ holds data without a date", hint="write dated outputs to another folder")


def is_run_id(text: str) -> bool:
    """Whether this can name a run's folder and files."""
    return bool(_RUN_ID.fullmatch(text))


def is_date(text: str) -> bool:
    """Whether this is a date as folders name it.

    >>> is_date("2026-11-24"), is_date("2026-11-31"), is_date("20261124")
    (True, False, False)
    """
    try:
        return bool(_DATE.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def output_and_date(path: str) -> tuple[str, str | None]:
    """The output and the date that a file belongs to; sketches belong to those of their aggregate.

    >>> output_and_date("records/date=2026-11-24/tenant_id=7/run-0.parquet"), output_and_date("records/run-0.parquet")
    (('records', '2026-11-24'), ('records', None))
    """
    name, first = PurePosixPath(path.removeprefix(f"{SKETCHES}/")).parts[:2]
    return name, first.removeprefix("date=") if first.startswith("date=") else None


def _is_published_file(path: str, runs: frozenset[str], suffix: str) -> bool:
    """Whether a file is named as those of a run that was published."""
    name = PurePosixPath(path)
    return name.suffix == suffix and any(name.stem == run or name.stem.startswith(f"{run}-") for run in runs)
