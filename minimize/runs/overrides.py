"""Permission to replace the input, the settings or the output that a pipeline names, or the pipeline of an output.

With settings of their own, a caller could publish what a tenant turned off, with another input records that nobody collected,
and with another pipeline fields that the policy of the output drops. So `run/override` is required if access rules are in force.
Its part `run/override_elsewhere` is enough for an output that is no pipeline's own, for example to try a pipeline.

The functions of commands ask for it. `minimize.run` in Python asks nobody, as `minimize.read` does: its caller has the keyring
and the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Final

from minimize.datasets.pipelines import (
    LEDGER_SETTINGS,
    bind_region,
    find_pipeline,
    is_made_by,
    output_config,
    pipeline_regions,
)
from minimize.datasets.reader import load_receipts
from minimize.errors import LedgerError, RefusedError
from minimize.ledger import find_ledger
from minimize.ledger.kinds import ACCESS_ADOPTION
from minimize.ledger.runs import was_published_by_rules
from minimize.output.folder import has_runs, identity_of
from minimize.policy.pipeline import Pipeline
from minimize.runs.resolve import PLAIN_REQUEST, RunRequest
from minimize.stores import Location, PathText, is_same_location, is_uri, is_within, parse_output_location
from minimize.workspace import Workspace

OVERRIDE: Final = "run/override"
OVERRIDE_ELSEWHERE: Final = "run/override_elsewhere"


def require_override(workspace: Workspace, request: RunRequest, *, writes: bool = True) -> None:
    """Checks the permission of the current actor for the places that replace those of a pipeline, if any does.

    A place that the pipeline names itself replaces nothing, unless its output was made by another pipeline. The rules are those
    of the pipeline. If the output exists, its own rules count as well. A command that writes no output (`writes`) needs the
    permission for another output.
    Raises AccessDenied, and the errors of `Workspace.require`.
    """
    job, target = workspace.job, workspace.target
    own_outputs = [*_own_outputs(job)]
    is_elsewhere = not any(is_within(target, each) or is_within(each, target) for each in own_outputs)
    is_other = not any(is_same_location(target, each) for each in own_outputs)
    is_made_by_other = not is_made_by(target, job)
    if not (is_made_by_other or is_other or request.input) and _are_own_settings(job, request.settings):
        return
    permission = OVERRIDE_ELSEWHERE if not writes or (is_elsewhere and not is_made_by_other) else OVERRIDE
    if has_runs(target):
        ruling = replace(workspace, output=target, pipeline=job, region=None, shown=(target,))
    else:
        ledger, ledgers = _ledger_beside_own(workspace), workspace.ledgers
        ruling = Workspace(ledger, None, job, workspace.keys, clock=workspace.clock, ledgers=ledgers)
    ruling.require(permission, dataset=job.pipeline)
    if has_runs(target) and is_made_by_other:
        _refuse_unknown_rules(ruling, target)


def _refuse_unknown_rules(workspace: Workspace, target: Location) -> None:
    """Raises RefusedError (R010) if access rules were in force for an output, and its configuration and ledger do not have them.

    This is the case if the whole configuration was moved. The rules next to a copy of the pipeline cannot replace them.
    """
    output = identity_of(target)
    if output is None or output_config(target).path is not None or not workspace.address.exists:
        return
    with workspace.open_ledger() as ledger:
        if ledger.last_id(ACCESS_ADOPTION) or not ledger.read(partial(was_published_by_rules, output=output)):
            return
    raise RefusedError(
        "access rules were in force for this output, and no configuration is at the path of its pipeline in the last receipt",
        code="R010",
        hint="Move the pipeline back, or leave a link to the new folder at that path.",
    )


def require_output_override(workspace: Workspace, request: RunRequest = PLAIN_REQUEST) -> None:
    """Checks the same for a change of an output. The pipeline of the workspace, if it has one, replaces that of the receipts."""
    has_own_source = request.input is None and request.settings is None
    if has_own_source and workspace.pipeline is None:
        return
    for last in workspace.load_receipts()[-1:]:
        job = find_pipeline(workspace.target, last, workspace.pipeline)
        if not (has_own_source and is_made_by(workspace.target, job)):
            require_override(workspace.with_pipeline(job), request)


def require_share_override(pipeline: Pipeline | None, settings: Any, workspace: Workspace) -> None:
    """Checks `run/override` for sharing records under other settings than those that a pipeline names.

    Without a pipeline, the settings of the pipelines that made the shown outputs are not applied. The rules are those of the
    workspace. Raises the errors of `Workspace.require`.
    """
    if pipeline is not None:
        replaced = [] if _are_own_settings(pipeline, settings) else [pipeline.pipeline]
    else:
        chains = (load_receipts(parse_output_location(output)) for output in workspace.shown)
        last = (receipt for chain in chains for receipt in chain[-1:])
        replaced = [each.pipeline for each in last if each.origin is None or each.origin.settings is not None]
    for name in replaced:
        workspace.require(OVERRIDE, dataset=name)


def _own_outputs(job: Pipeline) -> Iterator[Location]:
    """The outputs that a pipeline names: one, or one for each region."""
    yield job.target()
    yield from (bind_region(job, name).target() for name in pipeline_regions(job))


def _are_own_settings(job: Pipeline, settings: Any) -> bool:
    """Whether settings are those that the pipeline names."""
    if settings is None:
        return True
    if job.settings is None or not isinstance(settings, str | PathLike):
        return False
    requested, named = str(settings), str(job.settings)
    if LEDGER_SETTINGS in (requested, named) or is_uri(requested) or is_uri(named):
        return requested == named
    return Path(requested).resolve() == (job.folder / named).resolve()


def _ledger_beside_own(workspace: Workspace) -> PathText | None:
    """None if the pipeline has a ledger, whose adopted rules count; otherwise the ledger that was passed."""
    try:
        find_ledger(start=workspace.config, output=workspace.job.target())
    except LedgerError:
        return workspace.ledger
    return None
