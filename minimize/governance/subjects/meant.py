"""Whether whoever is named can be meant: by a field that a policy has, of a tenant that something names, by a form that opens."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial

import pyarrow as pa

from minimize.encryption import unless_shredded
from minimize.errors import ConfigurationError
from minimize.governance.retention.forms import pinned
from minimize.governance.retention.rules import fields_of
from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.finding import Held
from minimize.governance.subjects.looking import Look, is_kept
from minimize.governance.subjects.outputs import Output
from minimize.io.stored import open_stored
from minimize.keys import Keyring, find_kms
from minimize.policy.fields import ways_of
from minimize.policy.model import Policy
from minimize.stores import local
from minimize.techniques import Context
from minimize.techniques.tokenize import Tokenize


def check_fields(subjects: Iterable[Subject], outputs: Iterable[Output]) -> None:
    """Raises ConfigurationError for a field by which somebody is named, and which the policy of no output has."""
    wanted = {each.field for each in subjects if each.field is not None}
    policies = [written.policy for output in outputs for written, _ in output.files()] if wanted else []
    known = {name for policy in policies for name in policy.fields}
    for name in sorted(wanted - known):
        close = get_close_matches(name, sorted(known), n=1)
        hint = f"did you mean {close[0]}?" if close else "`minimize plan` shows the fields of a pipeline"
        raise ConfigurationError(f"the policy of no output has a field {name}", hint=hint)


def check_tenants(
    subjects: Iterable[Subject], outputs: Sequence[Output], keys: Keyring, known: Collection[str]
) -> None:
    """Raises ConfigurationError for tenants that nothing names: neither the ledger nor an output that shows tenants."""
    wanted = dict.fromkeys(each.tenant for each in subjects if each.tenant is not None and each.tenant not in known)
    unknown = unseen(wanted, outputs, keys)
    if unknown:
        raise ConfigurationError(
            f"no output and nothing in the ledger names {_some(unknown)}",
            hint="is it spelled so? --unseen goes on, so that what arrives late is kept out",
        )


def unseen(tenants: Iterable[str], outputs: Iterable[Output], keys: Keyring) -> list[str]:
    """The tenants of which no output has records; none where one does not show tenants, so that nobody can say."""
    left = list(tenants)
    for output in outputs if left else ():
        kms = find_kms(keys, local(output.folder))
        for written, file in output.files() if left else ():
            stored = unless_shredded(partial(open_stored, output.folder, file.path, kms))
            key = written.policy.tenant
            if stored is not None and key is None:
                continue
            look = None if stored is None else Look(output.folder, written.policy, str(key), stored, keys)
            left = [] if look is None or look.blind(knows_tenants=True) else look.lacking(left)
    return left


def behind(held: Held, keys: Keyring) -> Iterator[Subject]:
    """Whoever stands behind a form that was found: what came in, where it was kept, or where the keyring opens a token of it."""
    policy = held.written.policy
    values = _values(held, policy, keys)
    pointer = fields_of(policy, held.rows.schema).get(policy.tenant or "")
    shows = policy.tenant is not None and is_kept(policy.fields[policy.tenant]) and pointer is not None
    if values is None or not shows or pointer is None:
        return
    tenants = held.rows[pointer.top].to_pylist()
    field = None if held.key == policy.subject else held.key
    pairs = dict.fromkeys(zip(values.to_pylist(), tenants, strict=True))
    yield from (Subject(str(id_), str(tenant), field) for id_, tenant in pairs if None not in (id_, tenant))


def _values(held: Held, policy: Policy, keys: Keyring) -> pa.Array | None:
    """Per record what came in; None where nobody can tell."""
    pointer, field_ = fields_of(policy, held.rows.schema)[held.key], policy.fields[held.key]
    if not pointer.is_flat:
        return None
    values = held.rows[pointer.top].combine_chunks()
    if is_kept(field_):
        return values
    chains = [way for way in ways_of(field_) if not isinstance(way, str)]
    step = chains[0][0] if len(chains) == 1 and len(chains[0]) == 1 else None
    if not isinstance(step, Tokenize) or step.reads() - {policy.tenant}:
        return None
    tenant = policy.tenant
    columns = {} if tenant is None else {tenant: held.rows[tenant].combine_chunks()} if step.reads() else {}
    context = Context(held.key, datetime.fromtimestamp(0, UTC), pinned(keys, held.rows.schema, pointer), columns)
    return step.detokenize(values, context).values


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"the tenant {shown}" if len(names) == 1 else f"{len(names)} tenants, {shown}{' …' if names[3:] else ''}"
