"""Process settings of a command."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

THREADS = """
import ctypes
from threading import Barrier, Thread
from minimize.cli.startup import dedicated_process

library, together = ctypes.CDLL(None), Barrier(4)

def allocate():
    together.wait()
    library.malloc(100)
    together.wait()

with dedicated_process():
    threads = [Thread(target=allocate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    library.malloc_info(0, ctypes.c_void_p.in_dll(library, "stdout"))
    library.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have one pool of memory")
def test_threads_share_the_memory_that_one_of_them_frees() -> None:
    environ = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout.count("<heap nr=") == 1
