"""Whether whoever acts here may do what a verb does: asked where an access file is configured, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

_PLACES: Final = ("ledger", "output", "pipeline", "keys")


def may(permission: str, places: Mapping[str, Any], tenant: str | None = None) -> None:
    """Lets them pass, or raises AccessDenied (exit 3); the audit log is told in either case.

    Takes the permission, where the house's things are (`ledger`, `output`, `pipeline`, `keys`), and the tenant that it is about:
    what is about none concerns all.
    """
    from minimize.house import is_guarded

    if not is_guarded(places.get("pipeline")):  # most houses have no access file, and then nothing is loaded to ask it
        return
    from minimize.governance.access.gate import gate
    from minimize.switching import House

    house = House(**{name: places.get(name) for name in _PLACES})
    gate(permission, house, datetime.now(UTC), tenant=tenant)
