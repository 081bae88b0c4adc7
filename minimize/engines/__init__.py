"""Engines only move batches: the protocol (base), one engine a file, and the table of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from minimize.table import Table

if TYPE_CHECKING:
    from minimize.engines.base import Engine

ENGINES: Final[Mapping[str, Engine]] = Table("minimize.engines", {"local": "local.run", "spark": "spark.run"})
"""The word that a command uses, and the engine."""
