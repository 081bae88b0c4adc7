"""What may be wrong or risky in the file of a third party, by stable codes; a letter of their own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "T001": "an agent without an entry on the list of subprocessors",
        "T002": "an independent with an entry on the list of subprocessors",
        "T003": "something passes through that is no secret",
        "T004": "a technique for what is shared that must see everything first",
        "T005": "a contract or an entry that ends before it begins",
        "T006": "a recipient in a file of another name",
        "T007": "a function about an aggregate that comes in, may be more than aggregated, or passes secrets",
        "T008": "a list of values for a secret, or for a field that does not leave as text",
        "T010": "a recipient without a contract, or with one that permits no transmission: nothing goes to it",
        "T011": "a contract that is not in force",
        "T012": "a field that goes out, and that the contract does not permit",
        "T013": "a contract that permits a field which no function sends",
        "T014": "a contract that says nothing of how long the recipient keeps what it got",
        "T015": "an agent that is not on the list of subprocessors",
        "T016": "two entries of one name on the list of subprocessors whose days overlap",
        "T020": "an identifier that leaves as it is, or so that it can be guessed",
        "T021": "free text that leaves as it is",
        "T022": "a function without a text that tenants could agree to",
        "T023": "a field of which nobody says what it is for",
        "T024": "an example that is not of its field's type, or none of its values",
    }
)
