"""The encryption of a run's outputs: made once for each, its master keys asked for before anything is read."""

from __future__ import annotations

from minimize.encryption import ByCategory
from minimize.keys import Kms
from minimize.plan import Plan
from minimize.plan.encrypted import encrypt_of


def encryption_of(plan: Plan, name: str, kms: Kms) -> ByCategory | None:
    """How the files of an output are encrypted; None where they stand in the clear."""
    encrypt = encrypt_of(plan, name)
    if encrypt.by == "none":
        return None
    found = ByCategory.of_schema(kms, plan.outputs[name].schema, encrypt.per)
    return found if found.names else None


def check_masters(plan: Plan, kms: Kms) -> None:
    """Asks for the master keys that are not a tenant's own. Raises KeyringError where one is missing or destroyed."""
    for name in plan.outputs:
        encryption = encryption_of(plan, name, kms)
        if encryption is not None:
            encryption.check()
