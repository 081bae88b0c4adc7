"""Whether files are encrypted as their receipts and pipelines say, and which of them could not be opened here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from minimize.encryption import Material, material_of, open_parquet
from minimize.errors import Finding, KeyringError
from minimize.keys.keyring import DESTROYED
from minimize.stores import parquet_file
from minimize.verification.codes import found
from minimize.verification.evidence import Evidence, Run, Standing

FOOTER: Final = "encrypt.footer"
CATEGORY: Final = b"minimize:category"
_CLOSED: Final = {
    False: ("no keyring was given", "verify with the keyring"),
    True: ("nobody has the keys any more", "a run of the date writes it anew, while its source stands"),
}


def check_encryption(evidence: Evidence) -> Iterator[Finding]:
    """V060 to V062 for every file of the set in force."""
    closed: Counter[bool] = Counter()
    for standing in evidence.standing:
        path = evidence.output / standing.file.path
        if not path.is_file():
            continue
        material = material_of(path)
        yield from _as_said(evidence, standing, material)
        if not material.masters:
            continue
        try:
            open_parquet(path, evidence.kms, name=standing.file.path)
        except KeyringError as error:
            if evidence.kms is None or error.code == DESTROYED:
                closed[error.code == DESTROYED] += 1
            else:
                yield found("V062", error.message, file=standing.file.path, hint="verify with the keyring of its run")
        except (OSError, pa.ArrowException):
            pass  # `check_files` tells
    for destroyed, count in sorted(closed.items()):
        why, hint = _CLOSED[destroyed]
        yield found("V061", f"the encrypted columns of {count} files were not checked: {why}", hint=hint)


def _as_said(evidence: Evidence, standing: Standing, material: Material) -> Iterator[Finding]:
    """The keys that the receipt names are those of the file, and cover every column that is not aggregated."""
    place, rows = standing.file.path, standing.file.rows
    said = {key for key in standing.file.keys or () if key.partition("/")[0] != FOOTER}
    there = set(material.masters.values())
    if not rows:  # without rows nothing is encrypted
        return
    if said != there:
        yield found("V060", "it is encrypted under other keys than its receipt says", file=place)
    elif not said and _wanted(standing.run, standing.name):
        yield found("V060", "it stands in the clear, and its pipeline says that it is encrypted", file=place)
    for name in _closed(evidence, standing) - material.masters.keys() if said else ():
        yield found("V060", "it stands in the clear beside columns that are encrypted", file=place, field=name)


def _wanted(run: Run, name: str) -> bool:
    """Whether the pipeline that the receipt carries wants records encrypted; what is aggregated stays open."""
    records = (run.pipeline or {}).get("records")
    said: Any = records.get("encrypt") if name == "records" and isinstance(records, Mapping) else None
    return said == "by_category" or (isinstance(said, Mapping) and "by_category" in said)


def _closed(evidence: Evidence, standing: Standing) -> set[str]:
    """The columns of a file that are not aggregated."""
    try:
        schema = parquet_file(evidence.output / standing.file.path).schema_arrow
    except (OSError, pa.ArrowException):
        return set()
    return {field.name for field in schema if (field.metadata or {}).get(CATEGORY) != b"aggregated"}
