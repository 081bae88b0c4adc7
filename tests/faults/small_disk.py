"""A small file system in memory, and how much room is left in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE = 8 << 20
PAGE = 4096


@dataclass(frozen=True)
class Disk:
    """A file system of `SIZE` bytes."""

    folder: Path

    @property
    def ballast(self) -> Path:
        """What takes the room."""
        return self.folder / "ballast"

    def leaves(self, room: int) -> None:
        """Takes all room but so many bytes (in whole pages)."""
        self.frees()
        with self.ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(PAGE, self._free() - room))

    def frees(self) -> None:
        """Gives the room back."""
        self.ballast.unlink(missing_ok=True)

    def _free(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """Mounts one there. Raises CalledProcessError or OSError where we may not."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)], check=True, capture_output=True
    )
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Mounts a folder over itself, for reading only. Raises CalledProcessError or OSError where we may not."""
    for options in (["--bind", str(folder), str(folder)], ["-o", "remount,bind,ro", str(folder)]):
        subprocess.run(["mount", *options], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
