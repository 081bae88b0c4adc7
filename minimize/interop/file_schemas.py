"""JSON Schemas (2020-12) of the files that are written by hand, for editors and for the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from minimize.config import config_schema
from minimize.governance.access.model import AccessRules
from minimize.governance.incidents.notification import Contacts
from minimize.policy.forms import form_schema
from minimize.policy.json_schema import json_schema
from minimize.recipients.load import Subprocessors
from minimize.recipients.model import Recipient

FILE_SCHEMAS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = MappingProxyType(
    {
        "policy": lambda: json_schema("policy"),
        "pipeline": lambda: json_schema("pipeline"),
        "recipient": lambda: form_schema(Recipient, "minimize recipient"),
        "subprocessors": lambda: form_schema(Subprocessors, "minimize subprocessors"),
        "access": lambda: form_schema(AccessRules, "minimize access"),
        "contacts": lambda: form_schema(Contacts, "minimize contacts"),
        "configuration": config_schema,
    }
)
"""The schema of each kind of file."""
