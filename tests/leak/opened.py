"""Ways to look at what is set aside on disk: under a name, and, as a control, without the seal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minimize.spill.spill_file import TAG_BYTES, SpilledPiece, SpillFile


def named(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """What is set aside stands in this file, and stays."""
    monkeypatch.setattr(
        "minimize.spill.spill_file._open_unnamed_file", lambda: os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    )


def unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what is set aside can be read."""

    def put(vault: SpillFile, number: int, plain: memoryview, label: bytes) -> bytes:
        return bytes(plain) + bytes(TAG_BYTES)

    def get(vault: SpillFile, piece: SpilledPiece, number: int, offset: int, size: int) -> bytes:
        return os.pread(vault._file, size, offset)

    monkeypatch.setattr(SpillFile, "_seal", put)
    monkeypatch.setattr(SpillFile, "_decrypt", get)
