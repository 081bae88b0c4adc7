"""Codes of errors that the data access service sends to a client. All of them begin with `B`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "B001": "no token, or none that opens the door: forged, expired, revoked, or spent",
        "B002": "a request that is not understood",
        "B003": "no dataset of that name that is open to whoever asks",
        "B004": "a column that is not there, or a filter on what is not open",
        "B005": "roles and grants do not let it through",
        "B006": "files were replaced while they were read, and cannot be kept open here",
        "B007": "what let the read through holds no longer: a grant or token was revoked or ran out, or roles changed",
        "B008": "too many read at once",
        "B009": "the door cannot answer; its log says why",
        "B010": "the door is not there, or went away",
        "B011": "a column that was made with two keys or key versions, whose values do not join",
    }
)
