"""How many distinct values came in: counted in the source, where somebody asks for it and it still is what receipts tell."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from minimize.errors import SourceError
from minimize.io import FORMATS
from minimize.io.base import Source
from minimize.job.dates import Day
from minimize.job.given import found_files, veil
from minimize.job.origin import place_of
from minimize.job.pending import digests, last_inputs
from minimize.plan import request
from minimize.plan.request import leaves_house
from minimize.pointer import Pointer
from minimize.policy.pipeline import Pipeline
from minimize.report.distinct import Tally
from minimize.report.standing import Standing


def arrived(standing: Standing, keys: Collection[str]) -> dict[str, Tally]:
    """Per field the tally of what came in, over all records that could be read, gated ones among them; nothing is kept of them.

    Raises ConfigurationError where the pipeline is not known here, SourceError where a file is not what its receipt tells.
    """
    job = standing.job
    if job is None:
        raise SourceError("the source is not known here", hint="--pipeline PIPELINE")
    known = [key for key in keys if _is_read(job, key)]
    tallies = {key: Tally(Pointer.parse(key)) for key in known}
    for source in list(_sources(standing, job)):  # all of them are looked at before one is read
        for part in source.only(known).parts:
            for chunk in part.read():
                for tally in tallies.values():
                    tally.observe(chunk.records)
    return tallies


def _is_read(job: Pipeline, key: str) -> bool:
    """Whether the policy of today reads a field from the source, and lets it leave in some form."""
    field = job.policy.fields.get(key)
    return field is not None and not field.from_ and leaves_house(field, job.purpose)


def _sources(standing: Standing, job: Pipeline) -> Iterator[Source]:
    """The source of each batch date, as its last run read it."""
    for day, before in last_inputs(standing.chain, veil(job, standing.keys)).items():
        if before:
            yield _bound(standing, job, day, before)


def _bound(standing: Standing, job: Pipeline, day: Day, before: Mapping[str, str]) -> Source:
    origin, shown = standing.newest.origin, veil(job, standing.keys)
    found = found_files(job, None if origin is None else place_of(standing.output, origin.input), day)
    files = found.files.get(day, ())
    if digests(files, found.root, shown) != before:
        raise SourceError("the source is not what the receipts tell any more")
    return FORMATS[job.source.format](files, found.root, request(job.policy, job.purpose, job), shown=shown)
