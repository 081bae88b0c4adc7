"""`python -m benchmarks.contenders MODULE FOLDER OUT`: one contender in this process."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from benchmarks.given import Given
from minimize.cli.main import Without

if __name__ == "__main__":
    sys.meta_path.insert(0, Without("pandas"))  # as the command line does: Arrow would import it, and nobody uses it
    module, folder, out = sys.argv[1:]
    Path(out).mkdir(parents=True)
    import_module(f"benchmarks.contenders.{module}").run(Given(Path(folder)), Path(out))
