"""Whether the files of the set in force are there, as their receipts say, and no others."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.encryption import open_parquet
from minimize.errors import Finding, KeyringError
from minimize.receipt import FileRef, OutputFile
from minimize.stores import Place, Remote, parquet_file
from minimize.verification.codes import found
from minimize.verification.evidence import QUARANTINE, RUNS, Evidence, Standing

SUCCESS: Final = "_SUCCESS"
ERASURES: Final = re.compile(r"erasures/[0-9a-f]{32}\.sealed")
LOCK: Final = ".lock"
IDENTITY: Final = ".id"
IDENTITY_BYTES: Final = 33
IDENTITY_TEXT: Final = re.compile(rb"([0-9a-f]{32}\n)?")


def check_files(evidence: Evidence) -> Iterator[Finding]:
    """V011 to V017: places, presence, digests, rows, `_SUCCESS`, and files that nobody put in force.

    Of files that an earlier receipt than the first that is checked put in force: only places, presence and `_SUCCESS`.
    """
    every = (*evidence.standing, *evidence.kept)
    for standing in evidence.standing:
        misplaced = list(_place(standing))
        yield from misplaced or _file(evidence.output, standing)
    for standing in evidence.kept:
        yield from list(_place(standing)) or _there(evidence.output, standing.file)
    for root in sorted({standing.root for standing in every}):
        if not (evidence.output / root / SUCCESS).is_file():
            yield found("V015", f"no {SUCCESS}", file=root)
    known = {standing.file.path for standing in every}
    companions = (
        each for standing in (*every, *evidence.sketches) for each in (standing.file.index, standing.file.sketches)
    )
    known |= {each.path for each in companions if each is not None}
    if isinstance(evidence.output, Remote):
        yield from _strange_objects(evidence.output, known)
    else:
        yield from _strangers(evidence.output, known)
        yield from _beside_runs(evidence.output / RUNS)


def readable(evidence: Evidence, standing: Standing) -> pq.ParquetFile | None:
    """The file as Parquet, or None where it is not there or is none (which `check_files` reports), or where there is no key for
    it (which `check_encryption` reports)."""
    if any(True for _ in _place(standing)):
        return None
    try:
        return open_parquet(evidence.output / standing.file.path, evidence.kms)
    except (OSError, pa.ArrowException, KeyringError):
        return None


def described(evidence: Evidence, standing: Standing) -> pa.Schema | None:
    """What a file says of its columns, which needs no key; None where it is not there or is none."""
    if any(True for _ in _place(standing)):
        return None
    try:
        return parquet_file(evidence.output / standing.file.path).schema_arrow
    except (OSError, pa.ArrowException):
        return None


def _place(standing: Standing) -> Iterator[Finding]:
    path = PurePosixPath(standing.file.path)
    receipt, where = standing.run.receipt, standing.file.path
    if path.is_absolute() or ".." in path.parts or path.parts[0] != standing.name or len(path.parts) < 2:
        yield found("V016", f"a file outside {standing.name}", file=standing.run.place)
    elif path.stem != receipt.run_id and not path.stem.startswith(f"{receipt.run_id}-"):
        yield found("V016", "the name does not carry the id of the run that wrote it", file=where)
    elif standing.date is not None and not _is_date(standing.date):
        yield found("V016", "the partition is no date", file=where)
    elif standing.name in ("records", QUARANTINE) and receipt.dates and standing.date not in receipt.dates:
        yield found("V016", "the partition is no date of the run", file=where)


def _file(output: Place, standing: Standing) -> Iterator[Finding]:
    path, place = output / standing.file.path, standing.file.path
    yield from check_bytes(output, standing.file)
    if not path.is_file() or path.is_symlink():
        return
    try:
        rows = parquet_file(path).metadata.num_rows
    except (OSError, pa.ArrowException):
        rows = None
    if rows is None:
        yield found("V017", "no Parquet file", file=place)
    elif rows != standing.file.rows:
        yield found("V013", f"{rows} rows where the receipt says {standing.file.rows}", file=place)


def check_bytes(output: Place, file: OutputFile | FileRef) -> Iterator[Finding]:
    """V011, V012: whether a file is there with the bytes that its receipt says."""
    missing = list(_there(output, file))
    yield from missing
    if not missing and _digest(output / file.path) != file.digest:
        yield found("V012", "another digest than the receipt says", file=file.path)


def _there(output: Place, file: OutputFile | FileRef) -> Iterator[Finding]:
    path = output / file.path
    if not path.is_file() or path.is_symlink():
        yield found("V011", "missing", file=file.path)


def _strange_objects(output: Remote, known: set[str]) -> Iterator[Finding]:
    """The same of a bucket: every object is a known file, an empty mark, the identity, or a run's own."""
    for path, size in sorted(output.sizes().items()):
        parts = PurePosixPath(path).parts
        marks = parts[-1] == SUCCESS and len(parts) > 1 and size == 0
        ours = path == f"{RUNS}/{IDENTITY}" or (parts[0] == RUNS and len(parts) > 2) or ERASURES.fullmatch(path)
        if path not in known and not marks and not ours:
            yield found("V014", "no receipt put this file in force", file=path)


def _strangers(output: Path, known: set[str]) -> Iterator[Finding]:
    for name in sorted(os.listdir(output)):
        path = output / name
        if path.is_dir() and not path.is_symlink():
            if name != RUNS:
                yield from _unknown(output, path, known)
        elif not name.startswith("ledger.db"):
            yield found("V014", "no receipt put this file here", file=name)


def _unknown(output: Path, root: Path, known: set[str]) -> Iterator[Finding]:
    for folder, folders, names in sorted(os.walk(root)):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*names, *links]):
            path = (Path(folder) / name).relative_to(output).as_posix()
            if name == SUCCESS and _is_empty(output / path):
                continue
            if path not in known and not ERASURES.fullmatch(path):
                yield found("V014", "no receipt put this file in force", file=path)


def _beside_runs(runs: Path) -> Iterator[Finding]:
    """Between the runs stand an empty lock and the output's identity, and nothing else."""
    for path in sorted(runs.iterdir() if runs.is_dir() else ()):
        known = path.is_dir() or (path.name == LOCK and _is_empty(path)) or _is_identity(path)
        if path.is_symlink() or not known:
            yield found("V014", "no run put this file here", file=f"{RUNS}/{path.name}")


def _is_identity(path: Path) -> bool:
    if path.name != IDENTITY or not path.is_file() or path.stat().st_size > IDENTITY_BYTES:
        return False
    return IDENTITY_TEXT.fullmatch(path.read_bytes()) is not None


def _is_empty(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size == 0


def _digest(path: Place) -> str:
    with path.stream() if isinstance(path, Remote) else path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
