"""Outputs that a request searches: those in the index of runs and those that the caller names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from minimize.errors import MinimizeError
from minimize.governance.output_file import PolicyCache, WritingRun, receipts_by_path
from minimize.ledger.ledger import Ledger
from minimize.ledger.runs import output_locations
from minimize.output.folder import identity_of
from minimize.output.reader import load_receipts
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, ReceiptFile, files_in_force
from minimize.runs.provenance import find_pipeline
from minimize.stores import Location, LocationLike, location_text, parse_output_location

RECORDS = "records"


@dataclass(frozen=True, slots=True)
class SearchableOutput:
    """One output folder, and its chain of receipts; its pipeline, where it is found; policies that were read of it."""

    folder: Location
    chain: tuple[Receipt, ...] = field(repr=False)
    purposes: tuple[str, ...] = ()
    job: Pipeline | None = field(default=None, repr=False, compare=False)
    policies: PolicyCache = field(default_factory=PolicyCache, repr=False, compare=False)

    @property
    def pipeline(self) -> str:
        """The pipeline whose output it is."""
        return self.chain[-1].pipeline

    def pipeline_of_today(self) -> Pipeline:
        """Its pipeline. Raises what looking for it raises."""
        return self.job or find_pipeline(self.folder, self.chain[-1], None)

    def files(self) -> Iterator[tuple[WritingRun, ReceiptFile]]:
        """The files of records in force, each with who wrote it. Aggregates are about nobody alone."""
        by = receipts_by_path(self.chain)
        runs = {each.run_id: each for each in by.values()}
        known = {run: WritingRun(self.folder, each, self.policies) for run, each in runs.items()}
        yield from ((known[by[file.path].run_id], file) for file in files_in_force(self.chain).get(RECORDS, ()))


ON_ANOTHER_MACHINE: Final = "it is on another machine"


@dataclass(frozen=True, slots=True)
class UnreachableOutput:
    """An output that cannot be looked at from here, and why: its code alone says it."""

    folder: str
    pipeline: str
    reason: str


def find_outputs(
    ledger: Ledger | None, named: Sequence[LocationLike] = ()
) -> tuple[tuple[SearchableOutput, ...], tuple[UnreachableOutput, ...]]:
    """The outputs that can be looked at, each once, and those that cannot."""
    found: dict[str, SearchableOutput] = {}
    missed: list[UnreachableOutput] = []
    for folder, pipeline, here in (*_named_outputs(named), *_ledger_outputs(ledger)):
        output = _open_output(folder) if here else None
        if isinstance(output, SearchableOutput):
            found.setdefault(identity_of(folder) or location_text(folder), output)
        else:
            missed.append(UnreachableOutput(location_text(folder), pipeline, output or ON_ANOTHER_MACHINE))
    return tuple(found.values()), tuple(missed)


def _named_outputs(named: Sequence[LocationLike]) -> Iterator[tuple[Location, str, bool]]:
    yield from ((parse_output_location(each), "", True) for each in named)


def _ledger_outputs(ledger: Ledger | None) -> Iterator[tuple[Location, str, bool]]:
    for place in () if ledger is None else ledger.read(output_locations):
        yield parse_output_location(place.folder), place.pipeline, place.is_here or "://" in place.folder


def _open_output(folder: Location) -> SearchableOutput | str:
    try:
        chain = load_receipts(folder)
        return _output_with_pipeline(folder, chain) if chain else "nothing was published there"
    except MinimizeError as error:
        return error.code


def _output_with_pipeline(folder: Location, chain: tuple[Receipt, ...]) -> SearchableOutput:
    """The output with its pipeline of today; where that is not found any more, with what the last receipt was for."""
    try:
        job = find_pipeline(folder, chain[-1], None)
    except MinimizeError:
        job = None
    purposes = (chain[-1].purpose,) if job is None else job.policy.purposes
    return SearchableOutput(folder, chain, purposes, job, PolicyCache(purposes))
