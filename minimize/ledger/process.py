"""Identity of a process, by which another process on the same machine can find out whether it is still running."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process: host name, machine (boot and process namespace; empty if unknown), pid, start time in ticks."""

    host: str
    machine: str
    pid: int
    born: int

    @classmethod
    def current(cls) -> ProcessIdentity:
        """This process."""
        return cls(socket.gethostname(), _machine_id(), os.getpid(), _start_ticks(os.getpid()) or 0)

    def is_dead(self) -> bool:
        """Whether the process is known to have ended. Always False for processes of other machines."""
        if not self.machine or self.machine != _machine_id():
            return False
        return _start_ticks(self.pid) != self.born


def _machine_id() -> str:
    try:
        return f"{_BOOT.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start_ticks(pid: int) -> int | None:
    """Start time of a process in ticks since the boot; None if it does not exist or is a zombie."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(fields[18])
