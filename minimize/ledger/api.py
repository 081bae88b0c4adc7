"""The ledger's modules that use its database, each imported when it is first used.

Importing SQLAlchemy takes longer than most work on data. Modules that also run without a ledger import this one instead:

    from minimize.ledger import api as ledger_api
    ledger_api.consents.read_consent_acts(ledger)

Types for annotations are imported from their own modules, under `TYPE_CHECKING`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from minimize.ledger import (
        access,
        audit_check,
        audit_log,
        audit_truncation,
        database,
        incidents,
        leases,
        ledger,
        runs,
        settings,
        sharing,
        subjects,
    )

__all__ = [
    "access",
    "audit_check",
    "audit_log",
    "audit_truncation",
    "database",
    "incidents",
    "leases",
    "ledger",
    "runs",
    "settings",
    "sharing",
    "subjects",
]

_MODULES: Final = frozenset(__all__)


def __getattr__(name: str) -> Any:
    """Imports a module of the ledger. Later uses find it as a global."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"minimize.ledger.{name}")
    globals()[name] = module
    return module
