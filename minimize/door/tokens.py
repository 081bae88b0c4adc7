"""Bearer tokens: printed once, known to the ledger by a keyed digest alone, checked in constant time.

A token is `mzd_`, its name (16 hexadecimal digits) and its secret (64 of them): 256 random bits that nobody guesses. The digest
is an HMAC under a key of the keyring, over the secret and over whose the token is and until when: a row that somebody writes or
changes in the database opens nothing.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from minimize.door.names import is_word
from minimize.door.refusing import UNKNOWN, said
from minimize.errors import ConfigurationError
from minimize.keys import Keyring
from minimize.ledger import Actor, Change, Event, Resource, actor_of
from minimize.ledger.event import moment_text

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.passes import Pass

KEY: Final = "signing"
PURPOSE: Final = "door/token"
LASTS: Final = timedelta(hours=8)
LONGEST: Final = timedelta(days=90)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOKEN: Final = re.compile(r"mzd_([0-9a-f]{16})_([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who came with a token: the account, and the token's name."""

    user: str
    token: str


def make_token(
    ledger: Ledger,
    keys: Keyring,
    user: str,
    now: datetime,
    *,
    lasts: timedelta = LASTS,
    once: bool = False,
    random: Callable[[int], str] = secrets.token_hex,
) -> tuple[str, Pass]:
    """Makes a token for an account; gives its text, which stands nowhere, and what the ledger keeps.

    Takes how long it lasts, and whether it opens the door for one call alone. Raises ConfigurationError for a name or a time that
    cannot be, LedgerError, KeyringError.
    """
    from minimize.ledger.passes import Pass, issue

    if not is_word(user):
        raise ConfigurationError("a token is for an account, which has a name of one line", hint="--user NAME")
    if not timedelta() < lasts <= LONGEST:
        raise ConfigurationError("a token lasts at least a second and at most 90 days", hint="--for 8h")
    name, secret = random(8), random(32)
    unchecked = Pass(name, user, once, "", now, now + lasts)
    made = replace(unchecked, digest=_digest(keys, unchecked, secret, keys.version_of(KEY)))
    actor = actor_of()
    issue(ledger, made, actor.user or "", _event("issue", made, actor, now), keys)
    return f"mzd_{name}_{secret}", made


def revoke_token(ledger: Ledger, keys: Keyring, name: str, now: datetime) -> bool:
    """Ends a token, by its name; whether it was there and not revoked before. Raises LedgerError, KeyringError."""
    from minimize.ledger.passes import end, pass_of

    found = pass_of(ledger, name)
    if found is None:
        return False
    actor = actor_of()
    return end(ledger, name, "revoked", now, actor.user or "", _event("revoke", found, actor, now), keys)


def bearer_of(ledger: Ledger, keys: Keyring, text: str, now: datetime) -> Bearer:
    """Who comes with a token; one that opens the door once is spent with this.

    Raises RefusedError (B001), the same whatever is wrong with it.
    """
    from minimize.ledger.passes import end, pass_of

    parsed = _TOKEN.fullmatch(text)
    name, secret = (parsed[1], parsed[2]) if parsed else ("0" * 16, "0" * 64)
    found = pass_of(ledger, name)
    good = _is_good(keys, found, secret)
    if found is None or not good or not stands(found, now):
        raise said(UNKNOWN)
    if found.once:
        actor = Actor("user", application="door", user=found.user, id=found.token)
        if not end(ledger, name, "spent", now, found.user, _event("spend", found, actor, now), keys):
            raise said(UNKNOWN)
    return Bearer(found.user, name)


def stands(found: Pass, now: datetime) -> bool:
    """Whether a token is in force: neither spent nor revoked, issued by then and not over."""
    return found.state == "issued" and found.issued_at <= now < found.expires_at


def still_stands(ledger: Ledger, name: str, now: datetime) -> bool:
    """Whether what began with a token may go on: it was not revoked, and is not over. One that was spent was spent on this."""
    from minimize.ledger.passes import pass_of

    found = pass_of(ledger, name)
    return found is not None and found.state != "revoked" and now < found.expires_at


def _is_good(keys: Keyring, found: Pass | None, secret: str) -> bool:
    """Whether the secret is the token's, and the row as it was issued; as much work is done where there is no such token."""
    from minimize.ledger.passes import Pass

    kept = found or Pass("", "", False, "", _NEVER, _NEVER)
    versions = {f"{KEY}/{line.version}": line.version for line in keys.listing() if line.name == KEY}
    version = versions.get(kept.digest.partition(":")[0], keys.version_of(KEY))
    return hmac.compare_digest(_digest(keys, kept, secret, version).encode(), kept.digest.encode())


def _digest(keys: Keyring, made: Pass, secret: str, version: int) -> str:
    times = (moment_text(made.issued_at), moment_text(made.expires_at))
    body = json.dumps([made.token, secret, made.user, made.once, *times]).encode()
    return f"{KEY}/{version}:{hmac.digest(keys.subkey(KEY, PURPOSE, version), body, 'sha256').hex()}"


def _event(operation: str, made: Pass, actor: Actor, now: datetime) -> Event:
    changes = (
        Change("user", None, made.user),
        Change("once", None, made.once),
        Change("expires_at", None, moment_text(made.expires_at)),
    )
    return Event(
        component="door",
        category="access",
        activity="token",
        operation=operation,
        actor=actor,
        time=now,
        resources=(Resource(made.token, "token", f"tokens/{made.token}", changes),),
    )
