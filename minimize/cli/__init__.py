"""The command line: one file a noun, each parses, makes one library call, and prints."""

from __future__ import annotations

from minimize.cli.main import main

__all__ = ["main"]
