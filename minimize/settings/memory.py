"""Settings from memory: an Arrow table, a DataFrame, anything that speaks the Arrow PyCapsule interface."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from minimize.errors import Finding, PolicyError
from minimize.settings.check import Given, checked
from minimize.settings.rows import SettingsRows


def from_memory(data: Any) -> SettingsRows:
    """The rows of data in memory. Raises PolicyError with every fault, by row."""
    table = _table(data)
    if table is None:
        finding = Finding("C001", "settings are a path, a table or a DataFrame")
        raise PolicyError("cannot read the settings", findings=[finding])
    return checked(Given(table))


def _table(data: Any) -> pa.Table | None:
    try:
        if isinstance(data, pa.Table):
            return data
        if isinstance(data, pa.RecordBatchReader):
            return data.read_all()
        if isinstance(data, pa.RecordBatch):
            return pa.Table.from_batches([data])
        return pa.table(data)
    except (TypeError, ValueError, AttributeError, pa.ArrowException):
        return None
