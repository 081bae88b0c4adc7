"""A keyring of fixed bytes and two ways to run a technique: for its values, or for values and mask."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from minimize.errors import KeyringError
from minimize.techniques import Context, Technique, TechniqueResult

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
Run = Callable[..., list[Any]]


class FixedKeys:
    """Key bytes made from the name and version; `lost` is a name that it does not have."""

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        if name == "lost":
            raise KeyringError("no key `lost`")
        return hashlib.sha256(f"{name}/{version or 1}".encode()).digest()

    def version_of(self, name: str) -> int:
        return 1


@pytest.fixture(scope="session")
def keys() -> FixedKeys:
    return FixedKeys()


@pytest.fixture(scope="session")
def context(keys: FixedKeys) -> Context:
    return Context("f", AT, keys)


@pytest.fixture(scope="session")
def run(context: Context) -> Run:
    """The released values, as Python objects."""

    def go(technique: Technique, values: Any, type_: pa.DataType | None = None, **columns: Any) -> list[Any]:
        array = pa.array(values, type_)
        arrays = {key: pa.array(column) for key, column in columns.items()}
        released: list[Any] = technique.apply(array, Context("f", AT, context.keys, arrays)).values.to_pylist()
        return released

    return go


@pytest.fixture(scope="session")
def untreated(context: Context) -> Run:
    """Where a technique could not treat a value."""

    def go(technique: Technique, values: Any, type_: pa.DataType | None = None, **columns: Any) -> list[Any]:
        array = pa.array(values, type_)
        arrays = {key: pa.array(column) for key, column in columns.items()}
        treated: TechniqueResult = technique.apply(array, Context("f", AT, context.keys, arrays))
        if treated.untreated is None:
            return [False] * len(array)
        marks: list[Any] = treated.untreated.to_pylist()
        return marks

    return go
