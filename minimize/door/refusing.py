"""What the door raises: errors that hold no value, no path and no trace, and how they travel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from minimize.errors import ConfigurationError, Finding, MinimizeError, Reason, RefusedError

UNKNOWN: Final = "B001"
MALFORMED: Final = "B002"
DATASET: Final = "B003"
COLUMN: Final = "B004"
REFUSED: Final = "B005"
CHANGED: Final = "B006"
ENDED: Final = "B007"
BUSY: Final = "B008"
INSIDE: Final = "B009"
GONE: Final = "B010"
UNREACHED: Final = "is it up, at that host and port, and is its certificate for that name and from the CA of ca=FILE?"
SAID: Final[Mapping[str, tuple[type[MinimizeError], str, str]]] = {
    UNKNOWN: (RefusedError, "the door does not know this token", "minimize access token"),
    DATASET: (RefusedError, "no dataset of that name is open", "a pipeline's name, or PIPELINE/OUTPUT"),
    CHANGED: (ConfigurationError, "the dataset was replaced while it was read", "read it again"),
    ENDED: (RefusedError, "what let this read through holds no longer", "what came before this is not whole"),
    BUSY: (ConfigurationError, "too many read at once", "try again soon"),
    INSIDE: (ConfigurationError, "the door cannot answer", "its log says why"),
    GONE: (
        ConfigurationError,
        "the door is not there, or went away",
        f"{UNREACHED}; what came before this is not whole",
    ),
}


def said(code: str) -> MinimizeError:
    """The error of a code whose words are always the same."""
    kind, message, hint = SAID[code]
    return kind(message, code=code, hint=hint)


def malformed(message: str) -> ConfigurationError:
    """A request that is not understood."""
    return ConfigurationError(message, code=MALFORMED, hint="see `Reading through the door` in the README")


def no_column(message: str) -> RefusedError:
    """A column that is not there, or not open, or not in a form that can be compared so."""
    return RefusedError(message, code=COLUMN, hint="leave `columns` out to see what is open")


def mixed(message: str) -> ConfigurationError:
    """Columns whose values do not join."""
    return ConfigurationError(message, code="B011", hint="choose dates of one key version, or say mixed_keys=True")


def not_let(reasons: Sequence[Reason]) -> RefusedError:
    """What the decision says against it."""
    against = [each for each in reasons if not each.code.startswith("U2")]
    findings = [Finding(each.code, str(each), hint=each.hint, field=", ".join(each.fields) or None) for each in against]
    return RefusedError("roles and grants do not let this through", code=REFUSED, findings=findings)


def travels(error: MinimizeError) -> bytes:
    """An error as it goes to a client: ours as they are; of any other nothing but that there was one."""
    ours = error if error.code.startswith("B") else said(INSIDE)
    findings = [[each.code, each.message, each.hint, each.field] for each in ours.findings]
    kind = "refused" if isinstance(ours, RefusedError) else "error"
    body = {"code": ours.code, "message": ours.message, "hint": ours.hint, "kind": kind, "findings": findings}
    return json.dumps(body).encode()


def arrived(body: bytes | None) -> MinimizeError:
    """The error that a server sent; where it sent none, the door is gone."""
    try:
        told = json.loads(body or b"")
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("code"), str):
        return said(GONE)
    kind = RefusedError if told.get("kind") == "refused" else ConfigurationError
    findings = [_finding(each) for each in told.get("findings", [])]
    return kind(str(told.get("message")), code=told["code"], hint=str(told.get("hint")), findings=findings)


def _finding(each: Sequence[Any]) -> Finding:
    code, message, hint, field = each
    return Finding(code, message, hint=hint, field=field)
