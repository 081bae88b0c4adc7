"""Errors of the data access service: stable codes (`B`), the errors, and their encoding for the client.

They hold no values, no paths and no traceback.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from minimize.errors import ConfigurationError, Finding, MinimizeError, RefusalReason, RefusedError

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


NOT_AUTHENTICATED: Final = "B001"
MALFORMED_REQUEST: Final = "B002"
UNKNOWN_DATASET: Final = "B003"
UNKNOWN_COLUMN: Final = "B004"
NOT_AUTHORIZED: Final = "B005"
OUTPUT_REPLACED: Final = "B006"
AUTHORIZATION_ENDED: Final = "B007"
TOO_MANY_READS: Final = "B008"
INTERNAL_ERROR: Final = "B009"
UNAVAILABLE: Final = "B010"
UNAVAILABLE_HINT: Final = (
    "is it up, at that host and port, and is its certificate for that name and from the CA of ca=FILE?"
)
MESSAGES: Final[Mapping[str, tuple[type[MinimizeError], str, str]]] = {
    NOT_AUTHENTICATED: (RefusedError, "the door does not know this token", "minimize access token"),
    UNKNOWN_DATASET: (RefusedError, "no dataset of that name is open", "a pipeline's name, or PIPELINE/OUTPUT"),
    OUTPUT_REPLACED: (ConfigurationError, "the dataset was replaced while it was read", "read it again"),
    AUTHORIZATION_ENDED: (
        RefusedError,
        "what let this read through holds no longer",
        "what came before this is not whole",
    ),
    TOO_MANY_READS: (ConfigurationError, "too many read at once", "try again soon"),
    INTERNAL_ERROR: (ConfigurationError, "the door cannot answer", "its log says why"),
    UNAVAILABLE: (
        ConfigurationError,
        "the door is not there, or went away",
        f"{UNAVAILABLE_HINT}; what came before this is not whole",
    ),
}


def error_for(code: str) -> MinimizeError:
    """The error of a code whose words are always the same."""
    kind, message, hint = MESSAGES[code]
    return kind(message, code=code, hint=hint)


def malformed_error(message: str) -> ConfigurationError:
    """A request that is not understood."""
    return ConfigurationError(message, code=MALFORMED_REQUEST, hint="see `Reading through the door` in the README")


def column_error(message: str) -> RefusedError:
    """A column that is not there, or not open, or not in a form that can be compared so."""
    return RefusedError(message, code=UNKNOWN_COLUMN, hint="leave `columns` out to see what is open")


def mixed_keys_error(message: str) -> ConfigurationError:
    """Columns whose values do not join."""
    return ConfigurationError(message, code="B011", hint="choose dates of one key version, or say mixed_keys=True")


def authorization_error(reasons: Sequence[RefusalReason]) -> RefusedError:
    """What the decision says against it."""
    against = [each for each in reasons if not each.code.startswith("U2")]
    findings = [Finding(each.code, str(each), hint=each.hint, field=", ".join(each.fields) or None) for each in against]
    return RefusedError("roles and grants do not let this through", code=NOT_AUTHORIZED, findings=findings)


def encode_error(error: MinimizeError) -> bytes:
    """An error as it goes to a client: ours as they are; of any other nothing but that there was one."""
    ours = error if error.code.startswith("B") else error_for(INTERNAL_ERROR)
    findings = [[each.code, each.message, each.hint, each.field] for each in ours.findings]
    kind = "refused" if isinstance(ours, RefusedError) else "error"
    body = {"code": ours.code, "message": ours.message, "hint": ours.hint, "kind": kind, "findings": findings}
    return json.dumps(body).encode()


def decode_error(body: bytes | None) -> MinimizeError:
    """The error that a server sent; where it sent none, the door is gone."""
    try:
        told = json.loads(body or b"")
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("code"), str):
        return error_for(UNAVAILABLE)
    kind = RefusedError if told.get("kind") == "refused" else ConfigurationError
    findings = [_decode_finding(each) for each in told.get("findings", [])]
    return kind(str(told.get("message")), code=told["code"], hint=str(told.get("hint")), findings=findings)


def _decode_finding(each: Sequence[Any]) -> Finding:
    code, message, hint, field = each
    return Finding(code, message, hint=hint, field=field)
