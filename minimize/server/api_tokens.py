"""API tokens: create, request and confirm, authenticate, list and revoke bearer tokens.

An account makes a token for itself. For another account it can only request one, which another person confirms. The token's text
is then made and shown to that person, whose roles must not conflict with those of the account.

A token is `mzd_`, its name (16 hexadecimal digits) and its secret (64 digits): 256 random bits. It is printed once.
The ledger stores an HMAC under a key of the keyring, over the secret, the account and the expiry. So an attacker cannot
forge or change a row in the database. Comparison takes constant time.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from minimize.access.decision import reason
from minimize.access.entitlements import EffectiveAccess
from minimize.access.model import LONGEST_UNANSWERED, AccessRules, UserAccount
from minimize.access.roles import find_conflict
from minimize.errors import AccessDenied, ConfigurationError, LedgerError, RefusalReason, RefusedError
from minimize.governance.evidence import TenantEvidence, document_evidence
from minimize.identifiers import canonical_account
from minimize.keys import Keyring
from minimize.ledger import Actor, current_actor
from minimize.ledger.acts import ActReader, Decision, UntrustedActError
from minimize.ledger.audit_event import SERVER_PRODUCT, PermissionLookup, application_name, utc_text
from minimize.ledger.kinds import API_TOKEN, ApiToken, TokenState
from minimize.results import JsonResult, json_member
from minimize.server.client import ENVIRONMENT_VARIABLE
from minimize.server.request import NOT_AUTHENTICATED, error_for, is_name
from minimize.stores import PathText
from minimize.times import EPOCH, seconds_text
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

DIGEST_KEY: Final = "signing"
DIGEST_PURPOSE: Final = "door/token"
DEFAULT_LIFETIME: Final = timedelta(hours=8)
LONGEST_LIFETIME: Final = timedelta(days=90)
_NEVER: Final = EPOCH
_TOKEN: Final = re.compile(r"mzd_([0-9a-f]{16})_([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class TokenBearer:
    """The bearer of a token: the account and the name of the token."""

    user: str
    token: str


def create_token(
    ledger: Ledger,
    user: str,
    now: datetime,
    *,
    lasts: timedelta = DEFAULT_LIFETIME,
    once: bool = False,
    random: Callable[[int], str] = secrets.token_hex,
) -> tuple[str, ApiToken]:
    """Creates a token for an account. Returns its text, which is not stored, and its row in the ledger.

    `lasts` is the lifetime; with `once` the token is valid for a single call. Raises ConfigurationError for an invalid name or
    lifetime, LedgerError, KeyringError.
    """
    requested = _new_request(user, current_actor(), now, lasts, once, random(8))
    text, issued = _with_secret(ledger.keyring, requested, now, random(32))
    ledger.add(API_TOKEN, "issue", issued, at=now)
    return text, issued


def _new_request(user: str, actor: Actor, now: datetime, lasts: timedelta, once: bool, name: str) -> ApiToken:
    """A token without secret and effect. Raises ConfigurationError for an invalid name or lifetime."""
    if not is_name(user):
        raise ConfigurationError(
            "the name of the account is empty, too long or has several lines", hint="Pass --actor NAME."
        )
    if not timedelta() < lasts <= LONGEST_LIFETIME:
        raise ConfigurationError(
            "the lifetime of a token must be more than 0 and at most 90 days", hint="Pass --for 8h."
        )
    return ApiToken(
        token=name,
        user=canonical_account(user),
        once=once,
        digest="",
        issued_at=now,
        expires_at=now + lasts,
        state="requested",
        by=actor.user or "",
    )


def _with_secret(keys: Keyring, requested: ApiToken, now: datetime, secret: str) -> tuple[str, ApiToken]:
    """The text of a requested token, and the token as it is issued now, for the lifetime of the request."""
    lasts = requested.expires_at - requested.issued_at
    issued = replace(requested, state="issued", issued_at=now, expires_at=now + lasts)
    digest = _token_digest(keys, issued, secret, keys.version_of(DIGEST_KEY))
    return f"mzd_{issued.token}_{secret}", replace(issued, digest=digest)


def revoke_token(ledger: Ledger, name: str, now: datetime) -> bool:
    """Revokes a token by name. Returns False if it does not exist or was already revoked. Raises LedgerError, KeyringError."""
    return _end_token(ledger, name, "revoked", now, current_actor())


def authenticate(
    ledger: Ledger, text: str, now: datetime, *, permissions: PermissionLookup = lambda _: ()
) -> TokenBearer:
    """Authenticates the bearer of a token. A token for a single call is used up, under the permissions of its account.

    Raises RefusedError (B001); the error does not depend on the reason.
    """
    parsed = _TOKEN.fullmatch(text)
    name, secret = (parsed[1], parsed[2]) if parsed else ("0" * 16, "0" * 64)
    api_token = find_token(ledger, name)
    good = _is_authentic(ledger.keyring, api_token, secret)
    if api_token is None or not good or not is_in_force(api_token, now):
        raise error_for(NOT_AUTHENTICATED)
    if api_token.once:
        actor = Actor(
            "user",
            permissions(api_token.user),
            application=application_name(SERVER_PRODUCT),
            user=api_token.user,
            id=api_token.token,
        )
        if not _end_token(ledger, name, "spent", now, actor):
            raise error_for(NOT_AUTHENTICATED)
    return TokenBearer(canonical_account(api_token.user), name)


_END_OPERATIONS: Final[Mapping[TokenState, str]] = {"spent": "spend", "revoked": "revoke"}


def _end_token(ledger: Ledger, name: str, state: TokenState, now: datetime, actor: Actor) -> bool:
    """Records that a token was used up or revoked.

    Returns False if the token does not exist, is in this state already, or was revoked.
    """

    def decide(acts: ActReader) -> Decision[bool]:
        recorded = acts.find(API_TOKEN, key=name)
        if not recorded or any(each.state in (state, "revoked") for each in recorded):
            return Decision(False)
        ended = replace(recorded[0], state=state, by=actor.user or "")
        event = API_TOKEN.event(_END_OPERATIONS[state], ended, at=now, actor=actor)
        return Decision(True, [API_TOKEN.act(ended, recorded_at=now)], [event])

    return ledger.record(decide)


def find_token(ledger: Ledger, name: str) -> ApiToken | None:
    """The token of this name in its last state. None if there is none, or if an act of it is not signed by a known key."""
    try:
        acts = ledger.find(API_TOKEN, key=name)
    except UntrustedActError:
        return None
    return _in_last_state(acts) if acts else None


def _in_last_state(acts: Sequence[ApiToken]) -> ApiToken:
    """The token as it was issued, or else requested, by the account of the first act, with the state of the last one.

    Other fields of later acts are ignored.
    """
    origin = next((each for each in acts if each.state == "issued"), acts[0])
    return replace(origin, state=acts[-1].state, by=acts[0].by)


def is_in_force(token: ApiToken, now: datetime) -> bool:
    """Whether a token is valid at a time: issued, not used up, not revoked and not expired."""
    return token.state == "issued" and token.issued_at <= now < token.expires_at


def may_continue(ledger: Ledger, name: str, now: datetime) -> bool:
    """Whether a call that began with a token may continue: the token is neither revoked nor expired.

    A token for a single call was used up by this call."""
    token = find_token(ledger, name)
    return token is not None and token.state != "revoked" and now < token.expires_at


def _is_authentic(keys: Keyring, token: ApiToken | None, secret: str) -> bool:
    """Whether secret and row match the digest. The check takes the same time if there is no such token."""
    kept = token or ApiToken(token="", user="", once=False, digest="", issued_at=_NEVER, expires_at=_NEVER)
    versions = {f"{DIGEST_KEY}/{line.version}": line.version for line in keys.listing() if line.name == DIGEST_KEY}
    version = versions.get(kept.digest.partition(":")[0], keys.version_of(DIGEST_KEY))
    return hmac.compare_digest(_token_digest(keys, kept, secret, version).encode(), kept.digest.encode())


def _token_digest(keys: Keyring, token: ApiToken, secret: str, version: int) -> str:
    times = (utc_text(token.issued_at), utc_text(token.expires_at))
    body = json.dumps([token.token, secret, token.user, token.once, *times]).encode()
    return (
        f"{DIGEST_KEY}/{version}:{hmac.digest(keys.subkey(DIGEST_KEY, DIGEST_PURPOSE, version), body, 'sha256').hex()}"
    )


@dataclass(frozen=True, slots=True)
class TokenInfo(JsonResult):
    """A token as it is listed. Its name grants no access."""

    token: str
    user: str
    once: bool
    issued_at: datetime = field(metadata=json_member(convert=utc_text))
    expires_at: datetime = field(metadata=json_member(convert=utc_text))
    state: str

    @classmethod
    def of(cls, token: ApiToken, state: str) -> Self:
        """A token in this state."""
        return cls(token.token, token.user, token.once, token.issued_at, token.expires_at, state)

    def lines(self) -> Iterator[str]:
        """The name, account, state and expiry."""
        once = ", single use" if self.once else ""
        yield f"{self.token}  {self.user}  {self.state}  until {seconds_text(self.expires_at)}{once}"


@dataclass(frozen=True, slots=True)
class IssuedToken(JsonResult):
    """A new token and its text, which cannot be shown again."""

    info: TokenInfo = field(metadata=json_member(merge=True))
    secret: str = field(repr=False)

    def lines(self) -> Iterator[str]:
        """The text of the token."""
        yield self.secret

    @property
    def notes(self) -> Iterator[str]:
        """The entry of the token in the list."""
        return (f"{line}; it is not shown again" for line in self.info.lines())


@dataclass(frozen=True, slots=True)
class RequestedToken(JsonResult):
    """A request for a token of another account. It has no secret and no effect."""

    info: TokenInfo = field(metadata=json_member(merge=True))

    def lines(self) -> Iterator[str]:
        """The name of the request."""
        yield self.info.token

    @property
    def notes(self) -> Iterator[str]:
        """Who makes the token, and how."""
        name, account = self.info.token, self.info.user
        yield f"requested a token for {account}. Within 4 days, {account} or another person makes it:"
        yield f"  minimize access token confirm {name}"


@dataclass(frozen=True, slots=True)
class RevokedToken(JsonResult):
    """The name of a token that was revoked."""

    revoked: str

    def lines(self) -> Iterator[str]:
        """The name of the token."""
        yield f"revoked {self.revoked}"


def find_evidence(
    workspace: Workspace,
    now: datetime,
    *,
    reference: str | None,
    token_file: PathText | None,
    document: PathText | None = None,
) -> TenantEvidence | None:
    """The evidence of a tenant's decision: a document, or the API token of the acting account.

    Takes the file of a document, or its reference alone; else the token in a file, or in `MINIMIZE_TOKEN`. None without any of
    them. Raises RefusedError for a token that is not valid (B001), of another account (N061), or made by the account alone if
    there are access rules (U214), ConfigurationError for a file that cannot be read.
    """
    if document is not None:
        return document_evidence(document, reference)
    if reference is not None:
        return TenantEvidence("document", reference)
    text = os.environ.get(ENVIRONMENT_VARIABLE) if token_file is None else _read_token(token_file)
    if not text:
        return None
    with workspace.open_ledger(signs=True) as ledger:
        bearer = authenticate(ledger, text, now)
        issued = find_token(ledger, bearer.token)
    actor = current_actor().user
    if bearer.user != actor:
        message = f"the API token is not of {actor}, the acting account"
        raise RefusedError(message, code="N061", hint="Set MINIMIZE_ACTOR to the account of the token.")
    if issued is not None and canonical_account(issued.by) == actor and workspace.access is not None:
        message = f"{actor} made this API token alone, so it shows no more than the name of the account"
        hint = f"Let another person run `minimize access token --actor {actor}`, and confirm that request."
        raise RefusedError(message, code="U214", hint=hint)
    return TenantEvidence("token", bearer.token)


def _read_token(file: PathText) -> str:
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        pass
    raise ConfigurationError(f"the token file {file} cannot be read", hint="Check its path and its permissions.")


def issue_api_token(
    workspace: Workspace, user: str | None, now: datetime, *, lasts: timedelta | None = None, once: bool = False
) -> IssuedToken | RequestedToken:
    """Creates a token for the current actor, or requests one for another account.

    An actor with a role needs no permission for a token of their own. A request needs `token/make`, shows no secret and has no
    effect until `confirm_api_token`. Raises AccessDenied, ConfigurationError for an invalid name or lifetime, LedgerError,
    KeyringError.
    """
    access, actor = workspace.access, current_actor()
    account = actor.user or "" if user is None else canonical_account(user)
    is_own = account == actor.user
    if not (is_own and (access is None or EffectiveAccess(access, UserAccount(account), now).permissions)):
        workspace.require("token/make", about=account)
    lifetime = DEFAULT_LIFETIME if lasts is None else lasts
    with workspace.open_ledger(create=True, signs=True) as ledger:
        if is_own:
            text, issued = create_token(ledger, account, now, lasts=lifetime, once=once)
            return IssuedToken(TokenInfo.of(issued, issued.state), text)
        requested = _new_request(account, actor, now, lifetime, once, secrets.token_hex(8))
        ledger.add(API_TOKEN, "request", requested, at=now)
    return RequestedToken(TokenInfo.of(requested, requested.state))


def confirm_api_token(workspace: Workspace, token: str, now: datetime) -> IssuedToken:
    """Confirms the request for a token, which issues it, and shows its text to the current actor.

    The actor is the token's account, or has `token/make` and no role that conflicts with those of the account's person. In both
    cases they are another person than the requester. Records the confirmation or its refusal in the audit log.
    Raises AccessDenied, ConfigurationError if no such request waits for a confirmation, LedgerError, KeyringError.
    """
    access, actor, keys = workspace.access, current_actor(), workspace.keyring()
    with workspace.open_ledger(signs=True) as ledger:
        known = find_token(ledger, token)
    if known is None or not _is_waiting(known, now):
        hint = "Run `minimize access token list`. Request a token again after 4 days."
        raise ConfigurationError("no request for a token of this name waits for a confirmation", hint=hint)
    if known.user != actor.user:
        workspace.require("token/make", about=known.user)
    reasons = tuple(_reasons_against_confirmation(access, actor.user or "", known))

    def decide(acts: ActReader) -> Decision[tuple[str, ApiToken] | None]:
        if len(acts.find(API_TOKEN, key=token)) != 1:
            return Decision(None)
        text, issued = _with_secret(keys, known, now, secrets.token_hex(32))
        act = API_TOKEN.act(replace(issued, by=actor.user or ""), recorded_at=now)
        return Decision((text, issued), [act], [API_TOKEN.event("confirm", issued, at=now)])

    with workspace.open_ledger(signs=True) as ledger:
        if reasons:
            ledger.record_event(API_TOKEN.event("confirm", known, at=now, result="refused"))
            raise AccessDenied(f"{actor.user} may not confirm this token", reasons=reasons)
        confirmed = ledger.record(decide)
    if confirmed is None:
        raise LedgerError("the request was answered in the meantime", hint="Run `minimize access token list`.")
    return IssuedToken(TokenInfo.of(confirmed[1], confirmed[1].state), confirmed[0])


def _reasons_against_confirmation(access: AccessRules | None, actor: str, token: ApiToken) -> Iterator[RefusalReason]:
    """The reasons why an account may not confirm a token. Without access rules, only the account itself may."""
    requester = canonical_account(token.by)
    if requester == actor or not (access is None or access.are_separate(actor, requester)):
        yield reason("own_request")
    if token.user == actor:
        return
    if access is None:
        yield reason("nobody", hint=f"Set MINIMIZE_ACTOR to {token.user}.")
        return
    persons = (UserAccount(actor), UserAccount(token.user))
    roles = [role for person in persons for _, role in access.assignments_of_person(person)]
    if find_conflict(roles, access.conflicts) is not None:
        yield reason("secret_conflict", hint=f"Let {token.user} confirm it.")


def _is_waiting(token: ApiToken, now: datetime) -> bool:
    """Whether a request for a token waits for its confirmation."""
    return token.state == "requested" and token.issued_at <= now < token.issued_at + LONGEST_UNANSWERED


def revoke_api_token(workspace: Workspace, token: str, now: datetime) -> RevokedToken:
    """Revokes a token by name. Reads that began with it end.

    Raises AccessDenied without `token/revoke`, ConfigurationError if it does not exist or was already revoked.
    """
    workspace.require("token/revoke", about=token)
    with workspace.open_ledger(signs=True) as ledger:
        if not revoke_token(ledger, token, now):
            raise ConfigurationError("no valid token has this name", hint="Run `minimize access token list`.")
    return RevokedToken(token)


def list_api_tokens(workspace: Workspace, now: datetime) -> list[TokenInfo]:
    """All tokens in the order of issue or request, each with its state: requested, issued, spent, revoked or expired."""
    workspace.require("roles/read", about="tokens")
    with workspace.open_ledger() as ledger:
        acts: dict[str, list[ApiToken]] = {}
        for act in ledger.find(API_TOKEN):
            acts.setdefault(act.token, []).append(act)
    return [TokenInfo.of(each, _listed_state(each, now)) for each in map(_in_last_state, acts.values())]


def _listed_state(token: ApiToken, now: datetime) -> str:
    is_over = token.state in ("issued", "requested") and not (is_in_force(token, now) or _is_waiting(token, now))
    return "expired" if is_over else token.state
