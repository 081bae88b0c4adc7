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
        "B001": "the token is missing or not valid: forged, expired, revoked or already used",
        "B002": "the request is malformed",
        "B003": "no dataset of this name is accessible to the caller",
        "B004": "a column or a filter uses a column that does not exist or is not accessible",
        "B005": "roles and grants do not permit the request",
        "B006": "files were replaced during the read and cannot be kept open on this system",
        "B007": "the authorization ended during the read: a grant or token was revoked or expired, or roles changed",
        "B008": "too many simultaneous reads",
        "B009": "internal error of the server; see its log",
        "B010": "the data server cannot be reached, or closed the connection",
        "B011": "a column was made with two keys or key versions, so its values cannot be joined",
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
    "Check that the server runs at this host and port, and that its certificate is for this name"
    " and from the CA of ca=FILE."
)
MESSAGES: Final[Mapping[str, tuple[type[MinimizeError], str, str]]] = {
    NOT_AUTHENTICATED: (
        RefusedError,
        "the data server does not accept this token",
        "Create a token with `minimize access token`.",
    ),
    UNKNOWN_DATASET: (
        RefusedError,
        "no dataset of this name is accessible to you",
        "Pass the name of a pipeline, or PIPELINE/OUTPUT.",
    ),
    OUTPUT_REPLACED: (ConfigurationError, "the dataset was replaced during the read", "Read it again."),
    AUTHORIZATION_ENDED: (
        RefusedError,
        "the authorization ended during the read",
        "Discard the rows that were received; they are incomplete.",
    ),
    TOO_MANY_READS: (ConfigurationError, "too many simultaneous reads", "Try again later."),
    INTERNAL_ERROR: (ConfigurationError, "internal error of the data server", "Check the log of the server."),
    UNAVAILABLE: (
        ConfigurationError,
        "the data server cannot be reached, or closed the connection",
        f"{UNAVAILABLE_HINT} Discard rows that were received; they are incomplete.",
    ),
}


def error_for(code: str) -> MinimizeError:
    """The error of a code with a fixed message."""
    kind, message, hint = MESSAGES[code]
    return kind(message, code=code, hint=hint)


def malformed_error(message: str) -> ConfigurationError:
    """The error for a malformed request."""
    return ConfigurationError(message, code=MALFORMED_REQUEST, hint="See docs/guide/server.md.")


def column_error(message: str) -> RefusedError:
    """The error for a column that does not exist, is not accessible, or cannot be compared in this way."""
    return RefusedError(
        message, code=UNKNOWN_COLUMN, hint="Omit `columns` to read all columns that are accessible to you."
    )


def mixed_keys_error(message: str) -> ConfigurationError:
    """The error for columns whose values cannot be joined."""
    return ConfigurationError(message, code="B011", hint="Select dates of one key version, or pass mixed_keys=True.")


def authorization_error(reasons: Sequence[RefusalReason]) -> RefusedError:
    """The error with the reasons of a decision against a request."""
    against = [each for each in reasons if not each.code.startswith("U2")]
    findings = [Finding(each.code, str(each), hint=each.hint, field=", ".join(each.fields) or None) for each in against]
    return RefusedError("roles and grants do not permit this request", code=NOT_AUTHORIZED, findings=findings)


def encode_error(error: MinimizeError) -> bytes:
    """Encodes an error for a client. Other errors than `B` codes are sent as an internal error without details."""
    ours = error if error.code.startswith("B") else error_for(INTERNAL_ERROR)
    findings = [[each.code, each.message, each.hint, each.field] for each in ours.findings]
    kind = "refused" if isinstance(ours, RefusedError) else "error"
    body = {"code": ours.code, "message": ours.message, "hint": ours.hint, "kind": kind, "findings": findings}
    return json.dumps(body).encode()


def decode_error(body: bytes | None) -> MinimizeError:
    """Decodes an error of a server. Without one, the server counts as unreachable."""
    try:
        sent = json.loads(body or b"")
    except ValueError:
        sent = None
    if not isinstance(sent, dict) or not isinstance(sent.get("code"), str):
        return error_for(UNAVAILABLE)
    kind = RefusedError if sent.get("kind") == "refused" else ConfigurationError
    findings = [_decode_finding(each) for each in sent.get("findings", [])]
    return kind(str(sent.get("message")), code=sent["code"], hint=str(sent.get("hint")), findings=findings)


def _decode_finding(each: Sequence[Any]) -> Finding:
    code, message, hint, field = each
    return Finding(code, message, hint=hint, field=field)
