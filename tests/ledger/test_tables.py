"""Each table of the ledger stands in a file of its own, and is imported by what works on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from minimize.ledger.tables import whole


def imported(statement: str) -> set[str]:
    """The tables' files that a statement imports."""
    code = (
        f"import sys; {statement}; print(*(each for each in sys.modules if each.startswith('minimize.ledger.tables.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.rpartition(".")[2] for name in done.stdout.split()}


def test_the_whole_has_every_file_of_the_folder() -> None:
    files = {path.stem for path in Path(whole.__file__).parent.glob("*.py")} - {"__init__"}
    assert imported("import minimize.ledger.tables.whole") == files


def test_what_books_a_run_does_not_import_the_tables_of_consents() -> None:
    assert not imported("import minimize.ledger.booking") & {"consents", "disclosures", "grants", "passes", "whole"}
