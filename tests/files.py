"""How tests write a house on disk: policies, pipelines, and lines of records."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Files:
    """A folder with policy, pipeline, settings, data and keys."""

    folder: Path

    @property
    def keys(self) -> Path:
        return self.folder / "test.keys"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def says(self, name: str, body: Mapping[str, Any], **changes: Any) -> None:
        """Writes a file with some things changed; what is None is not said. JSON is YAML, too."""
        said = {key: value for key, value in {**body, **changes}.items() if value is not None}
        (self.folder / f"{name}.yaml").write_text(json.dumps(said, indent=1))

    def lines(self, path: str, records: Iterable[Mapping[str, Any] | str]) -> Path:
        """Writes records below the folder, one a line, packed where the name ends so; a text is a line as it is."""
        whole = self.folder / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        said = [record if isinstance(record, str) else json.dumps(record) for record in records]
        content = "".join(line + "\n" for line in said).encode()
        whole.write_bytes(gzip.compress(content, mtime=0) if whole.suffix == ".gz" else content)
        return whole


def declared(fields: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of a policy with some changed; one that is None is not declared."""
    return {key: each for key, each in {**fields, **(changes or {})}.items() if each is not None}
