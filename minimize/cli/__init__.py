"""The command line: one file a noun, each parses, makes one library call, and prints."""

from __future__ import annotations

from minimize.cli.main import entry, main

__all__ = ["entry", "main"]
