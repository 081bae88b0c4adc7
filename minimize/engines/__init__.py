"""Engines: one file per engine, and the table of them. An engine only moves batches; `base` has the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from minimize.registry import Registry

if TYPE_CHECKING:
    from minimize.engines.base import Engine

ENGINES: Final[Mapping[str, Engine]] = Registry("minimize.engines", {"local": "local.run", "spark": "spark.run"})
"""The word that a command uses, and the engine."""
