"""Records of datasets as tests look at them: clean, of one day."""

from __future__ import annotations

import json
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from minimize_samples import DATASETS
from minimize_samples.collection_settings import SampleClock, SampleSetting
from minimize_samples.dataset import Dataset, Slice

DAY = date(2026, 11, 24)


@lru_cache
def dataset(name: str, per_day: int = 1500) -> Dataset[Any]:
    """A dataset of so many records a day."""
    return DATASETS[name](per_day, 1)


@lru_cache
def records(name: str, per_day: int = 1500, index: int = 0) -> list[dict[str, Any]]:
    """Its records of a day."""
    part = Slice(DAY, 0, per_day, per_day, index)
    made = dataset(name, per_day).records(part, np.random.default_rng(1)).lines()
    return [json.loads(line) for line in made.to_pylist()]


def settings(name: str) -> list[SampleSetting]:
    """Its settings."""
    return dataset(name).settings(SampleClock(DAY, DAY), np.random.default_rng(1))
