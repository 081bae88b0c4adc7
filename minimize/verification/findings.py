"""Findings of verification, by stable code."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from minimize.errors import Finding, Severity

CODES: Final = MappingProxyType(
    {
        "V001": "a receipt is missing or cannot be read, or no output stands here",
        "V002": "the sequence of receipts has a gap or a double",
        "V003": "a receipt does not carry the digest of the one before",
        "V004": "a receipt is not signed by a known key",
        "V005": "a receipt does not balance",
        "V006": "receipts contradict each other about files",
        "V007": "a run folder without a receipt: a publication that was not finished",
        "V008": "the end of the chain is not anchored: receipts that were cut off its end are not missed",
        "V009": "the ledger tells of another end of the chain: receipts were cut off, or the ledger is not the output's",
        "V010": "a policy, pipeline or other file beside a receipt is missing, or is not the one that the receipt names",
        "V011": "a file of the set in force is missing",
        "V012": "a file has another digest than its receipt says",
        "V013": "a file has another number of rows than its receipt says",
        "V014": "a file is there that no receipt put in force",
        "V015": "a partition has no _SUCCESS",
        "V016": "a file stands in a place that its receipt cannot have meant",
        "V017": "a file cannot be read as Parquet",
        "V018": "an index does not hold what its file of records holds",
        "V019": "indexes or sketches could not be opened, as only the keyring opens them",
        "V020": "a column that the policy does not declare",
        "V021": "a column that the policy drops",
        "V022": "a column that the policy keeps is missing",
        "V023": "a column has another type than its technique gives",
        "V024": "a column's metadata does not say what the policy says",
        "V025": "a category is lower than its columns require",
        "V030": "values do not have the form that the technique gives",
        "V031": "values are there that a condition does not allow",
        "V032": "counts of a field in the receipt contradict the technique or the file",
        "V033": "rare values are shown",
        "V034": "a hierarchy is missing, so that its labels could not be checked",
        "V035": "rows are shown that were past their retention when they were written",
        "V036": "values are shown that were past the retention of their feature when they were written",
        "V037": "rows are shown whose event time was too far in the future when they were written",
        "V038": "a tenant or a subject is shown that is not in its canonical form",
        "V040": "the columns of an aggregate are not those of its definition",
        "V041": "a group of fewer subjects than allowed is shown",
        "V042": "counts are not rounded as the aggregate says",
        "V043": "an aggregate shows its subjects or a field that is dropped",
        "V044": "an aggregate shows one group twice",
        "V045": "a statistic lies outside what its values allow",
        "V046": "groups are shown that were past the aggregate's retention when they were written",
        "V050": "a quarantine file has other columns than the six",
        "V051": "a quarantine file says something else than codes and pointers",
        "V052": "a quarantine file and its receipt count differently",
        "V060": "a file is not encrypted as its receipt or its pipeline says",
        "V061": "encrypted columns were not checked, as there are no keys for them",
        "V062": "encrypted columns could not be opened with this keyring",
        "V063": "a receipt names another ledger than the one before, and does not adopt it",
        "V064": "a receipt that only records a decision changes files or counts rows",
        "V065": "a receipt of what a third party sent does not say that consents were asked, or lacks the manifest",
        "V066": "what a third party sent is kept in a form that its manifest does not have",
        "V070": "receipts before the one that was named, and the content of their files, were not checked",
        "V071": "sketches do not open as those of their aggregate and date",
    }
)
_WARNINGS: Final = frozenset({"V007", "V008", "V019", "V038", "V061", "V070"})


def new_finding(
    code: str, message: str, *, file: str | None = None, field: str | None = None, hint: str = ""
) -> Finding:
    """A finding with the severity of its code."""
    severity: Severity = "warning" if code in _WARNINGS else "error"
    return Finding(code, message, severity, hint, file, None, field)
