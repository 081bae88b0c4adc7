"""Checks of the files in force: presence, digests and rows; encryption; content of quarantine. No other files are allowed."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, KeyringError
from minimize.keys.keyring import KEY_DESTROYED
from minimize.keys.parquet_encryption import column_category, open_parquet
from minimize.keys.parquet_footer import EncryptedColumns, read_encrypted_columns
from minimize.receipts import ReceiptFile
from minimize.receipts.chain import former_sketches
from minimize.records import FileRef
from minimize.stores import Location, ObjectPath, open_parquet_file
from minimize.stores.durable_files import KNOWN_ALGORITHMS, digest_algorithm, has_digest
from minimize.verification.evidence import QUARANTINE, RUNS, Evidence, EvidenceFile, EvidenceRun, new_finding

SUCCESS: Final = "_SUCCESS"
ERASURES: Final = re.compile(r"erasures/[0-9a-f]{32}\.sealed")
LOCK: Final = ".lock"
LEDGER: Final = "ledger.db"
RECEIPT: Final = "receipt.json"
IDENTITY: Final = ".id"
IDENTITY_BYTES: Final = 33
IDENTITY_TEXT: Final = re.compile(rb"([0-9a-f]{32}\n)?")


def check_files(evidence: Evidence) -> Iterator[Finding]:
    """V011 to V017 and V072: places, presence, digests, rows, `_SUCCESS`, and files that no receipt put in force.

    For files of receipts before the first one to check: only places, presence and `_SUCCESS`.
    """
    listed_files = (*evidence.files, *evidence.earlier_files, *evidence.restricted)
    for standing in evidence.files:
        misplaced = list(_place_findings(standing))
        yield from misplaced or _file_findings(evidence.output, standing)
    for standing in evidence.earlier_files:
        yield from list(_place_findings(standing)) or _presence_findings(evidence.output, standing.file)
    for standing in evidence.restricted:
        yield from list(_place_findings(standing)) or check_bytes(evidence.output, standing.file)
    for root in sorted({standing.root for standing in listed_files}):
        if not (evidence.output / root / SUCCESS).is_file():
            yield new_finding("V015", f"no {SUCCESS}", file=root)
    known = {standing.file.path for standing in listed_files}
    known |= {standing.file.index.path for standing in listed_files if standing.file.index is not None}
    known |= former_sketches(evidence.history)
    if isinstance(evidence.output, ObjectPath):
        yield from _unknown_objects(evidence.output, known)
    else:
        yield from _unknown_entries(evidence.output, known)
        yield from _unknown_between_runs(evidence.output / RUNS)


def open_file(evidence: Evidence, file: EvidenceFile) -> pq.ParquetFile | None:
    """The file as Parquet. None if it is missing or not Parquet (`check_files` reports it), or if its key is not available
    (`check_encryption` reports it)."""
    if any(True for _ in _place_findings(file)):
        return None
    try:
        return open_parquet(evidence.output / file.file.path, evidence.kms)
    except (OSError, pa.ArrowException, KeyringError):
        return None


def read_schema(evidence: Evidence, file: EvidenceFile) -> pa.Schema | None:
    """The Parquet metadata of a file, which needs no key; None if the file is missing or not Parquet."""
    if any(True for _ in _place_findings(file)):
        return None
    try:
        return open_parquet_file(evidence.output / file.file.path).schema_arrow
    except (OSError, pa.ArrowException):
        return None


def _place_findings(file: EvidenceFile) -> Iterator[Finding]:
    path = PurePosixPath(file.file.path)
    receipt, where = file.run.receipt, file.file.path
    if path.is_absolute() or ".." in path.parts or path.parts[0] != file.name or len(path.parts) < 2:
        yield new_finding("V016", f"the file is outside the folder {file.name}", file=file.run.place)
    elif path.stem != receipt.run_id and not path.stem.startswith(f"{receipt.run_id}-"):
        yield new_finding("V016", "the name does not contain the id of the run that wrote the file", file=where)
    elif file.date is not None and not _is_date(file.date):
        yield new_finding("V016", "the partition is not a date", file=where)
    elif file.name in ("records", QUARANTINE) and receipt.dates and file.date not in receipt.dates:
        yield new_finding("V016", "the partition is not a batch date of the run", file=where)


def _file_findings(output: Location, file: EvidenceFile) -> Iterator[Finding]:
    path, place = output / file.file.path, file.file.path
    yield from check_bytes(output, file.file)
    if not path.is_file() or path.is_symlink():
        return
    try:
        rows = open_parquet_file(path).metadata.num_rows
    except (OSError, pa.ArrowException):
        rows = None
    if rows is None:
        yield new_finding("V017", "the file is not Parquet", file=place)
    elif rows != file.file.rows:
        yield new_finding("V013", f"the file has {rows} rows, the receipt says {file.file.rows}", file=place)


def check_bytes(output: Location, file: ReceiptFile | FileRef) -> Iterator[Finding]:
    """V011, V012, V072: whether a file exists with the digest of its receipt."""
    missing = list(_presence_findings(output, file))
    yield from missing
    if digest_algorithm(file.digest) is None:
        yield _unknown_algorithm(file.path)
    elif not missing and not has_digest(output / file.path, file.digest):
        yield new_finding("V012", "the digest differs from the receipt", file=file.path)


def check_inputs(evidence: Evidence) -> Iterator[Finding]:
    """V072 for the digests of the input files that receipts name. The input files are not read."""
    for run in evidence.runs:
        if any(digest_algorithm(each.digest) is None for each in run.receipt.inputs):
            yield _unknown_algorithm(run.place)


def _unknown_algorithm(place: str) -> Finding:
    known = " and ".join(KNOWN_ALGORITHMS)
    hint = "Verify with the version of minimize that wrote the receipt, or a later one."
    return new_finding("V072", f"a digest in the receipt is not of a known algorithm ({known})", file=place, hint=hint)


def _presence_findings(output: Location, file: ReceiptFile | FileRef) -> Iterator[Finding]:
    path = output / file.path
    if not path.is_file() or path.is_symlink():
        yield new_finding("V011", "missing", file=file.path)


def _unknown_objects(output: ObjectPath, names: set[str]) -> Iterator[Finding]:
    """V014 for a bucket: each object must be a known file, an empty marker, the identity, or a file of a run."""
    sizes = output.sizes()
    for path, size in sorted(sizes.items()):
        parts = PurePosixPath(path).parts
        marks = parts[-1] == SUCCESS and len(parts) > 1 and size == 0
        ours = path == f"{RUNS}/{IDENTITY}" or _is_of_run(parts, sizes) or ERASURES.fullmatch(path)
        if path not in names and not marks and not ours:
            yield new_finding("V014", "no receipt put this file in force", file=path)


def _is_of_run(parts: Sequence[str], objects: Container[str]) -> bool:
    if parts[0] != RUNS or len(parts) <= 2:
        return False
    return _RUN_FOLDER.fullmatch(parts[1]) is not None or f"{RUNS}/{parts[1]}/{RECEIPT}" in objects


def _unknown_entries(output: Path, names: set[str]) -> Iterator[Finding]:
    for name in sorted(os.listdir(output)):
        path = output / name
        if path.is_dir() and not path.is_symlink():
            if name != RUNS:
                yield from _unknown_files(output, path, names)
        elif not _is_ledger_file(path):
            yield new_finding("V014", "no receipt names this file", file=name)


def _is_ledger_file(path: Path) -> bool:
    """Whether a file has the name and the first bytes of a file of the ledger, or is gone since the folder was listed.

    SQLite creates each of them empty, and on a full disk the first write may end after a few bytes. The last process that closes
    the ledger removes its journals.
    """
    starts = _LEDGER_FILES.get(path.name, ())
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or not starts:
            return False
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        return True
    return head.startswith(starts) or any(start.startswith(head) for start in starts)


_LEDGER_FILES: Final[Mapping[str, tuple[bytes, ...]]] = {
    LEDGER: (b"SQLite format 3\0",),
    f"{LEDGER}-wal": (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"),
    f"{LEDGER}-shm": (b"\x18\xe2\x2d\x00", b"\x00\x2d\xe2\x18", b"\0" * 4),
    f"{LEDGER}-journal": (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", b"\0" * 8),
}
"""The files of a ledger, and how each begins. Source: sqlite.org, "Database File Format" and "WAL-mode File Format"."""
_RUN_FOLDER: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")
"""The name of a run's folder (`new_run_id`)."""


def _unknown_files(output: Path, root: Path, expected: set[str]) -> Iterator[Finding]:
    for folder, folders, names in sorted(os.walk(root)):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*names, *links]):
            path = (Path(folder) / name).relative_to(output).as_posix()
            if name == SUCCESS and _is_empty(output / path):
                continue
            if path not in expected and not ERASURES.fullmatch(path):
                yield new_finding("V014", "no receipt put this file in force", file=path)


def _unknown_between_runs(runs: Path) -> Iterator[Finding]:
    """V014 for the folder of runs: only an empty lock file and the output's identity are allowed next to the runs.

    A folder without a receipt is of a run only if it has the name of one.
    """
    for path in sorted(runs.iterdir() if runs.is_dir() else ()):
        known = path.is_dir() or (path.name == LOCK and _is_empty(path)) or _is_identity(path)
        if path.is_symlink() or not known:
            yield new_finding("V014", "no run wrote this file", file=f"{RUNS}/{path.name}")
        elif path.is_dir() and not (_RUN_FOLDER.fullmatch(path.name) or (path / RECEIPT).is_file()):
            yield from _unknown_files(runs.parent, path, set())


def _is_identity(path: Path) -> bool:
    if path.name != IDENTITY or not path.is_file() or path.stat().st_size > IDENTITY_BYTES:
        return False
    return IDENTITY_TEXT.fullmatch(path.read_bytes()) is not None


def _is_empty(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size == 0


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


FOOTER_KEY: Final = "encrypt.footer"
_UNCHECKED_REASONS: Final = {
    False: ("no keyring was given", "Verify with the keyring: pass --keys FILE."),
    True: ("their keys were destroyed", "Run the date again while its source exists."),
}


def check_encryption(evidence: Evidence) -> Iterator[Finding]:
    """V060 to V062 for every file in force."""
    closed: Counter[bool] = Counter()
    for file in evidence.files:
        path = evidence.output / file.file.path
        if not path.is_file():
            continue
        material = read_encrypted_columns(path)
        yield from _key_findings(evidence, file, material)
        if not material.masters:
            continue
        try:
            open_parquet(path, evidence.kms, name=file.file.path)
        except KeyringError as error:
            if evidence.kms is None or error.code == KEY_DESTROYED:
                closed[error.code == KEY_DESTROYED] += 1
            else:
                yield new_finding(
                    "V062",
                    error.message,
                    file=file.file.path,
                    hint="Verify with the keyring of the run: pass --keys FILE.",
                )
        except (OSError, pa.ArrowException):
            pass  # `check_files` reports it
    for destroyed, count in sorted(closed.items()):
        why, hint = _UNCHECKED_REASONS[destroyed]
        yield new_finding("V061", f"the encrypted columns of {count} files were not checked: {why}", hint=hint)


def _key_findings(evidence: Evidence, file: EvidenceFile, material: EncryptedColumns) -> Iterator[Finding]:
    """Whether the file uses the keys that its receipt names, and they cover every column that must be encrypted."""
    place, rows = file.file.path, file.file.rows
    receipt_keys = {key for key in file.file.keys or () if key.partition("/")[0] != FOOTER_KEY}
    file_keys = set(material.masters.values())
    if not rows:  # a file without rows is not encrypted
        return
    if receipt_keys != file_keys:
        yield new_finding("V060", "the file is encrypted under other keys than its receipt names", file=place)
    categories = _encrypted_categories(receipt_keys) | _required_categories(file.run, file.name)
    unencrypted = _columns(evidence, file, categories) - material.masters.keys() if categories else set()
    if unencrypted and not receipt_keys and receipt_keys == file_keys:
        yield new_finding("V060", "the file is not encrypted, although its pipeline requires it", file=place)
    for name in sorted(unencrypted) if receipt_keys else ():
        yield new_finding(
            "V060", "the column is not encrypted, although other columns of the file are", file=place, field=name
        )


_MASTER_KEYS: Final = {"encrypt.pseudonymized": {"identified", "pseudonymized"}, "encrypt.identified": {"identified"}}
_WORDS: Final = {"by_category": {"identified", "pseudonymized"}, "identified": {"identified"}}


def _encrypted_categories(keys: Iterable[str]) -> Set[str]:
    """The categories whose columns are encrypted, by the keys of the receipt. A category is never without those above it."""
    return {
        category
        for name, categories in _MASTER_KEYS.items()
        for category in categories
        if any(key.startswith((f"{name}/", f"{name}.")) for key in keys)
    }


def _required_categories(run: EvidenceRun, name: str) -> Set[str]:
    """The categories that the receipt's pipeline requires to be encrypted in records. Aggregates are not encrypted."""
    records = (run.pipeline or {}).get("records")
    encrypt: Any = records.get("encrypt") if name == "records" and isinstance(records, Mapping) else None
    word = next(iter(encrypt), None) if isinstance(encrypt, Mapping) else encrypt
    return _WORDS.get(word, set()) if isinstance(word, str) else set()


def _columns(evidence: Evidence, file: EvidenceFile, categories: Set[str]) -> set[str]:
    """The columns of a file that are of one of these categories."""
    try:
        schema = open_parquet_file(evidence.output / file.file.path).schema_arrow
    except (OSError, pa.ArrowException):
        return set()
    return {field.name for field in schema if column_category(field) in categories}


_QUARANTINE_COLUMNS: Final = (
    ("run_id", pa.string()),
    ("source", pa.string()),
    ("position", pa.int64()),
    ("unit", pa.string()),
    ("field", pa.string()),
    ("code", pa.string()),
)
QUARANTINE_CODES: Final = frozenset(
    {
        "malformed",
        "wrong_type",
        "missing_field",
        "forbidden_field",
        "bad_time",
        "too_large",
        "too_long",
        "future_time",
        "no_region",
    }
)


def check_quarantine(evidence: Evidence) -> Iterator[Finding]:
    """V050 to V052, for every quarantine file in force."""
    counted: dict[str, Counter[str]] = {}
    for standing in evidence.files:
        file = open_file(evidence, standing) if standing.name == QUARANTINE else None
        if file is None:
            continue
        yield from _quarantine_findings(standing, file)
        if "code" in file.schema_arrow.names:
            codes = Counter(file.read(["code"])["code"].to_pylist())
            counted[standing.run.place] = counted.get(standing.run.place, Counter()) + codes
    in_force = {each.file.path for each in evidence.files if each.name == QUARANTINE}
    for run in evidence.runs:
        yield from _quarantine_balance(in_force, run, counted.get(run.place, Counter()))


def _quarantine_findings(quarantine_file: EvidenceFile, file: pq.ParquetFile) -> Iterator[Finding]:
    place = quarantine_file.file.path
    schema = file.schema_arrow
    if [(field.name, field.type) for field in schema] != [*_QUARANTINE_COLUMNS]:
        yield new_finding("V050", "the file does not have exactly the six columns of a quarantine file", file=place)
        return
    table = file.read()
    for column, allowed in (
        ("run_id", {quarantine_file.run.receipt.run_id}),
        ("source", {each.path for each in quarantine_file.run.receipt.inputs}),
        ("unit", {"byte", "row"}),
        ("code", QUARANTINE_CODES),
        ("field", {None, *_declared_pointers(quarantine_file.run)}),
    ):
        strange = sum(value not in allowed for value in set(table[column].to_pylist()))
        if strange:
            yield new_finding(
                "V051", f"{strange} values are neither in the receipt nor in the policy", file=place, field=column
            )


def _quarantine_balance(in_force: Set[str], run: EvidenceRun, counted: Counter[str]) -> Iterator[Finding]:
    """V052: counts by code in the files against the receipt, if all files still exist."""
    written = {file.path for file in run.receipt.quarantine.files}
    if written and written <= in_force and counted != Counter(run.receipt.quarantine.by_code):
        yield new_finding("V052", "the counts by code differ from the receipt", file=run.place)


def _declared_pointers(run: EvidenceRun) -> set[str]:
    """Pointers allowed in the column `field`: those of the policy."""
    if run.policy is None:
        return set()
    forbidden = [parse(key) for key in run.policy.never for parse in (Pointer.parse, Pointer.parse_forbidden)]
    pointers = {*run.policy.fields, *forbidden}
    return {str(pointer) for pointer in pointers}
