"""The command line in a process of its own, under a fault: killed at a point, without a superuser's rights, with small files."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from minimize.cli.main import main
from tests.faults.process import kill_at

_CAPABILITIES_V3 = 0x20080522
_OVERRIDES = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: by them a superuser reads and writes whatever the mode says."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a process: the point at which it dies, whether modes count for it, how large its files may be."""

    point: str | None = None
    obeys_modes: bool = False
    largest: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it said on stderr."""

    code: int | None
    said: str


NO_FAULT = Fault()


def start(words: Sequence[str], fault: Fault = NO_FAULT, said: Path | None = None) -> BaseProcess:
    """Starts it here and now, with the variables that are set, forked from a server that has everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "tests.sources.warm", "tests.faults.child"])
    process = context.Process(target=_child, args=([*words], dict(os.environ), fault, said))
    process.start()
    return process


def killed(words: Sequence[object], point: str | None) -> int | None:
    """Runs it until it dies at a point, and gives how it ended."""
    process = start([str(word) for word in words], Fault(point))
    process.join()
    return process.exitcode


def ended(words: Sequence[str], said: Path, fault: Fault = NO_FAULT) -> Ended:
    """Runs it to its end; what it says goes through a file, which a process that is killed leaves, too."""
    process = start(words, fault, said)
    process.join()
    return Ended(process.exitcode, said.read_text() if said.exists() else "")


def _child(words: list[str], environment: dict[str, str], fault: Fault, said: Path | None) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["minimize", *words]
    for path, stream in ((os.devnull, 1), (os.devnull if said is None else said, 2)):
        with open(path, "w") as sink:
            os.dup2(sink.fileno(), stream)
    if fault.largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault.largest, fault.largest))
    if fault.obeys_modes:
        obey_modes()
    with kill_at(fault.point):
        main()


def obey_modes() -> None:
    """Lets file modes count for this thread, whoever it is. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    data[0] &= ~_OVERRIDES
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
