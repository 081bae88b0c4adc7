"""`python -m benchmarks.contenders MODULE FOLDER OUT`: one contender in this process."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from benchmarks.given import Given

if __name__ == "__main__":
    module, folder, out = sys.argv[1:]
    Path(out).mkdir(parents=True)
    import_module(f"benchmarks.contenders.{module}").run(Given(Path(folder)), Path(out))
