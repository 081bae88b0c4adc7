"""Starts one command and says what it took, from a process so small that nothing of it counts as the command's memory.

A child's highest resident size begins at its parent's, so the parent must be small. What the command leaves behind (a Java of
Spark's, its workers) becomes this process's own, which waits for it: its CPU seconds count, the time until it is gone does not.
Called with the log's path and the words.
"""

import ctypes
import json
import os
import resource
import sys
import time

_ADOPT = 36
"""Of prctl: processes whose parent is gone come to this one."""


def main(log: str, *words: str) -> None:
    """Runs the words, and prints wall and CPU seconds, the most memory of any one process in bytes, and the exit code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_ADOPT, 1, 0, 0, 0)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    streams = [(os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
    start = time.perf_counter()
    child = os.posix_spawn(words[0], words, os.environ, file_actions=streams)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    cpu, most = usage.ru_utime + usage.ru_stime, usage.ru_maxrss
    while (left := _next_left()) is not None:
        cpu, most = cpu + left.ru_utime + left.ru_stime, max(most, left.ru_maxrss)
    took = {"wall": wall, "cpu": cpu, "most": most * 1024, "exit": os.waitstatus_to_exitcode(status)}
    sys.stdout.write(json.dumps(took))


def _next_left() -> resource.struct_rusage | None:
    """What the next process that was left behind has used, once it is gone."""
    try:
        return os.wait4(-1, 0)[2]
    except ChildProcessError:
        return None


if __name__ == "__main__":
    main(*sys.argv[1:])
