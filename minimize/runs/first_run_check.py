"""Erasures that the ledger of a first run must have: those of other outputs of the same source.

The receipts of an output name its ledger. A new output has none, so the other outputs in the tree of `minimize.yaml` show whether
subjects were erased and in which ledger.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from minimize.config import tree_root
from minimize.datasets.erasure_list import erasure_list_digest
from minimize.datasets.ledger_check import has_erasures, last_receipt_with_ledger, ledger_disagreement
from minimize.datasets.pipelines import bind_region, recorded_pipeline_file, stated_output
from minimize.errors import LedgerError, MinimizeError, RefusedError
from minimize.keys import Keyring, Verifier
from minimize.ledger import Address, find_ledger
from minimize.ledger.database import DEFAULT_LEDGER
from minimize.ledger.ledger import open_ledger
from minimize.ledger.runs import output_locations
from minimize.output.folder import has_runs, read_receipts
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt
from minimize.records import PIPELINE_FILE, RECEIPT_FILE, RUNS
from minimize.sources.file_discovery import find_files, resolve_links
from minimize.stores import Location, is_same_location, local_path, location_text, parse_output_location
from minimize.stores.path_patterns import split_pattern
from minimize.workspace import Workspace

UNKNOWN_ERASURES: Final = "E312"
log = logging.getLogger("minimize")


def check_erasures_known(workspace: Workspace) -> None:
    """For the first run into an output: checks that its ledger has the erasures of the other outputs of the same source.

    These are the pipeline's own output, its former outputs (of an earlier `output:`), and those of other pipelines unless their
    own configuration names this ledger. Raises RefusedError (E312) if one of them has erasures and names another ledger, because
    the run would publish erased records. Logs a warning (W055) if it is unknown whether there are erasures: the pipeline's own
    output has runs or a ledger and the run is into another one, or a former output has another ledger. Another
    keyring does not recognize erased subjects, so a former output that it did not sign only leads to the warning (see "Lost
    keyring" in ledger.md).
    """
    job, output = workspace.job, workspace.target
    if has_runs(output):
        return
    address, own_output = workspace.address, job.target()
    _warn_of_lost_output(address, output)
    is_own = is_same_location(own_output, output)
    unknown = (
        [own_output] if not is_own and address.named_by == DEFAULT_LEDGER and _has_history(job, own_output) else []
    )
    files = _pipeline_files(job)
    keyring = workspace.keyring_or_none
    for other_output in _former_outputs(job, files):
        chain = _chain(other_output)
        if (is_same_location(own_output, other_output) and is_own) or not _lacks_head(
            address, other_output, chain, keyring
        ):
            continue
        is_recognized = is_same_location(own_output, other_output) or keyring is None or chain[-1].is_signed_by(keyring)
        if is_recognized and _shows_erasures(other_output, chain):
            raise _unknown_erasures_error(address, job, other_output, chain, keyring)
        unknown.append(other_output)
    for pipeline in _other_pipelines(job, files):
        other_output = pipeline.target()
        chain = _chain(other_output)
        if (
            _shows_erasures(other_output, chain)
            and not address.is_same(_configured_ledger(pipeline, other_output))
            and _lacks_head(address, other_output, chain, keyring)
            and reads_same_source(job, pipeline)
        ):
            raise _unknown_erasures_error(address, pipeline, other_output, chain, keyring)
    if unknown:
        log.warning(
            "erasures are unknown, so records of erased subjects are not recognized: the ledger %s has no history of the"
            " output %s of this pipeline; pass the ledger of that output%s, or name one ledger for all outputs in minimize.yaml",
            address,
            location_text(unknown[0]),
            _ledger_example(address, job, unknown[0], _chain(unknown[0]), keyring),
            extra={"code": "W055"},
        )


def _warn_of_lost_output(address: Address, output: Location) -> None:
    """Logs a warning (W061) if the ledger has another output in the folder: perhaps its disk is not mounted."""
    if not address.exists:
        return
    with suppress(LedgerError), open_ledger(address) as ledger:
        indexed = [parse_output_location(each.folder) for each in ledger.read(output_locations) if each.is_reachable]
        if any(is_same_location(each, output) for each in indexed):
            log.warning(
                "the ledger has another output in %s, which is empty now: if its disk is only not mounted, mount it before"
                " the run; requests of subjects do not wait for an output that a new one replaced",
                location_text(output),
                extra={"code": "W061"},
            )


def _has_history(job: Pipeline, output: Location) -> bool:
    """Whether an output has runs or a ledger."""
    ledger = _configured_ledger(job, output)
    return has_runs(output) or (ledger is not None and ledger.exists)


def reads_same_source(job: Pipeline, other_job: Pipeline) -> bool:
    """Whether two pipelines have the same source path or a file in common, also through symbolic links."""
    first, second = (split_pattern(each.source.path, each.folder) for each in (job, other_job))
    if first[1] == second[1] and resolve_links(first[0]) == resolve_links(second[0]):
        return True
    return not _source_files(job).isdisjoint(_source_files(other_job))


def _source_files(job: Pipeline) -> set[Location]:
    source_files = find_files(job.source.path, job.folder)
    return {resolve_links(path) for files in source_files.files.values() for path in files}


def _pipeline_files(job: Pipeline) -> list[Path]:
    """The pipeline files below the folder of `minimize.yaml`, or of the outermost one, with the copies that runs keep.

    Without a `minimize.yaml`, those below the folder of the pipeline.
    """
    return sorted(tree_root(job.folder).rglob(PIPELINE_FILE))


def _other_pipelines(job: Pipeline, files: Sequence[Path]) -> Iterator[Pipeline]:
    """The other pipelines with an output among these files, in the same region. Pipelines with faults are left out."""
    own_path = None if job.path is None else job.path.resolve()
    for path in files:
        with suppress(MinimizeError):
            # a receipt keeps a copy of its pipeline
            if path.resolve() == own_path or path.with_name(RECEIPT_FILE).exists():
                continue
            output = stated_output(path) if job.region is None else None
            if job.region is None and (output is None or not has_runs(output)):
                continue
            yield bind_region(load_pipeline(path), None if job.region is None else job.region.name)


def _former_outputs(job: Pipeline, files: Sequence[Path]) -> Iterator[Location]:
    """The outputs that this pipeline made, as their receipts state: its own one, those in the tree, and those next to its own.

    The copies of the pipeline that runs keep show the outputs in the tree.
    """
    own_output, beside = job.target(), list[Path]()
    place = local_path(own_output)
    if place is not None:
        with suppress(OSError):
            beside = sorted(place.parent.iterdir())
    kept = [path.parents[2] for path in files if path.parents[1].name == RUNS and path.with_name(RECEIPT_FILE).exists()]
    outputs = {location_text(each): each for each in (own_output, *(path.resolve() for path in (*kept, *beside)))}
    for output in outputs.values():
        if is_same_location(own_output, output) or _is_former(job, output):
            yield output


def _is_former(job: Pipeline, output: Location) -> bool:
    """Whether this pipeline made an output, for no other region. If the recorded pipeline file is missing, its name decides."""
    for last in _chain(output)[-1:]:
        if job.region is not None and last.region is not None and last.region.name != job.region.name:
            return False
        file = recorded_pipeline_file(output, last)
        if file is not None and job.path is not None:
            return file.samefile(job.path)
        return last.pipeline == job.pipeline
    return False


def _configured_ledger(job: Pipeline, output: Location) -> Address | None:
    """The ledger that the configuration of a pipeline gives for an output; None if there is none."""
    with suppress(LedgerError):
        return find_ledger(None, start=job.config, output=output, environ={})
    return None


def _unknown_erasures_error(
    address: Address, job: Pipeline, output: Location, chain: Sequence[Receipt], keyring: Keyring | None
) -> RefusedError:
    """The error for a ledger without the erasures of a pipeline's output. Its hint names the output's ledger if it is known."""
    example = _ledger_example(address, job, output, chain, keyring)
    return RefusedError(
        f"subjects were erased from {location_text(output)}, which has the same source, and its ledger is not"
        f" {address} ({address.named_by}): this run would publish their records",
        code=UNKNOWN_ERASURES,
        hint=f"Pass the ledger of that output{example}, or name one ledger for all outputs: `ledger:` in minimize.yaml. If"
        " its keyring is lost, see docs/guide/ledger.md, Lost keyring.",
    )


def _ledger_example(
    address: Address, job: Pipeline, output: Location, chain: Sequence[Receipt], keyring: Keyring | None
) -> str:
    """The option that names the ledger of an output, for a message; empty if it is not known."""
    right = _configured_ledger(job, output)
    is_known = right is not None and not address.is_same(right) and not _lacks_head(right, output, chain, keyring)
    return f", such as `--ledger {right}`" if is_known else ""


def _chain(output: Location) -> Sequence[Receipt]:
    """The receipts of an output; none if they cannot be read."""
    try:
        return read_receipts(output) if has_runs(output) else ()
    except (MinimizeError, OSError):
        return ()


def _shows_erasures(output: Location, chain: Sequence[Receipt]) -> bool:
    """Whether receipts of an output, or a list stored with it, show that subjects were erased or restricted."""
    return has_erasures(chain) or (bool(chain) and erasure_list_digest(output) is not None)


def _lacks_head(address: Address, output: Location, chain: Sequence[Receipt], verifier: Verifier | None) -> bool:
    """Whether the ledger at an address is not the one that the receipts of an output name."""
    if not chain:
        return False
    if last_receipt_with_ledger(chain) is None:
        return _shows_erasures(output, chain)
    if not address.exists:
        return True
    with open_ledger(address, verifier=verifier) as ledger:
        return bool(ledger_disagreement(ledger, chain))
