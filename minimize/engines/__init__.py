"""Engines: one file per engine, and their table. An engine only moves batches; its protocol is in `base`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from minimize.text import Registry

if TYPE_CHECKING:
    from minimize.engines.base import Engine

ENGINES: Final[Mapping[str, Engine]] = Registry("minimize.engines", {"local": "local.run", "spark": "spark.run"})
"""The engine of each name that commands use."""
