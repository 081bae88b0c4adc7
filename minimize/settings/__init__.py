"""Collection settings over time: who may be collected when. One backend a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minimize.settings.base import SCHEMA, FeatureSwitch, Settings
from minimize.settings.files import from_file
from minimize.settings.memory import from_memory
from minimize.settings.rows import Kind, SettingsRows
from minimize.settings.seen import Explained, SeenSettings, SettingRow

__all__ = [
    "SCHEMA",
    "Explained",
    "FeatureSwitch",
    "Kind",
    "SeenSettings",
    "SettingRow",
    "Settings",
    "SettingsRows",
    "load_settings",
]


def load_settings(settings: Any = None) -> SettingsRows:
    """The rows of settings, however they are given: a path (CSV, Parquet), a table, a DataFrame; None is no rows.

    Raises PolicyError with all faults at once, by file and line.

    >>> load_settings(None).table.num_rows
    0
    """
    if settings is None:
        return SettingsRows(SCHEMA.empty_table())
    if isinstance(settings, SettingsRows):
        return settings
    return from_file(Path(settings)) if isinstance(settings, str | Path) else from_memory(settings)
