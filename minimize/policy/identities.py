"""Identities: the fields of a policy that name users and devices, and the names by which requests and events refer to them.

A field states what its values identify: `identifies: user`, `identifies: device`, or an identifier of another kind, such as
`device.serial_number`. Fields with the same identity hold the same ids in all datasets, so that one id finds a person or a device
in each of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from minimize.errors import ConfigurationError
from minimize.policy.model import Policy

USER: Final = "user"
DEVICE: Final = "device"


def individual_of(identity: str | None) -> str | None:
    """Whether an identity names a user or a device; None for a field without an identity.

    >>> individual_of("device.serial_number"), individual_of("session_id")
    ('device', None)
    """
    found = "" if identity is None else identity.partition(".")[0]
    return found if found in (USER, DEVICE) else None


def stated_identities(policy: Policy) -> dict[str, tuple[str, ...]]:
    """The fields that state what they identify, with their identities."""
    return {key: field.identifies for key, field in policy.fields.items() if field.identifies}


def fields_named(policy: Policy, name: str | None) -> tuple[str, ...]:
    """The fields of a policy that hold ids of this name: an identity, a field, or None for the subject and every identity.

    A field stands for all fields with its identity.
    """
    stated = stated_identities(policy)
    if name is None:
        own = [] if policy.subject is None else [policy.subject]
        return tuple(dict.fromkeys([*own, *stated]))
    identities = {*stated.get(name, (name,))}
    own = [name] if name in policy.fields else []
    return tuple(dict.fromkeys([*own, *(key for key, each in stated.items() if identities & {*each})]))


def all_fields_named(policy: Policy, names: Iterable[str | None]) -> frozenset[str]:
    """The fields of a policy that hold ids of one of these names."""
    return frozenset(key for name in set(names) for key in fields_named(policy, name))


def resolve_identity(name: str | None, policies: Iterable[Policy]) -> str | None:
    """The identity of a name that is a field of some policies; the name itself if they do not state one.

    Raises ConfigurationError if the field has different identities in different policies.
    """
    stated = (policy.fields[name].identifies for policy in policies if name is not None and name in policy.fields)
    found = sorted({identity for identities in stated for identity in identities})
    if len(found) > 1:
        raise ConfigurationError(
            f"the field {name} identifies more than one thing in the policies",
            hint=f"Pass one of {', '.join(found)} instead of the field.",
        )
    return found[0] if found else name
