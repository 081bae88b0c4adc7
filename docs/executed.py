"""A notebook, run from top to bottom, as a page with what its cells printed, showed and drew."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbconvert import MarkdownExporter, export

PATIENCE = 600
"""Seconds that a cell may take."""


def executed(notebook: Path, target: Path) -> Path:
    """Runs a notebook in the folder above the documentation, and writes its page and pictures next to `target`.

    Cells find the commands that are installed next to this interpreter, whatever PATH is. Returns the page. Raises
    CellExecutionError if a cell fails.
    """
    cells = jupytext.read(notebook)
    where = {"metadata": {"path": str(Path(__file__).parents[1])}}
    NotebookClient(cells, timeout=PATIENCE, kernel_name="python3", resources=where).execute(env=kernel_environment())
    text, resources = export(MarkdownExporter, cells, resources={"unique_key": notebook.stem})
    target.parent.mkdir(parents=True, exist_ok=True)
    for name, picture in resources.get("outputs", {}).items():
        (target.parent / name).write_bytes(picture)
    target.write_text(text.replace('<table border="1" class="dataframe">', "<table>"))
    return target


def kernel_environment() -> dict[str, str]:
    """The environment of a kernel: that of this process, with the interpreter's folder first in PATH."""
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    }
