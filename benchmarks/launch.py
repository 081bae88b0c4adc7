"""Starts one command and says what it took, from a process so small that nothing of it counts as the command's memory.

A child's highest resident size begins at its parent's, so the parent must be small. Called with the log's path and the words.
"""

import json
import os
import sys
import time


def main(log: str, *words: str) -> None:
    """Runs the words, and prints wall and CPU seconds, the most memory of any one process in bytes, and the exit code."""
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    streams = [(os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
    start = time.perf_counter()
    child = os.posix_spawn(words[0], words, os.environ, file_actions=streams)
    _, status, usage = os.wait4(child, 0)
    took = {
        "wall": time.perf_counter() - start,
        "cpu": usage.ru_utime + usage.ru_stime,
        "most": usage.ru_maxrss * 1024,
        "exit": os.waitstatus_to_exitcode(status),
    }
    sys.stdout.write(json.dumps(took))


if __name__ == "__main__":
    main(*sys.argv[1:])
