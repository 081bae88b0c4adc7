"""Columns that somebody asks for and a dataset does not have: a request for them opens nothing, and whoever asked should know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from minimize.errors import MinimizeError
from minimize.governance.access.model import RECORDS
from minimize.governance.access.planned import columns_of
from minimize.inspection import plan_for
from minimize.io.published import receipts
from minimize.job.origin import pipeline_behind
from minimize.policy.faults import did_you_mean
from minimize.policy.pipeline import Pipeline
from minimize.stores import output_at
from minimize.switching import House


def misnamed(dataset: str, columns: Sequence[str], house: House) -> dict[str, str]:
    """The columns that a dataset does not have, by the plan of its pipeline, each with a hint.

    Nothing where the pipeline is not found: it is the house's, else those of the name behind outputs that the ledger has seen,
    of which one must have it. Raises nothing.
    """
    name, _, output = dataset.partition("/")
    every: set[str] = set()
    with suppress(MinimizeError, OSError):
        for job in _pipelines(name, house):
            with suppress(MinimizeError, OSError):
                every |= {column.name for column in columns_of(plan_for(job), output or RECORDS)}
    return {each: did_you_mean(each, every) for each in columns if each not in every} if every else {}


def _pipelines(name: str, house: House) -> Iterator[Pipeline]:
    """The pipelines of a name that are found."""
    from minimize.ledger.runs import places

    job = house.job
    if job is not None and job.pipeline == name:
        yield job
        return
    with house.opened() as ledger:
        found = [each for each in ledger.read(places) if each.pipeline == name and each.is_here]
    for each in found:
        folder = output_at(each.folder)
        chain = receipts(folder)
        if chain:
            yield pipeline_behind(folder, chain[-1], None)
