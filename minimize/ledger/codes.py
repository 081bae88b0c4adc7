"""Stable codes of the findings of an audit log check."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from minimize.errors import Finding, Severity

CODES: Final = MappingProxyType(
    {
        "H001": "an entry of the audit log is not what its digest says",
        "H002": "the numbers of the audit log have a gap or a double",
        "H003": "an entry of the audit log does not carry the digest of the one before",
        "H004": "an entry of the audit log is not signed by a known key",
        "H005": "what an entry of the audit log is searched by is not what its event says",
        "H006": "the audit log ends before an entry that a receipt or a kept head names: cut short, or an older copy",
        "H007": "the audit log tells something else than a receipt or a kept head",
        "H008": "a receipt is not told of in the audit log: its run was stopped before, or the log was cut right there",
        "H009": "nothing outside the audit log names its head: it is vouched for as far as it goes, and its end is not",
        "H010": "a receipt cannot be read, or is not signed by a known key, so that it says nothing about the audit log",
        "H011": "a receipt names no head of the audit log",
        "H012": "a receipt names an entry of an earlier audit log, and this one took it over by name",
        "H013": "a checkpoint of the audit log is not signed by a known key",
        "H014": "a receipt or a kept head names an entry that is gone, after its year, below a checkpoint",
        "H015": "a checkpoint of the audit log took entries before their year was over",
        "H016": "the audit log does not tell of the checkpoint that it goes on from",
        "H017": "the settings that the ledger has are not those that the audit log tells of",
    }
)
_WARNINGS: Final = frozenset({"H008", "H009", "H011", "H012", "H014"})


def audit_finding(code: str, message: str, *, file: str | None = None, hint: str = "") -> Finding:
    """A finding with the severity of its code."""
    severity: Severity = "warning" if code in _WARNINGS else "error"
    return Finding(code, message, severity, hint, file)
