"""How wide lines may be: as the terminal, within what reads well; elsewhere a hundred characters."""

from __future__ import annotations

import shutil
import sys

NARROW, USUAL, BROAD = 60, 100, 120


def width() -> int:
    """Characters a line."""
    return min(max(shutil.get_terminal_size().columns, NARROW), BROAD) if sys.stdout.isatty() else USUAL
