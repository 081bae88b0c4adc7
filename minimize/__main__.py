"""`python -m minimize`."""

from __future__ import annotations

from minimize.cli import entry

if __name__ == "__main__":
    entry()
