"""`python -m benchmarks.contenders MODULE FOLDER OUT`: one contender in this process."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

from benchmarks.contenders import CONTENDERS, OURS
from benchmarks.given import Given
from minimize.cli.startup import ImportBlocker, dedicated_process

if __name__ == "__main__":
    module, folder, out = sys.argv[1:]
    is_ours = module in {each.module for each in CONTENDERS if each.name == OURS}
    if not is_ours:
        sys.meta_path.insert(0, ImportBlocker("pandas"))  # as in ours: Arrow would import it, and nobody uses it
    with dedicated_process() if is_ours else nullcontext():  # as in a run
        Path(out).mkdir(parents=True)
        import_module(f"benchmarks.contenders.{module}").run(Given(Path(folder)), Path(out))
