"""Pipelines bound to a region: a run writes the rows of the region's tenants below the region's root, and no others."""

from __future__ import annotations

from collections.abc import Mapping

from minimize.config import load_config
from minimize.errors import ConfigurationError
from minimize.policy.pipeline import Pipeline
from minimize.settings.regions import OutputRegion, load_regions
from minimize.text import did_you_mean


def pipeline_regions(job: Pipeline) -> Mapping[str, OutputRegion]:
    """The regions of the configuration of a pipeline, by name; empty if it has none. Raises ConfigurationError, PolicyError."""
    return load_regions(load_config(job.folder))


def bind_region(job: Pipeline, name: str | None) -> Pipeline:
    """The pipeline, bound to a region if one is named. Raises ConfigurationError for a region that is not configured."""
    if name is None:
        return job
    regions = pipeline_regions(job)
    if name not in regions:
        hint = did_you_mean(name, regions) if regions else "Write `regions: {NAME: FOLDER}` in minimize.yaml."
        raise ConfigurationError(f"the region {name} is not configured", hint=hint)
    return job.model_copy(update={"region": regions[name]})


def check_region(job: Pipeline) -> None:
    """Raises ConfigurationError if regions are configured and a run is for none of them, or records have no tenant."""
    regions = pipeline_regions(job)
    if job.region is None and regions:
        hint = f"Run `minimize run PIPELINE --region REGION`. The regions are {', '.join(regions)}."
        raise ConfigurationError("regions are configured, and this run is for none of them", hint=hint)
    if job.region is not None and job.policy.tenant is None:
        hint = "Add `tenant: FIELD` to the policy."
        raise ConfigurationError("the policy names no tenant, so the region of a record is not known", hint=hint)
