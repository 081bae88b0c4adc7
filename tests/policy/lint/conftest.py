from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from minimize.errors import Finding
from minimize.linting import lint
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline


@pytest.fixture
def lint_of(policy_in: Callable[[str], Policy]) -> Callable[..., list[Finding]]:
    """What lint says about a policy of which only what comes after the head is given."""
    return lambda text, **known: lint(policy_in(text), **known)


@pytest.fixture
def pipeline_lint_of(pipeline_in: Callable[..., Pipeline]) -> Callable[..., list[Finding]]:
    """What lint says about a pipeline of which only what comes after the head is given."""

    def pipeline_lint_of(text: str, *fields: str, **known: Any) -> list[Finding]:
        return lint(pipeline_in(text, *fields), **known)

    return pipeline_lint_of
