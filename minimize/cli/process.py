"""A process that is there for one piece of work: what is not needed for it is neither loaded, nor started, nor looked through."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def alone() -> Iterator[None]:
    """What is done in the block has the process for itself. To be entered before NumPy and Arrow are imported.

    Arrow imports pandas, where that is installed, at the first list that becomes an array: half a second for what no command
    uses. Here it is told that there is none. Of its allocators it takes the one that holds least of what was freed, unless
    somebody chose another; and NumPy's linear algebra, of which no command makes use, starts no threads that wait in a loop.
    Plugins of pydantic, which would be shown what is in policies and receipts, are not looked for.
    What is no longer used is looked for less often: modules stay, and columns are freed without it. At the end nobody
    looks for it at all, since the process goes as a whole.
    """
    gc.set_threshold(200_000, 20, 50)
    sys.meta_path.insert(0, Without("pandas"))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if sys.platform == "linux":
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    try:
        yield
    finally:
        gc.freeze()


class Without:
    """Finds a package missing."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Nothing to say of other modules. Raises ModuleNotFoundError for the package."""
        if fullname == self._package:
            raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)
