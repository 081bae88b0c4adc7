"""Rejection of records whose tenant has no region (`no_region`), in a run for one region."""

from __future__ import annotations

from dataclasses import dataclass

from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.policy.pipeline import Pipeline
from minimize.records import Chunk
from minimize.settings.tenants import OutputRegion
from minimize.sources.base import Source
from minimize.sources.files import CheckedSource, reject_records


def reject_without_region(source: Source, job: Pipeline) -> Source:
    """A source whose records are rejected if their tenant has no region. Without a region, the pipeline rejects none."""
    policy = job.policy
    if job.region is None or policy.tenant is None:
        return source
    check = RegionCheck(job.region, policy.fields[policy.tenant].pointer, policy.folding.tenant)
    return CheckedSource(source, check, (policy.tenant,))


@dataclass(frozen=True, slots=True)
class RegionCheck:
    """The regions of tenants, the place of the tenant, and whether case is ignored."""

    region: OutputRegion
    tenant: Pointer
    fold: bool

    def __call__(self, chunk: Chunk) -> Chunk:
        """The chunk with the records of tenants without a region moved to its rejects."""
        assigned = self.region.assigned_mask(leaf(chunk.records, self.tenant).values, fold=self.fold)
        return reject_records(chunk, ~assigned, str(self.tenant), "no_region")
