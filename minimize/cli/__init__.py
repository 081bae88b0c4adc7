"""The command line: one module per command group. A command parses its options, makes one library call and prints the result."""

from __future__ import annotations

from minimize.cli.main import entry, main

__all__ = ["entry", "main"]
