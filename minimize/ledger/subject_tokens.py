"""Subject tokens: keyed tokens (HMAC-SHA-256) in place of subject ids in the ledger, and the search for them.

A subject of a tenant always has the same token under one version of the key.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from json.encoder import encode_basestring_ascii
from typing import Final

from minimize.identifiers import NO_FOLDING, CaseFolding, canonical_text
from minimize.keys import Keyring
from minimize.keys.keyring import SUBJECT_KEY

LEDGER_PURPOSE: Final = "ledger"
FORMS_PURPOSE: Final = "ledger/forms"
"""The purpose of the tokens of the forms that ids take in outputs."""
_HALF: Final = 32
"""Hexadecimal digits of half a token: 128 bits."""
_TOKEN: Final = re.compile(rf"{SUBJECT_KEY}/(\d{{1,9}}):[0-9a-f]{{64}}")


def subject_token(
    keys: Keyring, tenant: str, subject: str, version: int | None = None, field: str | None = None
) -> str:
    """The token of a subject: the key's id and HMAC-SHA-256 (RFC 2104) over tenant and subject in their canonical forms, in
    hexadecimal digits.

    `version` is a version of the `subject` key (default: the newest), to find what was recorded under an older one. `field` names
    the field of the id if it is not the subject of the policy: one id in two fields has two tokens. Raises KeyringError.
    """
    which = keys.version_of(SUBJECT_KEY) if version is None else version
    return make_token(keys.subkey(SUBJECT_KEY, token_purpose(field), which), which, tenant, subject)


def find_known_token(secrets: Mapping[int, bytes], tenant: str, subject: str, tokens: Collection[str]) -> str | None:
    """The recorded token of a subject, made with any version of the key; None if there is none.

    Takes the secrets of the versions that occur (see `token_secrets`, `token_versions`), and the tokens of the tenant's subjects.
    """
    token_candidates = (
        token for version, secret in secrets.items() for token in token_forms(secret, version, tenant, subject)
    )
    return next((token for token in token_candidates if token in tokens), None)


def known_or_new_token(
    keys: Keyring, tenant: str, subject: str, recorded: Collection[str | None], field: str | None = None
) -> str:
    """The recorded token of a subject, else a new one.

    So the records of a subject have the same token before and after a rotation of the key. `recorded` are the tokens of the
    subjects of the tenant; None among them is ignored. Raises KeyringError if the keyring lacks a version that some were made
    with.
    """
    tokens = {token for token in recorded if token}
    known_token = find_known_token(token_secrets(keys, token_versions(tokens), field), tenant, subject, tokens)
    return subject_token(keys, tenant, subject, field=field) if known_token is None else known_token


def make_token(secret: bytes, version: int, tenant: str, subject: str) -> str:
    """The token under the secret of one version of the key.

    Its first half comes from the case-folded id, its second half from the id, so that both can be found. Both halves come from
    one token if folding changes nothing.
    """
    return next(token_forms(secret, version, tenant, subject))


@dataclass(frozen=True)
class TokenIndex:
    """Tokens by tenant, found by id: exactly, or regardless of case if the policy folds ids.

    A token from a version of minimize before tokens held both forms is found by the exact id only.
    """

    tokens: Mapping[str, Collection[str]] = field(repr=False)
    folding: CaseFolding = NO_FOLDING

    def __contains__(self, tenant: object) -> bool:
        """Whether a tenant has tokens."""
        return canonical_text(str(tenant), fold=self.folding.tenant) in self._tenants

    def find(self, secrets: Mapping[int, bytes], tenant: str, subject: str) -> Iterator[tuple[str, str]]:
        """The tokens of a subject, each with its tenant as it was recorded."""
        for name in self._tenants.get(canonical_text(tenant, fold=self.folding.tenant), ()):
            known = self.tokens[name]
            for version, secret in secrets.items():
                exact = [token for token in token_forms(secret, version, name, subject) if token in known]
                folded = (
                    self._folded[name].get(_folded_half(secret, version, name, subject), ())
                    if self.folding.subject
                    else ()
                )
                yield from ((name, token) for token in dict.fromkeys([*exact, *folded]))

    @cached_property
    def _tenants(self) -> Mapping[str, Sequence[str]]:
        names: dict[str, list[str]] = {}
        for name in self.tokens:
            names.setdefault(canonical_text(name, fold=self.folding.tenant), []).append(name)
        return names

    @cached_property
    def _folded(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """Tokens by tenant and by their first half."""
        forms_by_tenant: dict[str, dict[str, list[str]]] = {}
        for name, tokens in self.tokens.items():
            tokens_by_form = forms_by_tenant.setdefault(name, {})
            for token in sorted(tokens):
                tokens_by_form.setdefault(folded_part(token), []).append(token)
        return forms_by_tenant


def folded_part(token: str) -> str:
    """The part of a token that is equal for ids that differ only in case."""
    return token[:-_HALF]


def token_forms(secret: bytes, version: int, tenant: str, subject: str) -> Iterator[str]:
    """The token of an id, then its token in the older format, if that is different."""
    canonical, folded = canonical_text(subject), canonical_text(subject, fold=True)
    whole = _token_text(version, _token_digest(secret, tenant, canonical))
    if folded != canonical:
        yield _folded_half(secret, version, tenant, subject) + whole[-_HALF:]
    yield whole


def _folded_half(secret: bytes, version: int, tenant: str, subject: str) -> str:
    return folded_part(_token_text(version, _token_digest(secret, tenant, canonical_text(subject, fold=True))))


def _token_text(version: int, digest: bytes) -> str:
    return f"{SUBJECT_KEY}/{version}:{digest.hex()}"


def _token_digest(secret: bytes, tenant: str, subject: str) -> bytes:
    message = f"[{encode_basestring_ascii(canonical_text(tenant))},{encode_basestring_ascii(subject)}]"
    return hmac.digest(secret, message.encode("ascii"), "sha256")


def token_secrets(keys: Keyring, versions: set[int], field: str | None = None) -> dict[int, bytes]:
    """The secrets of tokens by version of the key. A field that is not the subject of the policy has its own secrets.

    Raises KeyringError if the keyring lacks a version.
    """
    return {version: keys.subkey(SUBJECT_KEY, token_purpose(field), version) for version in sorted(versions)}


def token_purpose(field: str | None) -> str:
    """The purpose of the subkey for tokens of ids of a field.

    >>> token_purpose(None), token_purpose("user_id")
    ('ledger', 'ledger/fields/user_id')
    """
    return LEDGER_PURPOSE if field is None else f"{LEDGER_PURPOSE}/fields/{field}"


def token_version(token: str) -> int | None:
    """The version of the key that a token was made with; None if the text is not a token.

    >>> token_version("subject/2:" + 64 * "0"), token_version("device-7")
    (2, None)
    """
    match = _TOKEN.fullmatch(token)
    return None if match is None else int(match[1])


def token_versions(tokens: Iterable[str]) -> set[int]:
    """The versions of the key that tokens were made with."""
    return {version for version in map(token_version, tokens) if version is not None}
