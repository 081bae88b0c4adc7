"""Collection settings over time: which tenants and subjects may be collected, and from which time.

files.py       reads settings from CSV, Parquet or memory, and checks them; settings as recorded
timeline.py    values of settings over time, and the columns of a batch that are looked up in them
evaluation.py  the effective settings of the records of a run
tokenized.py   settings of the ledger, where subjects are keyed tokens
erasures.py    erased tenants and subjects, whose records must not be published again
tenants.py     regions of tenants, and unknown tenants
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minimize.settings.evaluation import (
    ROW_SCHEMA,
    SETTINGS_SCHEMA,
    EffectiveSettings,
    ExplainableSettings,
    FeatureSwitch,
    SettingRow,
    Settings,
)
from minimize.settings.files import SettingKind, SettingsRows, read_file, read_memory

__all__ = [
    "ROW_SCHEMA",
    "SETTINGS_SCHEMA",
    "EffectiveSettings",
    "ExplainableSettings",
    "FeatureSwitch",
    "SettingKind",
    "SettingRow",
    "Settings",
    "SettingsRows",
    "load_settings",
]


def load_settings(settings: Any = None) -> SettingsRows:
    """The rows of settings from a path, a table or a DataFrame. None has no rows.

    Raises PolicyError with all faults at once, by file and line.

    >>> load_settings(None).table.num_rows
    0
    """
    if settings is None:
        return SettingsRows(ROW_SCHEMA.empty_table())
    if isinstance(settings, SettingsRows):
        return settings
    return read_file(Path(settings)) if isinstance(settings, str | Path) else read_memory(settings)
