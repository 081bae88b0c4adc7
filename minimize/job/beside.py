"""What stands beside a receipt: the bytes behind its digests, and what the columns mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from minimize.errors import ConfigurationError
from minimize.io.durable import digest_of
from minimize.plan import Plan
from minimize.plan.columns import columns_page
from minimize.policy.load import hierarchy_files
from minimize.policy.pipeline import Pipeline
from minimize.recipients import Recipient

if TYPE_CHECKING:
    from minimize.policy.backfill import Backfill


def beside(
    pipeline: Pipeline, plan: Plan, backfill: Backfill | None = None, sender: Recipient | None = None
) -> dict[str, bytes]:
    """The files by name: `policy.yaml`, `pipeline.yaml`, `columns.md`, `backfill.yaml` where the run is part of one,
    `recipient.yaml` where a third party sent the records, and the hierarchies as the policy names them.

    Raises ConfigurationError where a file is no longer the one that was loaded.
    """
    files = {"columns.md": columns_page(plan).encode()}
    for name, path, digest in (
        ("policy.yaml", pipeline.policy.path, pipeline.policy.digest),
        ("pipeline.yaml", pipeline.path, pipeline.digest),
        ("recipient.yaml", None if sender is None else sender.path, "" if sender is None else sender.digest),
    ):
        if path is not None:
            files[name] = _unchanged(path, digest)
    files |= {} if backfill is None else {"backfill.yaml": backfill.content}
    return files | _hierarchies(pipeline)


def _unchanged(path: Path, digest: str) -> bytes:
    if digest_of(path) != digest:
        raise ConfigurationError(f"{path.name} was changed while it was in use", hint="run again")
    return path.read_bytes()


def _hierarchies(pipeline: Pipeline) -> dict[str, bytes]:
    folder = Path() if pipeline.policy.path is None else pipeline.policy.path.parent
    files: dict[str, bytes] = {}
    for path in hierarchy_files(pipeline.policy):
        inside = path.is_relative_to(folder) and ".." not in path.relative_to(folder).parts
        name = path.relative_to(folder).as_posix() if inside else path.name
        if name in files:
            raise ConfigurationError(f"two hierarchies are called {name}", hint="give them different names")
        files[name] = path.read_bytes()
    return files
