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
    if not _is_configured(places.get("pipeline")):
        return
    from minimize.governance.access.gate import gate
    from minimize.switching import House

    house = House(**{name: places.get(name) for name in _PLACES})
    gate(permission, house, datetime.now(UTC), tenant=tenant)


def _is_configured(pipeline: str | None) -> bool:
    """Whether there may be an access file: most houses have none, and then nothing is loaded to ask it."""
    from minimize.house import access_line, house_file

    house = house_file(pipeline)
    try:
        return house is not None and access_line(house) is not None
    except ValueError:
        return True
