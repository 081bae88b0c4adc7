"""Workspace of an administrative command.

The ledger, an output, a pipeline and the keyring, each searched for when it is needed. The ledger may be absent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from minimize.config import load_config
from minimize.errors import KeyringError, LedgerError
from minimize.keys import Keyring, find_keyring, require_keyring
from minimize.ledger import Address, find_ledger
from minimize.ledger.address import LEDGER_VARIABLE, PASSED_LEDGER
from minimize.ledger.ledger import open_ledger
from minimize.ledger.runs import output_locations
from minimize.output.folder import has_runs
from minimize.output.reader import load_receipts
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt
from minimize.records import PIPELINE_FILE
from minimize.runs.guards import check_keyring, check_ledger
from minimize.runs.inputs import ConfiguredOutput, configuration_folder, find_configured_outputs, pipeline_from
from minimize.stores import Location, LocationLike, PathText, parse_output_location

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

log = logging.getLogger("minimize")


@dataclass(frozen=True)
class Workspace:
    """Inputs of a command: ledger, output folder (may contain the ledger), pipeline whose policy declares settings, keyring.

    A command may also concern the outputs of `further_pipelines`. `shown` are the outputs whose content it shows or changes
    because the caller named them. Without a pipeline and an output, the first of them determines configuration and ledger.
    `searches` says whether the command also searches all outputs that the ledger has.
    """

    ledger: PathText | None = None
    output: LocationLike | None = None
    pipeline: Pipeline | PathText | None = None
    keys: Keyring | PathText | None = None
    further_pipelines: tuple[Pipeline | PathText, ...] = ()
    shown: tuple[LocationLike, ...] = ()
    searches: bool = False

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

    @cached_property
    def configured_outputs(self) -> list[ConfiguredOutput]:
        """The named outputs, and those of other pipelines below its `minimize.yaml` whose configuration has the same ledger."""
        jobs = [pipeline_from(each) for each in (self.pipeline, *self.further_pipelines) if each is not None]
        named = [] if self.output is None else [ConfiguredOutput(self.output, None)]
        config = load_config(self.folder).path
        others = [] if config is None else [*find_configured_outputs(config.parent)]
        return [
            *named,
            *(ConfiguredOutput(job.target(), job.path) for job in jobs),
            *(
                ConfiguredOutput(output, folder / PIPELINE_FILE)
                for folder, output in others
                if self._has_ledger_of(folder, output)
            ),
        ]

    def _has_ledger_of(self, folder: Path, output: Location) -> bool:
        """Whether the ledger is also that of an output of a pipeline in this folder."""
        with suppress(LedgerError):
            return self.address.is_same(find_ledger(start=folder, output=output))
        return False

    @cached_property
    def folder(self) -> Path:
        """The start of the search for `minimize.yaml`: the folder of the pipeline, else that of the output's pipeline or the
        output, else the current one."""
        job = self.loaded_pipeline
        if job is not None:
            return job.folder
        return Path.cwd() if self._decisive_output is None else configuration_folder(self._decisive_output)

    @property
    def _decisive_output(self) -> LocationLike | None:
        """The output that determines configuration and ledger if no pipeline is named."""
        return self.output if self.output is not None else next(iter(self.shown), None)

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
        output = self._decisive_output if self.output is not None or job is None else job.target()
        return find_ledger(self.ledger, start=self.folder, output=output)

    def check_ledger(self, named: Iterable[LocationLike] = ()) -> None:
        """Raises RefusedError if the receipts of its own output, or of a named one, name another ledger (E303), or if the last
        of them was signed with another keyring (E310)."""
        for chain in self._chains(named):
            check_ledger(self.address, chain, self.verifier)
            check_keyring(self.keyring(), chain)

    def _chains(self, named: Iterable[LocationLike] = ()) -> Iterator[Sequence[Receipt]]:
        places = map(parse_output_location, [*named, *self.named_outputs])
        return (load_receipts(place) for place in places if has_runs(place))

    def authorities(self, *, any_ledger: bool = False, decides: bool = False) -> Iterator[Workspace]:
        """Itself, and a workspace for each shown or searched output that another configuration or ledger governs.

        An act counts for all outputs of the ledger, so a command that `decides` needs the rules of each of them. An output that
        this host cannot open is left out: a ledger on a server can have outputs of many hosts.

        Raises RefusedError (E303), unless `any_ledger` is set, if the ledger is not the one that the receipts of a shown output
        name: the access rules that were adopted in that one would not apply. Warns (W058) instead if the ledger is lost, and
        the configuration requires no rules. Commands that change an output check its ledger themselves.
        """
        shown = [Workspace(self.ledger, place, keys=self.keys) for place in self.shown]
        for each in () if any_ledger else shown:
            for chain in each._chains():
                if each._has_lost_ledger:
                    _warn_of_lost_ledger(each.address)
                else:
                    check_ledger(each.address, chain, each.verifier)
        known: set[tuple[Path | None, str]] = set()
        searched = (Workspace(self.ledger, place, keys=self.keys) for place in self._searched_outputs(decides))
        for each in (self, *shown, *searched):
            authority = load_config(each.folder).path, each._address_text
            if authority not in known:
                known.add(authority)
                yield each

    def _searched_outputs(self, decides: bool) -> Iterator[Location]:
        """The outputs that the ledger has and this host can open, if the command searches them or decides for them."""
        if not (self.searches or decides):
            return
        with suppress(LedgerError):
            with self.open_ledger() as ledger:
                places = ledger.read(output_locations)
            folders = (parse_output_location(each.folder) for each in places if each.is_reachable)
            yield from (folder for folder in folders if has_runs(folder))

    @property
    def _has_lost_ledger(self) -> bool:
        """Whether the configured ledger is missing, and the configuration has no access file.

        A ledger that the caller names does not count: it would end the rules that were adopted in the right one.
        """
        named_by = self.address.named_by
        is_callers = named_by in (PASSED_LEDGER, LEDGER_VARIABLE)
        return not (is_callers or self.address.exists or load_config(self.folder).has_access_file)

    @property
    def _address_text(self) -> str:
        """The address of the ledger as text; empty if none is configured."""
        with suppress(LedgerError):
            return str(self.address)
        return ""

    def open_ledger(self, *, create: bool = False) -> Ledger:
        """The ledger, open. Raises LedgerError."""
        return open_ledger(self.address, create=create, verifier=self.verifier)


def _warn_of_lost_ledger(address: Address) -> None:
    log.warning(
        "the ledger %s (%s) does not exist, but receipts of this output name a ledger: its settings, consents, erasures and"
        " requests are unknown, and so are access rules that were adopted in it; if it is lost, run `minimize runs"
        " adopt-ledger OUTPUT --reason TEXT`",
        address,
        address.named_by,
        extra={"code": "W058"},
    )


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
