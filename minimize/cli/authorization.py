"""Authorization of a command: decided by the access file if one is configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minimize.cli.workspace import command_workspace, utc_now


def authorize(permission: str, places: Mapping[str, Any], tenant: str | None = None) -> None:
    """Lets them pass, or raises AccessDenied (exit 3); the audit log is told in either case.

    Takes the permission, where the house's things are (`ledger`, `output`, `pipeline`, `keys`), and the tenant that it is about:
    what is about none concerns all.
    """
    from minimize.config import load_config

    if not load_config(places.get("pipeline")).has_access_file:  # most have none, and then nothing more is imported
        return
    from minimize.governance.access.enforcement import require_permission

    require_permission(permission, command_workspace(places), utc_now(), tenant=tenant)
