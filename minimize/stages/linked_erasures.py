"""Records of erased linked ids: ids that the ledger knows only by the forms that they take in outputs.

A run makes the forms of the raw ids of each field that can hold them, and compares their tokens with those of the erasure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product

import numpy as np
import pyarrow as pa

from minimize.arrow.columns import canonical_texts, code_numbers, encode_column
from minimize.arrow.dictionaries import Bools
from minimize.arrow.nested import leaf, row_indices
from minimize.identifiers import canonical_text
from minimize.keys import Keyring
from minimize.keys.keyring import SUBJECT_KEY
from minimize.ledger.subject_tokens import FORMS_PURPOSE, token_forms, token_versions
from minimize.policy.fields import DEVICE, USER, fields_named, individual_of
from minimize.policy.model import Policy
from minimize.settings.erasures import NEVER, Erasures, LinkedErasure, Moments, event_microseconds
from minimize.stages.identifier_forms import AS_RECEIVED, AppliedChain, IdentifierColumn, PinnedKeyring, ValueInTenant


def linked_erasure_mask(
    raw: pa.RecordBatch, policy: Policy, erased: Erasures, tenants: pa.Array, times: pa.Array | None
) -> pa.BooleanArray | None:
    """For each record, whether an erased linked id is in one of its fields and its event is not later; None for no record.

    Raises KeyringError if a key of the tokens is missing.
    """
    if erased.keys is None:
        return None
    gone = np.zeros(raw.num_rows, np.bool_)
    groups = dict.fromkeys((each.name, _is_owned_device(each)) for each in erased.linked)
    for name, is_owned in groups:
        stones = [each for each in erased.linked if (each.name, _is_owned_device(each)) == (name, is_owned)]
        stays = _shows_user(raw, policy) if is_owned else np.zeros(raw.num_rows, np.bool_)
        for key in fields_named(policy, name):
            field = policy.fields[key]
            if field.from_ or field.pointer.top not in raw.schema.names:
                continue
            found = leaf(raw, field.pointer)
            rows = row_indices(found, raw.num_rows)
            names = tenants.take(pa.array(rows))
            until = _erased_until(policy, key, stones, erased.keys, names, found.values)
            moments = event_microseconds(None if times is None else times.take(pa.array(rows)), len(rows))
            gone[rows[(until != NEVER) & (moments <= until) & ~stays[rows]]] = True
    return pa.array(gone) if gone.any() else None


def _is_owned_device(stone: LinkedErasure) -> bool:
    """Whether the id is that of a device of an erased user, and not another id of an erased device."""
    is_users = individual_of(stone.named_by) == USER or (stone.named_by is None and DEVICE in stone.names)
    return is_users and individual_of(stone.name) == DEVICE


def _shows_user(raw: pa.RecordBatch, policy: Policy) -> Bools:
    """The records that name a user. If it is the erased one, its own id decides; else the device has another user now."""
    shown = np.zeros(raw.num_rows, np.bool_)
    for key in fields_named(policy, USER):
        field = policy.fields[key]
        if not field.from_ and not field.pointer.stars and field.pointer.top in raw.schema.names:
            shown |= np.asarray(leaf(raw, field.pointer).values.is_valid())
    return shown


def _erased_until(
    policy: Policy, key: str, stones: Sequence[LinkedErasure], keys: Keyring, tenants: pa.Array, values: pa.Array
) -> Moments:
    """Per value, the event time up to which it is erased. The loops run over distinct pairs of tenants with an erasure."""
    whose, ids = encode_column(tenants), encode_column(values)
    names = [canonical_text(each) for each in canonical_texts(whose.dictionary)]
    texts = canonical_texts(ids.dictionary)
    concerned = {number for number, name in enumerate(names) if any(each.tenant == name for each in stones)}
    tenant_codes, id_codes = code_numbers(whose.indices), code_numbers(ids.indices)
    rows = np.flatnonzero(np.isin(tenant_codes, sorted(concerned)) & (id_codes >= 0))
    width = max(len(texts), 1)
    pairs, places = np.unique(tenant_codes[rows] * width + id_codes[rows], return_inverse=True)
    named = [(str(texts[int(pair) % width]), names[int(pair) // width]) for pair in pairs]
    until = np.full(len(values), NEVER, np.int64)
    if named:
        until[rows] = _pairs_until(policy, key, stones, keys, named)[places]
    return until


def _pairs_until(
    policy: Policy, key: str, stones: Sequence[LinkedErasure], keys: Keyring, pairs: Sequence[ValueInTenant]
) -> Moments:
    until = np.full(len(pairs), NEVER, np.int64)
    wanted = {chain for each in stones for chain in each.tokens}
    for chain, forms in _forms_by_chain(policy, key, keys, pairs, wanted):
        for stone in stones:
            tokens = stone.tokens.get(chain, frozenset())
            secrets = {version: keys.subkey(SUBJECT_KEY, FORMS_PURPOSE, version) for version in token_versions(tokens)}
            for place, ((_, tenant), form) in enumerate(zip(pairs, forms, strict=True)):
                if form is not None and tenant == stone.tenant and _has_token(secrets, tenant, form, tokens):
                    until[place] = max(until[place], stone.until)
    return until


def _has_token(secrets: Mapping[int, bytes], tenant: str, form: str, tokens: Collection[str]) -> bool:
    return any(
        token in tokens for version, secret in secrets.items() for token in token_forms(secret, version, tenant, form)
    )


def _forms_by_chain(
    policy: Policy, key: str, keys: Keyring, pairs: Sequence[ValueInTenant], chain_names: Collection[str]
) -> Iterator[tuple[str, Sequence[str | None]]]:
    """The forms of ids by the chains of their field, under every version of the keys; and the ids as received."""
    if AS_RECEIVED in chain_names:
        yield AS_RECEIVED, [value for value, _ in pairs]
    for column, chain in _chains(policy, key, keys):
        name = column.chain_name(chain)
        if name in chain_names and name != AS_RECEIVED:
            yield name, column.forms_by_chain(chain, pairs)


def _chains(policy: Policy, key: str, keys: Keyring) -> Iterator[tuple[IdentifierColumn, AppliedChain]]:
    today = IdentifierColumn(policy, key, PinnedKeyring(keys, {}))
    names = sorted({name for chain in today.chains or () for step in chain.steps for name in step.key_names})
    kept = {name: [each.version for each in keys.listing() if each.name == name] for name in names}
    for versions in product(*kept.values()):
        column = IdentifierColumn(policy, key, PinnedKeyring(keys, dict(zip(names, versions, strict=True))))
        yield from ((column, chain) for chain in column.chains or ())
