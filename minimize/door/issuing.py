"""Tokens as a house makes, lists and ends them: whoever does must be allowed to, where an access file is configured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from minimize.door.tokens import LASTS, make_token, revoke_token, stands
from minimize.errors import ConfigurationError
from minimize.governance.access.gate import gate
from minimize.ledger.event import moment_text
from minimize.switching import House


@dataclass(frozen=True, slots=True)
class Listed:
    """A token as it may be shown: its name opens nothing."""

    token: str
    user: str
    once: bool
    issued_at: datetime
    expires_at: datetime
    state: str

    def as_json(self) -> dict[str, Any]:
        """As `access token list --json` prints it."""
        times = {"issued_at": moment_text(self.issued_at), "expires_at": moment_text(self.expires_at)}
        return {"token": self.token, "user": self.user, "once": self.once, **times, "state": self.state}


def issue(
    house: House, user: str, now: datetime, *, lasts: timedelta | None = None, once: bool = False
) -> tuple[str, Listed]:
    """Makes a token for an account; gives its text, which nobody can have again, and how it is listed.

    Raises AccessDenied without `token/make`, ConfigurationError for a name or time that cannot be, LedgerError, KeyringError.
    """
    gate("token/make", house, now, about=user)
    with house.opened(create=True) as ledger:
        text, made = make_token(ledger, house.keyring(), user, now, lasts=lasts or LASTS, once=once)
    return text, Listed(made.token, made.user, made.once, made.issued_at, made.expires_at, made.state)


def revoke(house: House, token: str, now: datetime) -> None:
    """Ends a token, by its name; reads that it began end with it.

    Raises AccessDenied without `token/revoke`, ConfigurationError where there is none of that name, or it was revoked before.
    """
    gate("token/revoke", house, now, about=token)
    with house.opened() as ledger:
        if not revoke_token(ledger, house.keyring(), token, now):
            raise ConfigurationError("no token of that name is in force", hint="minimize access token list")


def tokens(house: House, now: datetime) -> list[Listed]:
    """Every token, in the order in which they were made, with its state: issued, spent, revoked or expired."""
    from minimize.ledger.passes import passes

    gate("roles/read", house, now, about="tokens")
    with house.opened() as ledger:
        found = passes(ledger)
    return [
        Listed(each.token, each.user, each.once, each.issued_at, each.expires_at, _state(each.state, stands(each, now)))
        for each in found
    ]


def _state(state: str, in_force: bool) -> str:
    return "expired" if state == "issued" and not in_force else state
