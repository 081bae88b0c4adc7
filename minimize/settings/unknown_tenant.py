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
    """A tenant that is missing from the searched place (in words), and similar names that may be disclosed."""

    tenant: str
    where: str
    near: tuple[str, ...] = ()

    def __str__(self) -> str:
        hint = f"Did you mean {' or '.join(self.near)}?" if self.near else "Check the spelling."
        return f"the tenant {self.tenant} is not in {self.where}. {hint}"


def find_unknown_tenant(tenant: str, rows: SettingsRows | None, folder: Path | None) -> UnknownTenant | None:
    """The tenant, if there are settings and none of their rows names it.

    Takes the folder from which the configuration is searched. Similar names come from a file, which is the caller's own, or from
    a ledger without an access file, where every account may see all tenants.
    """
    if rows is None:
        return None
    of_ledger, known = isinstance(rows, LedgerRows), settings_tenants(rows)
    where = "the settings of the ledger" if of_ledger else f"the settings {rows.file or ''}".rstrip()
    return unknown_among(
        tenant, known, where, frozenset() if of_ledger and load_config(folder).has_access_file else known
    )


def unknown_among(tenant: str, tenants: frozenset[str], where: str, names: frozenset[str]) -> UnknownTenant | None:
    """The tenant, if it is not among the known ones; `names` are the names that may be disclosed."""
    return None if canonical_text(tenant) in tenants else UnknownTenant(tenant, where, similar_tenants(tenant, names))


def settings_tenants(rows: SettingsRows) -> frozenset[str]:
    """The tenants that settings name, at any time."""
    return frozenset(pc.unique(rows.table["tenant_id"].cast(pa.string())).to_pylist())


def similar_tenants(tenant: str, names: Iterable[str]) -> tuple[str, ...]:
    """The tenants with the most similar names."""
    return tuple(similar_words(tenant, names, most=3, cutoff=0.75))


def unknown_tenant_json(found: UnknownTenant | None) -> dict[str, Any]:
    """The JSON keys for an answer about a tenant: whether the tenant is known, and similar names if it is not."""
    return {"tenant_known": found is None, "tenants_like_it": [] if found is None else list(found.near)}
