"""Workspace of an administrative command.

The ledger, an output, a pipeline and the keyring, each found when it is needed; a ledger that may be absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minimize.errors import LedgerError
from minimize.keys import Keyring, require_keyring
from minimize.ledger import Address, api, find_ledger
from minimize.policy.model import Pipeline
from minimize.runs.inputs import pipeline_from
from minimize.stores import PathText, local_path

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where things are: the ledger, an output folder that may hold it, a pipeline whose policy names settings, the keyring."""

    ledger: PathText | None = None
    output: PathText | None = None
    pipeline: Pipeline | PathText | None = None
    keys: Keyring | PathText | None = None

    @property
    def loaded_pipeline(self) -> Pipeline | None:
        """The pipeline, loaded."""
        return None if self.pipeline is None else pipeline_from(self.pipeline)

    @property
    def folder(self) -> Path:
        """Where the search for `minimize.yaml` starts: the pipeline's folder, else the output's, else the current one."""
        job = self.loaded_pipeline
        return (local_path(self.output) or Path.cwd()) if job is None else job.folder

    def keyring(self) -> Keyring:
        """The keyring: changes are signed with it, and subjects are told by it. Raises KeyringError."""
        return require_keyring(self.keys, self.folder, "no keyring, and every change is signed")

    @property
    def address(self) -> Address:
        """Where the ledger is, or would be. Raises LedgerError where nothing says so."""
        job = self.loaded_pipeline
        output = self.output if self.output is not None or job is None else job.target()
        return find_ledger(self.ledger, start=self.folder, output=output)

    def open_ledger(self, *, create: bool = False) -> Ledger:
        """The ledger, open. Raises LedgerError."""
        return api.ledger.open_ledger(self.address, create=create)


@contextmanager
def optional_ledger(workspace: Workspace, *, needed: bool) -> Iterator[Ledger | None]:
    """The ledger, open; None where there is none and none is needed. Raises LedgerError."""
    found: Ledger | None = None
    with suppress(*(() if needed or workspace.ledger is not None else (LedgerError,))):
        found = workspace.open_ledger()
    try:
        yield found
    finally:
        if found is not None:
            found.close()
