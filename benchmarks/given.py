"""What every contender is given: where the input stands, where its output goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Given:
    """A folder of generated data."""

    folder: Path

    @property
    def devices(self) -> Path:
        """The Parquet files."""
        return self.folder / "devices"

    @property
    def files(self) -> list[Path]:
        """The Parquet files, by name."""
        return sorted(self.devices.glob("*.parquet"))

    @property
    def lines(self) -> Path:
        """The NDJSON file."""
        return self.folder / "lines.ndjson"

    @property
    def clean(self) -> Path:
        """The NDJSON file without its faulty lines, for a reader that stops at one."""
        return self.folder / "clean.ndjson"

    @property
    def settings(self) -> Path:
        """Who turned which feature on or off."""
        return self.folder / "settings.csv"

    @property
    def keys(self) -> Path:
        """The keyring."""
        return self.folder / "benchmark.keys"

    @property
    def done(self) -> bool:
        """Whether it was made to its end."""
        return (self.folder / "_SUCCESS").exists()

    @contextmanager
    def made(self) -> Iterator[None]:
        """The folder while it is made, from nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        yield
        (self.folder / "_SUCCESS").touch()
