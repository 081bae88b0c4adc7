"""Ways to look at what is set aside on disk: under a name, and, as a control, without the seal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.spill.spill_file import TAG_BYTES, SpilledPiece, SpillFile


@contextmanager
def named(path: Path) -> Iterator[None]:
    """What is set aside within the block stands in this file at its end."""
    handles: list[int] = []
    with at_checkpoint("spill.opened", lambda _, handle: handles.append(os.dup(handle))):
        yield
    with path.open("wb") as copy:
        for handle in handles:
            copy.write(os.pread(handle, os.fstat(handle).st_size, 0))
            os.close(handle)


def unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what is set aside can be read."""

    def put(vault: SpillFile, number: int, plain: memoryview, label: bytes) -> bytes:
        return bytes(plain) + bytes(TAG_BYTES)

    def get(vault: SpillFile, piece: SpilledPiece, number: int, offset: int, size: int) -> bytes:
        return os.pread(vault._file, size, offset)

    monkeypatch.setattr(SpillFile, "_seal", put)
    monkeypatch.setattr(SpillFile, "_decrypt", get)
