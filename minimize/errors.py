"""Everything that can be refused or found wrong, as one tree.

    MinimizeError                    code, message, hint, findings; exit code
    ├── CheckFailed             1    a check failed
    │   └── VerificationError        an output does not obey its receipts and policies
    ├── ConfigurationError      2    usage or configuration
    │   ├── PolicyError              faults in policy, pipeline or settings files, all at once
    │   ├── SchemaError              policy and data disagree; the diff is in the findings
    │   ├── SourceError              input that cannot be read (a damaged file)
    │   ├── KeyringError             a keyring that is missing, open to others or lacks a key
    │   └── OutputError              an output folder that cannot be used
    ├── RefusedError            3    refused by policy, consent or grant
    └── StoppedError            4    quarantine above `stop_above`; nothing was published

A message names file, field, rule, count and a hint; it never carries a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault or risky choice: a stable code, where it stands, and what to do about it."""

    code: str
    message: str
    severity: Severity = "error"
    hint: str = ""
    file: str | None = None
    line: int | None = None
    field: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The finding as the JSON object that `lint --json` and `verify --json` print."""
        return asdict(self)

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        text = f"{place + ': ' if place else ''}{self.severity} {self.code}"
        text += f" [{self.field}]" if self.field else ""
        return f"{text} {self.message}" + (f" (hint: {self.hint})" if self.hint else "")


class MinimizeError(Exception):
    """The root of all errors that the library raises on purpose."""

    exit_code: ClassVar[int] = 2
    default_code: ClassVar[str] = "E000"

    def __init__(self, message: str, *, code: str = "", hint: str = "", findings: Sequence[Finding] = ()) -> None:
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.findings: tuple[Finding, ...] = tuple(findings)
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message + (f" (hint: {self.hint})" if self.hint else "")]
        return "\n".join([*lines, *(f"  {finding}" for finding in self.findings)])

    def as_json(self) -> dict[str, Any]:
        """The error as the JSON object that `--json` prints on stderr."""
        body: dict[str, Any] = {"code": self.code, "message": self.message, "hint": self.hint}
        return {"error": {**body, "faults": [finding.as_json() for finding in self.findings]}}


class CheckFailed(MinimizeError):
    """A check was made and something did not hold."""

    exit_code = 1
    default_code = "E100"


class VerificationError(CheckFailed):
    """An output does not obey its receipts and policies; `.findings` says where."""

    default_code = "E101"


class ConfigurationError(MinimizeError):
    """What was asked cannot be done as it is written."""

    exit_code = 2
    default_code = "E200"


class PolicyError(ConfigurationError):
    """Faults in policy, pipeline or settings files; `.findings` lists all of them."""

    default_code = "E201"


class SchemaError(ConfigurationError):
    """The policy and the data disagree; `.findings` is the diff."""

    default_code = "E202"


class SourceError(ConfigurationError):
    """An input that cannot be read."""

    default_code = "E203"


class KeyringError(ConfigurationError):
    """A keyring that is missing, readable by others, or lacks a key."""

    default_code = "E204"


class OutputError(ConfigurationError):
    """An output folder that cannot be used."""

    default_code = "E205"


class RefusedError(MinimizeError):
    """Refused by policy, consent or grant."""

    exit_code = 3
    default_code = "E300"


class StoppedError(MinimizeError):
    """Quarantine above `stop_above`: nothing was published."""

    exit_code = 4
    default_code = "E400"
