"""Workspace of an administrative command.

The ledger, an output, a pipeline and the keyring, each searched for when it is needed. The ledger may be absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minimize.errors import KeyringError, LedgerError
from minimize.keys import Keyring, find_keyring, require_keyring
from minimize.ledger import Address, find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.output.folder import has_runs
from minimize.output.reader import load_receipts
from minimize.policy.pipeline import Pipeline
from minimize.runs.guards import check_keyring, check_ledger
from minimize.runs.inputs import pipeline_from
from minimize.stores import LocationLike, PathText, local_path, parse_output_location

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Workspace:
    """Inputs of a command: ledger, output folder (may contain the ledger), pipeline whose policy declares settings, keyring.

    A command may also concern the outputs of `further_pipelines`.
    """

    ledger: PathText | None = None
    output: PathText | None = None
    pipeline: Pipeline | PathText | None = None
    keys: Keyring | PathText | None = None
    further_pipelines: tuple[Pipeline | PathText, ...] = ()

    @property
    def loaded_pipeline(self) -> Pipeline | None:
        """The pipeline, loaded."""
        return None if self.pipeline is None else pipeline_from(self.pipeline)

    @property
    def named_outputs(self) -> list[LocationLike]:
        """The output, or else that of the pipeline, and the outputs of the further pipelines."""
        job = self.loaded_pipeline
        own = self.output or (None if job is None else job.target())
        further = [pipeline_from(each).target() for each in self.further_pipelines]
        return [each for each in (own, *further) if each is not None]

    @property
    def folder(self) -> Path:
        """The start of the search for `minimize.yaml`: the pipeline's folder, else the output's, else the current one."""
        job = self.loaded_pipeline
        return (local_path(self.output) or Path.cwd()) if job is None else job.folder

    def keyring(self) -> Keyring:
        """The keyring, which signs changes and makes subject tokens. Raises KeyringError."""
        return require_keyring(self.keys, self.folder, "no keyring found; one is needed to sign the change")

    @property
    def verifier(self) -> Keyring | None:
        """The keyring, to verify what is read; None if there is none that can be read."""
        with suppress(KeyringError):
            return find_keyring(self.keys, self.folder)
        return None

    @property
    def address(self) -> Address:
        """The address of the ledger, which may not exist yet. Raises LedgerError if no address is configured."""
        job = self.loaded_pipeline
        output = self.output if self.output is not None or job is None else job.target()
        return find_ledger(self.ledger, start=self.folder, output=output)

    def check_ledger(self, named: Iterable[LocationLike] = ()) -> None:
        """Raises RefusedError if the receipts of its own output, or of a named one, name another ledger (E303), or if the last
        of them was signed with another keyring (E310)."""
        for place in map(parse_output_location, [*named, *self.named_outputs]):
            if has_runs(place):
                chain = load_receipts(place)
                check_ledger(self.address, chain)
                check_keyring(self.keyring(), chain)

    def open_ledger(self, *, create: bool = False) -> Ledger:
        """The ledger, open. Raises LedgerError."""
        return open_ledger(self.address, create=create, verifier=self.verifier)


@contextmanager
def optional_ledger(workspace: Workspace, *, needed: bool) -> Iterator[Ledger | None]:
    """The open ledger; None if there is none and none is needed. Raises LedgerError."""
    found: Ledger | None = None
    with suppress(*(() if needed or workspace.ledger is not None else (LedgerError,))):
        found = workspace.open_ledger()
    try:
        yield found
    finally:
        if found is not None:
            found.close()
