"""Lint errors before a run: what `lint` calls an error of a pipeline is refused, unless the caller allows the code.

The policy, the pipeline and the configuration are checked, without the source and the settings: a run checks these itself.
"""

from __future__ import annotations

from collections.abc import Collection

from minimize.errors import ConfigurationError, RefusedError
from minimize.linting import ALLOWABLE_CODES, LINT_RULES, lint
from minimize.policy.pipeline import Pipeline
from minimize.text import did_you_mean


def check_allowed_codes(codes: Collection[str]) -> frozenset[str]:
    """The codes as a set. Raises ConfigurationError for any that is not the code of an error that lint finds in a pipeline."""
    if isinstance(codes, str):
        raise ConfigurationError("`allow` must be a list of codes", hint=f'Write allow=["{ALLOWABLE_CODES[0]}"].')
    for code in codes:
        if code not in ALLOWABLE_CODES:
            known = code in LINT_RULES
            message = (
                f"{code} is not an error that a run can allow" if known else f"unknown code of a lint error: {code}"
            )
            hint = "" if known else did_you_mean(code, ALLOWABLE_CODES)
            raise ConfigurationError(message, hint=hint or f"Use one of: {', '.join(ALLOWABLE_CODES)}.")
    return frozenset(codes)


def check_lint_errors(job: Pipeline, allowed: Collection[str]) -> tuple[str, ...]:
    """The allowed codes of the errors that lint finds in a pipeline. Raises RefusedError (R022) with all other errors."""
    errors = [each for each in lint(job) if each.severity == "error" and each.code in ALLOWABLE_CODES]
    refused = [each for each in errors if each.code not in allowed]
    if refused:
        codes = sorted({each.code for each in refused})
        options = " ".join(f"--allow {code}" for code in codes)
        raise RefusedError(
            "lint finds errors in the pipeline; nothing was read",
            code="R022",
            findings=refused,
            hint=f"Correct them, or pass {options} (allow={codes}), which receipt, report and audit log name.",
        )
    return tuple(sorted({each.code for each in errors}))
