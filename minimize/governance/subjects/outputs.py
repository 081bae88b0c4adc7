"""Every output in which somebody may stand: those that the index of runs knows, and those that are named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from minimize.errors import MinimizeError
from minimize.governance.retention.written import Reading, Written, writers
from minimize.io.identity import identity_of
from minimize.io.published import receipts
from minimize.job.origin import pipeline_behind
from minimize.ledger.ledger import Ledger
from minimize.ledger.runs import places
from minimize.policy.pipeline import Pipeline
from minimize.receipt import OutputFile, Receipt, in_force
from minimize.stores import Anywhere, Place, output_at, written

RECORDS = "records"


@dataclass(frozen=True, slots=True)
class Output:
    """One output folder, and its chain of receipts; its pipeline, where it is found; policies that were read of it."""

    folder: Place
    chain: tuple[Receipt, ...] = field(repr=False)
    purposes: tuple[str, ...] = ()
    job: Pipeline | None = field(default=None, repr=False, compare=False)
    reading: Reading = field(default_factory=Reading, repr=False, compare=False)

    @property
    def pipeline(self) -> str:
        """The pipeline whose output it is."""
        return self.chain[-1].pipeline

    def pipeline_of_today(self) -> Pipeline:
        """Its pipeline. Raises what looking for it raises."""
        return self.job or pipeline_behind(self.folder, self.chain[-1], None)

    def files(self) -> Iterator[tuple[Written, OutputFile]]:
        """The files of records in force, each with who wrote it. Aggregates are about nobody alone."""
        by = writers(self.chain)
        runs = {each.run_id: each for each in by.values()}
        known = {run: Written(self.folder, each, self.reading) for run, each in runs.items()}
        yield from ((known[by[file.path].run_id], file) for file in in_force(self.chain).get(RECORDS, ()))


ELSEWHERE: Final = "it is on another machine"


@dataclass(frozen=True, slots=True)
class Unreached:
    """An output that cannot be looked at from here, and why: its code alone says it."""

    folder: str
    pipeline: str
    why: str


def outputs(ledger: Ledger | None, named: Sequence[Anywhere] = ()) -> tuple[tuple[Output, ...], tuple[Unreached, ...]]:
    """The outputs that can be looked at, each once, and those that cannot."""
    found: dict[str, Output] = {}
    missed: list[Unreached] = []
    for folder, pipeline, here in (*_named(named), *_known(ledger)):
        output = _opened(folder) if here else None
        if isinstance(output, Output):
            found.setdefault(identity_of(folder) or written(folder), output)
        else:
            missed.append(Unreached(written(folder), pipeline, output or ELSEWHERE))
    return tuple(found.values()), tuple(missed)


def _named(named: Sequence[Anywhere]) -> Iterator[tuple[Place, str, bool]]:
    yield from ((output_at(each), "", True) for each in named)


def _known(ledger: Ledger | None) -> Iterator[tuple[Place, str, bool]]:
    for place in () if ledger is None else ledger.read(places):
        yield output_at(place.folder), place.pipeline, place.is_here or "://" in place.folder


def _opened(folder: Place) -> Output | str:
    try:
        chain = receipts(folder)
        return _output(folder, chain) if chain else "nothing was published there"
    except MinimizeError as error:
        return error.code


def _output(folder: Place, chain: tuple[Receipt, ...]) -> Output:
    """The output with its pipeline of today; where that is not found any more, with what the last receipt was for."""
    try:
        job = pipeline_behind(folder, chain[-1], None)
    except MinimizeError:
        job = None
    purposes = (chain[-1].purpose,) if job is None else job.policy.purposes
    return Output(folder, chain, purposes, job, Reading(purposes))
