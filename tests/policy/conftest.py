from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from minimize.errors import Finding, PolicyError
from minimize.policy.load import load_pipeline, load_policy
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline

HEAD = "policy: p\nversion: 1\npurposes: [operations, customer_support]\n"
PIPELINE = (
    "pipeline: p\npolicy: policy.yaml\npurpose: operations\n"
    "source: {path: '{date}/x.ndjson', format: ndjson}\noutput: out\n"
)
FIELDS = """\
tenant: tenant_id
subject: device_id
time: event_time
retention: 30d
fields:
  tenant_id: {type: string, do: keep}
  device_id: {type: string, role: identifier}
  event_time: {type: timestamp, do: keep}
  os: {type: string, do: keep}
  battery: {type: double, do: {round: {to: 10}}, in_aggregates: {clip: {min: 0, max: 100}}}
  storage: {type: integer, do: keep}
"""


def indented(text: str) -> str:
    return dedent(text).strip("\n") + "\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file below the test's folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def policy_in(write: Callable[[str, str], Path]) -> Callable[[str], Policy]:
    """Loads a policy of which only what comes after the head is given."""
    return lambda text: load_policy(write("policy.yaml", HEAD + indented(text)))


@pytest.fixture
def faults_in(write: Callable[[str, str], Path]) -> Callable[[str], list[Finding]]:
    """The faults of a policy of which only what comes after the head (three lines) is given."""

    def faults_in(text: str) -> list[Finding]:
        with pytest.raises(PolicyError) as caught:
            load_policy(write("policy.yaml", HEAD + indented(text)))
        return list(caught.value.findings)

    return faults_in


@pytest.fixture
def pipeline_in(write: Callable[[str, str], Path]) -> Callable[..., Pipeline]:
    """Loads a pipeline of which only what comes after the head is given, over a small policy."""

    def pipeline_in(text: str, fields: str = FIELDS) -> Pipeline:
        write("policy.yaml", HEAD + fields)
        return load_pipeline(write("pipeline.yaml", PIPELINE + indented(text)))

    return pipeline_in


@pytest.fixture
def pipeline_faults_in(write: Callable[[str, str], Path]) -> Callable[..., list[Finding]]:
    """The faults of a pipeline of which only what comes after the head (five lines) is given."""

    def pipeline_faults_in(text: str, fields: str = FIELDS) -> list[Finding]:
        write("policy.yaml", HEAD + fields)
        with pytest.raises(PolicyError) as caught:
            load_pipeline(write("pipeline.yaml", PIPELINE + indented(text)))
        return list(caught.value.findings)

    return pipeline_faults_in
