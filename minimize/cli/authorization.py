"""Authorization of a command: decided by the access file if one is configured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

_WORKSPACE_OPTIONS: Final = ("ledger", "output", "pipeline", "keys")


def authorize(permission: str, places: Mapping[str, Any], tenant: str | None = None) -> None:
    """Lets them pass, or raises AccessDenied (exit 3); the audit log is told in either case.

    Takes the permission, where the house's things are (`ledger`, `output`, `pipeline`, `keys`), and the tenant that it is about:
    what is about none concerns all.
    """
    from minimize.config import load_config

    if not load_config(places.get("pipeline")).has_access_file:  # most have none, and then nothing more is imported
        return
    from minimize.governance.access.enforcement import require_permission
    from minimize.governance.workspace import Workspace

    house = Workspace(**{name: places.get(name) for name in _WORKSPACE_OPTIONS})
    require_permission(permission, house, datetime.now(UTC), tenant=tenant)
