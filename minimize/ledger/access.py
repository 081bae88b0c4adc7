"""Acts of access: adoptions of an access file or of a ledger, just-in-time grants, and API tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from minimize.ledger.acts import ActKind
from minimize.receipts import sha256_text


@dataclass(frozen=True, slots=True)
class AccessAdoption:
    """An adopted access file: its content, the account that adopted it, and the time. The last adoption is in force."""

    content: str
    by: str
    recorded_at: datetime

    @property
    def digest(self) -> str:
        """The digest of the file."""
        return sha256_text(self.content.encode())


ACCESS_ADOPTION: Final = ActKind("access_file", AccessAdoption, key="access", actor="by")


@dataclass(frozen=True, slots=True)
class AdoptedOutput:
    """An output that continues with this ledger: the output, the reason, the ledger it had (None: none), and the receipt."""

    output: str
    reason: str
    ledger_before: str | None
    receipt: str
    recorded_at: datetime
    actor: str


LEDGER_ADOPTION: Final = ActKind("ledger_adoption", AdoptedOutput, key="{0.output}", actor="actor")


@dataclass(frozen=True, slots=True)
class GrantAct:
    """One step of a grant: the grant, its new state, the account, the details and the time of recording.

    state  requested, broke_glass, approved, denied, revoked, expired or reviewed
    """

    grant: str
    state: str
    by: str
    body: Mapping[str, Any]
    recorded_at: datetime


GRANT: Final = ActKind("grant", GrantAct, key="{0.grant}", actor="by")

TokenState = Literal["requested", "issued", "spent", "revoked"]


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token as the ledger stores it: name, account, digest of the secret, validity. The secret is not stored.

    token   its name, which grants no access
    once    it is valid for a single call
    digest  `signing/1:` and hexadecimal digits: a keyed digest of the secret and of the fields above and the times; empty for a
            request
    state   the new state; each state is recorded once. A token that was requested has no effect until another person has
            confirmed it, which issues it.
    by      the account that recorded the state
    """

    token: str
    user: str
    once: bool
    digest: str
    issued_at: datetime
    expires_at: datetime
    state: TokenState = "issued"
    by: str = ""


API_TOKEN: Final = ActKind("api_token", ApiToken, key="{0.token}", actor="by")
