"""Generated sample data, seeded: the same name, rows, seed and dates give the same bytes (with the same Faker).

All datasets share the same tenants, users, devices and administrators (`world`, `devices`). All of them are invented: addresses
are from the ranges for documentation, numbers from the ranges for fiction, IMEIs from the test range. Files are NDJSON (plain,
gzip, zstd) or Parquet.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from minimize.errors import ConfigurationError
from minimize.text import similar_words
from minimize.times import parse_iso_date
from minimize_samples import collection_settings
from minimize_samples.arrays import Random
from minimize_samples.dataset import Dataset, DatasetFaults, SampleRecords, Slice, spoil_lines
from minimize_samples.datasets import DATASETS

SMALL_FILE_BYTES = 1 << 22
"""The largest size in bytes of a file that is compressed at the highest level."""


@dataclass(frozen=True, slots=True)
class SampleFile:
    """The records of one file, and the faults in some of its lines."""

    records: SampleRecords
    faults: DatasetFaults
    sequence: int
    random: Random

    def spoiled_lines(self) -> bytes:
        """The bytes of the NDJSON file, including faulty lines."""
        spoilt = spoil_lines(self.records.lines(), self.faults, self.random, self.sequence)
        return column_bytes(pc.binary_join_element_wise(spoilt, b"", b"\n"))


def column_bytes(lines: pa.Array) -> bytes:
    """The values of a string or binary column, end to end."""
    if not len(lines):
        return b""
    offsets = pa.Array.from_buffers(pa.int32(), len(lines) + 1, [None, lines.buffers()[1]], offset=lines.offset)
    first, last = offsets[0].as_py(), offsets[-1].as_py()
    return bytes(lines.buffers()[2].slice(first, last - first).to_pybytes())


def _write_plain(file: SampleFile, path: Path) -> None:
    path.write_bytes(file.spoiled_lines())


def _write_gzip(file: SampleFile, path: Path) -> None:
    """The compression level: small files become an eighth smaller, large files are written twice as fast."""
    content = file.spoiled_lines()
    packer = zlib.compressobj(9 if len(content) < SMALL_FILE_BYTES else 4, zlib.DEFLATED, 31)
    path.write_bytes(packer.compress(content) + packer.flush())


def _write_zstd(file: SampleFile, path: Path) -> None:
    path.write_bytes(pa.Codec("zstd", 3).compress(file.spoiled_lines(), asbytes=True))


def _write_parquet(file: SampleFile, path: Path) -> None:
    pa.parquet.write_table(file.records.table(), path, compression="zstd")


WRITERS: Mapping[str, Callable[[SampleFile, Path], None]] = {
    "ndjson": _write_plain,
    "ndjson.gz": _write_gzip,
    "ndjson.zst": _write_zstd,
    "parquet": _write_parquet,
}
"""The writer of each format; the name of the format is the suffix of the file."""


__all__ = ["DATASETS", "DATES", "FORMATS", "NAMES", "generate"]

NAMES = tuple(DATASETS)
FORMATS = tuple(WRITERS)
DATES = (date(2026, 11, 23), date(2026, 11, 24))
SEED = 1
PART_ROWS = 100_000
WORKERS = 2


def generate(
    name: str,
    rows: int,
    out: Path | str,
    *,
    seed: int = SEED,
    dates: Sequence[date | str] = (),
    format: str = "ndjson.gz",
) -> list[Path]:
    """Writes a number of records, spread over the batch dates, and the collection settings that apply to them.

    Takes a name of `NAMES`, a format of `FORMATS`, dates as such or as YYYY-MM-DD (default: `DATES`). Returns the files
    written: `{date}/part-00000.ndjson.gz` …, `settings.csv`. Existing parts of the same dates are replaced.
    Raises ConfigurationError for an unknown name or format, an invalid date, a negative number of rows, and without Faker.
    """
    _check_request(name, rows, format)
    folder, days, number = Path(out), _days(dates), crc32(name.encode())
    dataset = DATASETS[name](-(-rows // len(days)), seed)
    for day in days:
        _empty_folder(folder / day.isoformat())

    def write_part(part: Slice) -> Path:
        path = folder / part.day.isoformat() / f"part-{part.start // PART_ROWS:05}.{format}"
        random = np.random.default_rng([seed, number, part.day.toordinal(), part.start])
        WRITERS[format](SampleFile(dataset.records(part, random), dataset.faults, part.sequence, random), path)
        return path

    with ThreadPoolExecutor(WORKERS) as pool:
        paths = list(pool.map(write_part, _slices_of_days(rows, days)))
    return [*paths, _write_settings(dataset, days, folder, seed)]


def _write_settings(dataset: Dataset[Any], days: Sequence[date], folder: Path, seed: int) -> Path:
    path, random = folder / "settings.csv", np.random.default_rng([seed, 3])
    collection_settings.write_settings(
        dataset.settings(collection_settings.SampleClock(days[0], days[-1]), random), path, random
    )
    return path


def _slices_of_days(rows: int, days: Sequence[date]) -> Iterator[Slice]:
    """Each day's share of the rows, in parts of `PART_ROWS`; a day without rows has one empty part."""
    sequence = count()
    for index, day in enumerate(days):
        of = rows // len(days) + (index < rows % len(days))
        for start in range(0, max(of, 1), PART_ROWS):
            yield Slice(
                day=day,
                start=start,
                count=min(PART_ROWS, of - start),
                day_total=of,
                index=index,
                sequence=next(sequence),
            )


def _empty_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("part-*"):
        path.unlink()


def _check_request(name: str, rows: int, format_: str) -> None:
    for what, word, known in (("dataset", name, NAMES), ("format", format_, FORMATS)):
        if word not in known:
            near = similar_words(word, known)
            hint = f"Did you mean {near[0]}?" if near else f"Use one of: {', '.join(known)}."
            raise ConfigurationError(f"unknown {what} of samples", hint=hint)
    if rows < 0:
        raise ConfigurationError("the number of rows of a sample must not be negative")


def _days(dates: Sequence[date | str]) -> list[date]:
    days = {day if isinstance(day, date) else _parse_day(day) for day in dates or DATES}
    return sorted(days)


def _parse_day(text: str) -> date:
    found = parse_iso_date(text)
    if found is None:
        raise ConfigurationError("a date of the sample is not valid", hint="YYYY-MM-DD")
    return found
