"""OpenLineage events out of receipts: what a run told when it began and ended, for those who did not listen then."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from minimize.errors import ConfigurationError, OutputError
from minimize.exchange.base import Asked
from minimize.io import declared_schema
from minimize.io.find import split
from minimize.io.history import RUNS, has_runs, receipts
from minimize.job.origin import pipeline_behind, place_of
from minimize.observability.events import About, completed, started
from minimize.plan import request
from minimize.plan.bind import examine
from minimize.policy.faults import Faults
from minimize.policy.pipeline import Pipeline
from minimize.policy.pipelines import PipelineReader
from minimize.policy.policies import policy_of
from minimize.policy.yaml import Node, parse
from minimize.receipt import Receipt, sha256_text
from minimize.stores import Place, fetched, where

_RUNS: Final = ("run", "replay")


def write(asked: Asked) -> str:
    """The events of all runs of an output, one a line. Raises ConfigurationError, OutputError."""
    output = where(asked.path)
    if not has_runs(output):
        raise ConfigurationError(
            "this is no output folder", hint="lineage is told from receipts: name what a run wrote"
        )
    made = [receipt for receipt in receipts(output) if is_run(receipt)]
    events = [event for receipt in made for event in events_of(output, receipt, asked.pipeline)]
    return "".join(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n" for event in events)


def is_run(receipt: Receipt) -> bool:
    """Whether it tells of what was made from a source; expiries, deletions and the like change what stands."""
    return receipt.kind in _RUNS or (receipt.kind == "retract" and receipt.from_ == "source")


def events_of(output: Place, receipt: Receipt, pipeline: str | None = None) -> Iterator[dict[str, Any]]:
    """START and COMPLETE of one run, as it told them, under the policy that stands beside its receipt.

    Takes where its pipeline lies, if the output does not tell.
    """
    about = _about(output, receipt, pipeline)
    yield started(about, receipt.started)
    yield completed(about, receipt)


def _about(output: Place, receipt: Receipt, pipeline: str | None) -> About:
    job = _job(output, receipt)
    source = declared_schema(request(job.policy, job.purpose, job))
    plan = examine(job.policy, source, purpose=job.purpose, pipeline=job).plan
    namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or "minimize"
    root = _root(output, receipt, pipeline)
    return About(receipt.run_id, receipt.kind, receipt.engine, job, output, namespace, plan, receipt.dates, root)


def _root(output: Place, receipt: Receipt, pipeline: str | None) -> Place:
    """The folder that the input lay in. Raises ConfigurationError where that is not known."""
    given = place_of(output, None if receipt.origin is None else receipt.origin.input)
    if given is not None:
        return split(str(given), Path.cwd())[0]
    today = pipeline_behind(output, receipt, pipeline)
    return split(today.source.path, today.folder)[0]


def _job(output: Place, receipt: Receipt) -> Pipeline:
    """The pipeline as it was, from the files beside the receipt. Raises OutputError where they are not those that it tells."""
    with fetched(output / RUNS / receipt.run_id) as folder:
        faults = Faults()
        texts = {name: _checked(folder / name, digest) for name, digest in _digests(receipt).items()}
        root, pipeline = _node(texts["policy.yaml"], faults), _node(texts["pipeline.yaml"], faults)
        house = (receipt.purpose,)
        policy, scope = policy_of(root, folder, faults, house, {"digest": receipt.policy.digest})
        given = {"path": folder / "pipeline.yaml", "digest": receipt.files["pipeline.yaml"], "demanded": "none"}
        found = None if policy is None else PipelineReader.over(policy, scope, faults, house)(pipeline, given)
    if found is None or faults.found:
        raise OutputError(f"the policy of {receipt.run_id} cannot be read", findings=faults.found)
    return found


def _digests(receipt: Receipt) -> dict[str, str]:
    names = {name: receipt.files.get(name, "") for name in ("policy.yaml", "pipeline.yaml")}
    return names | {"policy.yaml": receipt.policy.digest}


def _checked(path: Path, digest: str) -> bytes:
    content = path.read_bytes() if path.is_file() else b""
    if sha256_text(content) != digest:
        hint = "`minimize verify` checks all files"
        raise OutputError(f"{path.parent.name}/{path.name} is not what its receipt tells", hint=hint)
    return content


def _node(content: bytes, faults: Faults) -> Node:
    return parse(content.decode("utf-8-sig"), faults) or Node({}, 1)
