"""Generated sample data, seeded: the same name, rows, seed and dates give the same bytes (with the same Faker).

All datasets speak of the same tenants, users, devices and administrators (`world.py`). None of them exist: addresses are of the
ranges for documentation, numbers of the ranges for fiction, IMEIs of the test range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from difflib import get_close_matches
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from minimize.errors import ConfigurationError
from minimize.samples import collection
from minimize.samples.base import Dataset, Slice
from minimize.samples.datasets import DATASETS
from minimize.samples.write import WRITERS, File

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
    """Writes so many records, spread over the batch dates, and the settings they were collected under.

    Takes a name of `NAMES`, a format of `FORMATS`, dates as such or as YYYY-MM-DD (none: `DATES`). Gives the files
    written: `{date}/part-00000.ndjson.gz` …, `settings.csv`; parts of the same dates that lay there are replaced.
    Raises ConfigurationError for an unknown name or format, what is no date, fewer rows than none, and without Faker.
    """
    _check(name, rows, format)
    folder, days, number = Path(out), _days(dates), crc32(name.encode())
    dataset = DATASETS[name](-(-rows // len(days)), seed)
    for day in days:
        _empty(folder / day.isoformat())

    def written(part: Slice) -> Path:
        path = folder / part.day.isoformat() / f"part-{part.start // PART_ROWS:05}.{format}"
        random = np.random.default_rng([seed, number, part.day.toordinal(), part.start])
        WRITERS[format](File(dataset.records(part, random), dataset.faults, part.sequence, random), path)
        return path

    with ThreadPoolExecutor(WORKERS) as pool:
        paths = list(pool.map(written, _slices(rows, days)))
    return [*paths, _settings(dataset, days, folder, seed)]


def _settings(dataset: Dataset[Any], days: Sequence[date], folder: Path, seed: int) -> Path:
    path, random = folder / "settings.csv", np.random.default_rng([seed, 3])
    collection.write(dataset.settings(collection.Clock(days[0], days[-1]), random), path, random)
    return path


def _slices(rows: int, days: Sequence[date]) -> Iterator[Slice]:
    """Each day's share of the rows, in parts of `PART_ROWS`; a day without rows has one empty part."""
    sequence = count()
    for index, day in enumerate(days):
        of = rows // len(days) + (index < rows % len(days))
        for start in range(0, max(of, 1), PART_ROWS):
            yield Slice(day, start, min(PART_ROWS, of - start), of, index, next(sequence))


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("part-*"):
        path.unlink()


def _check(name: str, rows: int, format_: str) -> None:
    for what, word, known in (("dataset", name, NAMES), ("format", format_, FORMATS)):
        if word not in known:
            near = get_close_matches(word, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
            raise ConfigurationError(f"no such {what} of samples", hint=hint)
    if rows < 0:
        raise ConfigurationError("a sample has no fewer rows than none")


def _days(dates: Sequence[date | str]) -> list[date]:
    days = {day if isinstance(day, date) else _day(day) for day in dates or DATES}
    return sorted(days)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    raise ConfigurationError("a sample's date is not one", hint="YYYY-MM-DD")
