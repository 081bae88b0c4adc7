"""Faults of settings that somebody wants to record."""

from __future__ import annotations

from collections.abc import Sequence

from minimize.counts import counted
from minimize.errors import Finding, PolicyError


def nameless(message: str = "a setting has a tenant and a name", hint: str = "") -> PolicyError:
    """A setting without tenant or name, or of a subject without one."""
    return _refused("C003", message, hint)


def unknown(message: str, hint: str, file: str | None = None) -> PolicyError:
    """A word that nobody knows: it would be a setting that changes nothing."""
    return _refused("C008", message, hint, file)


def ahead(lines: Sequence[int], file: str | None) -> PolicyError:
    """Rows that are recorded in the future."""
    what, hint = "a row that is recorded in the future", "`valid_from` may lie ahead, `recorded_at` may not"
    findings = [Finding("C009", what, hint=hint, file=file, line=line) for line in lines]
    return PolicyError(f"{counted(len(lines), 'row')} recorded in the future", findings=findings)


def _refused(code: str, message: str, hint: str, file: str | None = None) -> PolicyError:
    return PolicyError(message, hint=hint, findings=[Finding(code, message, hint=hint, file=file)])
