"""Engines only move batches: the protocol (base), one engine a file, and the table of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from minimize.engines.base import Engine

ENGINES: Final[Mapping[str, str]] = MappingProxyType(
    {"local": "minimize.engines.local", "spark": "minimize.engines.spark"}
)
"""The word that a command uses, and the module whose `run` is the engine. None is loaded before it is asked for."""


def engine(name: str) -> Engine:
    """The engine of a name in the table."""
    found: Engine = import_module(ENGINES[name]).run
    return found
