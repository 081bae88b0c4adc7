"""`python -m benchmarks.contenders MODULE FOLDER OUT`: one contender in this process."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from benchmarks.contenders import CONTENDERS, OURS
from benchmarks.given import Given
from minimize.cli.process import Without, alone

if __name__ == "__main__":
    module, folder, out = sys.argv[1:]
    with ExitStack() as stack:
        if module in {each.module for each in CONTENDERS if each.name == OURS}:
            stack.enter_context(alone())  # as in a run
        else:
            sys.meta_path.insert(0, Without("pandas"))  # as in ours: Arrow would import it, and nobody uses it
        Path(out).mkdir(parents=True)
        import_module(f"benchmarks.contenders.{module}").run(Given(Path(folder)), Path(out))
