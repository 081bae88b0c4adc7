"""Tenants that no collection setting names, and known names that are similar.

Without a setting every feature is off, so a misspelled tenant looks like one that opted out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from minimize.config import load_config
from minimize.identifiers import canonical_text
from minimize.settings import SettingsRows
from minimize.settings.tokenized import LedgerRows
from minimize.text import similar_words


@dataclass(frozen=True, slots=True)
class UnknownTenant:
    """A tenant that is not named where it was looked for (in words), and names like it that may be told."""

    tenant: str
    where: str
    near: tuple[str, ...] = ()

    def __str__(self) -> str:
        hint = f"Did you mean {' or '.join(self.near)}?" if self.near else "Check the spelling."
        return f"the tenant {self.tenant} is not in {self.where}. {hint}"


def find_unknown_tenant(tenant: str, rows: SettingsRows | None, folder: Path | None) -> UnknownTenant | None:
    """The tenant, where there are settings and none of their rows names it.

    Takes the folder from which the house's file is looked for. Names like it are of a file, which is the caller's own, or of a
    ledger in a house without access file, where everybody may see all tenants.
    """
    if rows is None:
        return None
    of_ledger, known = isinstance(rows, LedgerRows), settings_tenants(rows)
    where = "the settings of the ledger" if of_ledger else f"the settings {rows.file or ''}".rstrip()
    return unknown_among(
        tenant, known, where, frozenset() if of_ledger and load_config(folder).has_access_file else known
    )


def unknown_among(tenant: str, tenants: frozenset[str], where: str, names: frozenset[str]) -> UnknownTenant | None:
    """The tenant, where it is none of those that are known; `names` are the names that may be told."""
    return None if canonical_text(tenant) in tenants else UnknownTenant(tenant, where, similar_tenants(tenant, names))


def settings_tenants(rows: SettingsRows) -> frozenset[str]:
    """The tenants that settings name, at whatever time."""
    return frozenset(pc.unique(rows.table["tenant_id"].cast(pa.string())).to_pylist())


def similar_tenants(tenant: str, names: Iterable[str]) -> tuple[str, ...]:
    """The tenants whose names look most like this one."""
    return tuple(similar_words(tenant, names, most=3, cutoff=0.75))


def unknown_tenant_json(found: UnknownTenant | None) -> dict[str, Any]:
    """What machines are told beside an answer about a tenant: whether anybody named it, and names like it where nobody did."""
    return {"tenant_known": found is None, "tenants_like_it": [] if found is None else list(found.near)}
