"""The decision once more, plainly: cell by cell, a tenant and a column at a time, with none of the code that decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minimize.plan.model import Category

RANK = {"aggregated": 0, "pseudonymized": 1, "identified": 2}
TENANTS = ("north", "south", "east", "west")
COLUMNS: dict[str, Category] = {
    "events": "aggregated",
    "device_id": "pseudonymized",
    "event_time": "pseudonymized",
    "phone": "identified",
}


@dataclass(frozen=True)
class Given:
    """An assignment to the one who asks: up to which category it opens, from which on it denies, and where."""

    allow: str | None
    deny: str | None
    tenants: tuple[str, ...] | None

    def is_about(self, tenant: str) -> bool:
        return self.tenants is None or tenant in self.tenants


@dataclass(frozen=True)
class Granted:
    """An active grant: for which tenants, which columns by name, or all up to a category."""

    tenants: tuple[str, ...]
    columns: tuple[str, ...] | None
    category: str | None


def open_cells(given: Iterable[Given], granted: Iterable[Granted], *, incident: bool) -> set[tuple[str, str]]:
    """The tenants and columns that may be seen together in one row."""
    given, granted = list(given), list(granted)
    reached = {tenant for each in granted for tenant in each.tenants}
    cells = set()
    for tenant in TENANTS:
        for column, category in COLUMNS.items():
            by_role = any(each.allow and each.is_about(tenant) and RANK[category] <= RANK[each.allow] for each in given)
            by_grant = any(
                tenant in each.tenants
                and (each.columns is None or column in each.columns)
                and (each.category is None or RANK[category] <= RANK[each.category])
                for each in granted
            )
            denied = any(each.deny and each.is_about(tenant) and RANK[category] >= RANK[each.deny] for each in given)
            opened = (tenant in reached and (by_role or by_grant)) if incident else by_role
            if opened and not denied:
                cells.add((tenant, column))
    return cells
