"""JSON Schemas (2020-12) of the files that are written by hand, for editors and for the reference."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from minimize.access.model import AccessRules
from minimize.config import config_schema
from minimize.forms import Form, form_schema
from minimize.governance.incidents.contacts import Contacts
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.recipients.load import Subprocessors, TenantContracts
from minimize.recipients.model import Recipient
from minimize.runs.backfill import Backfill

CONFIGURATION: Final = "configuration"
FILE_FORMS: Final[Mapping[str, type[Form]]] = MappingProxyType(
    {
        "policy": Policy,
        "pipeline": Pipeline,
        "backfill": Backfill,
        "recipient": Recipient,
        "subprocessors": Subprocessors,
        "contracts": TenantContracts,
        "access": AccessRules,
        "contacts": Contacts,
    }
)
"""The form of each kind of file. `minimize.yaml` is not a form, because every command reads it."""
FILE_KINDS: Final = (*FILE_FORMS, CONFIGURATION)


def file_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of file.

    >>> file_schema("contacts")["required"]
    ['contacts']
    """
    return config_schema() if kind == CONFIGURATION else form_schema(FILE_FORMS[kind], f"minimize {kind}")
