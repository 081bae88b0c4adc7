"""What an export is of: a policy alone, or a pipeline with the plan that it has."""

from __future__ import annotations

from pathlib import Path

from minimize.errors import ConfigurationError
from minimize.exchange.base import Asked
from minimize.inspection import plan_for
from minimize.plan import Plan
from minimize.plan.model import OutputPlan
from minimize.policy.faults import did_you_mean
from minimize.policy.load import load_pipeline, load_policy
from minimize.policy.model import Policy

SOURCE = "source"
_PIPELINE = "pipeline.yaml"


def policy_of(asked: Asked) -> Policy:
    """The policy: of a pipeline's folder or file, or the file itself. Raises PolicyError."""
    path = Path(asked.path)
    if path.is_dir():
        return load_pipeline(path).policy if (path / _PIPELINE).exists() else load_policy(path)
    return load_pipeline(path).policy if path.name == _PIPELINE else load_policy(path)


def has_plan(asked: Asked) -> bool:
    """Whether there is a pipeline, so that outputs can be told of."""
    path = Path(asked.path)
    return (path / _PIPELINE).exists() or path.name == _PIPELINE


def plan_of(asked: Asked) -> Plan:
    """The plan of a pipeline. Raises ConfigurationError or PolicyError where there is none, else what `run` raises at first."""
    if not has_plan(asked):
        policy_of(asked)  # what is no policy, either, is told for what it is
        hint = f"a policy alone has no outputs: say `--of {SOURCE}`"
        raise ConfigurationError("this is no pipeline", hint=hint)
    return plan_for(asked.path)


def output_of(plan: Plan, name: str) -> OutputPlan:
    """One output. Raises ConfigurationError where the pipeline has none of this name."""
    if name not in plan.outputs:
        hint = did_you_mean(name, [*plan.outputs, SOURCE])
        raise ConfigurationError("the pipeline has no output of this name", hint=hint)
    return plan.outputs[name]
