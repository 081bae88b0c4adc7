"""Looks for some subjects of an output, one after another; prints CPU seconds and megabytes read for each, as JSON.

Run by `finding`, in a process of its own: with the keyring (`look`), without it (`scan`), or as `subject view` does, by the ids
that came in (`view`).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq

import minimize
from minimize.governance.known_outputs import find_outputs
from minimize.governance.subjects import DataSubject
from minimize.governance.subjects.search import SubjectSearch
from minimize.keys import Keyring

COLUMN = "device_id"


def main(out: str, keys: str, how: str, looks: str, source: str) -> None:
    """Takes the output folder, the keyring's file, how to look, for how many subjects, and a file of records as they came in."""
    os.environ.pop("MINIMIZE_KEYS", None)
    if how == "view":
        taken = [_viewed(out, *who, keys) for who in _people(source, int(looks))]
        sys.stdout.write(json.dumps([median(each) for each in zip(*taken, strict=True)]))
        return
    keyring = Keyring.load(keys) if how == "look" else None
    seen = _subjects(out, int(looks))
    minimize.read(out, subjects=["nobody"], keys=Keyring.load(keys))
    taken = [_taken(out, subject, keyring) for subject in seen]
    sys.stdout.write(json.dumps([median(each) for each in zip(*taken, strict=True)]))


def _subjects(out: str, count: int) -> list[str]:
    """Some that are there, from the first file's first rows."""
    file = pq.ParquetFile(minimize.files(out)[0])
    values: list[str] = next(file.iter_batches(1 << 14, columns=[COLUMN])).column(0).unique().to_pylist()
    return values[:: max(1, len(values) // count)][:count]


def _people(source: str, count: int) -> list[tuple[str, str]]:
    """Some tenants with a device each, from the file's first rows."""
    batch = next(pq.ParquetFile(source).iter_batches(1 << 14, columns=["tenant_id", COLUMN]))
    pairs = list(dict.fromkeys(zip(batch["tenant_id"].to_pylist(), batch[COLUMN].to_pylist(), strict=True)))
    return pairs[:: max(1, len(pairs) // count)][:count]


def _viewed(out: str, tenant: str, device: str, keys: str) -> tuple[float, float]:
    search = SubjectSearch(DataSubject(device, tenant))
    keyring = Keyring.load(keys)
    cpu, read = time.process_time(), _read_so_far()
    if not [*search.find(find_outputs(None, [out], keyring)[0])]:
        raise SystemExit("a subject that is there was not found")
    return time.process_time() - cpu, (_read_so_far() - read) / 1e6


def _taken(out: str, subject: str, keyring: Keyring | None) -> tuple[float, float]:
    cpu, read = time.process_time(), _read_so_far()
    if not minimize.read(out, subjects=[subject], keys=keyring).num_rows:
        raise SystemExit("a subject that is there was not found")
    return time.process_time() - cpu, (_read_so_far() - read) / 1e6


def _read_so_far() -> int:
    """Bytes that this process has read so far, from caches or not."""
    return int(Path("/proc/self/io").read_text().split()[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
