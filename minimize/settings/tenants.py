"""Regions of tenants: the tenants of each region, by the file that `tenants:` names, and the output root of each region.

The file is CSV in UTF-8 with a header. `tenant_id` is required; every other column is an attribute of the tenant. `region` is the
region that the tenant's administrator elected. An empty region means that the tenant has none.

Tenants that no collection setting names, and known names that are similar.

Without a setting every feature is off, so a misspelled tenant looks like one that opted out.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.columns import codes_of
from minimize.arrow.dictionaries import Bools
from minimize.config import Config
from minimize.errors import ConfigurationError, Finding, PolicyError, describe_os_error
from minimize.identifiers import canonical_text
from minimize.receipts.parts import sha256_text
from minimize.settings import SettingsRows
from minimize.settings.tokenized import LedgerRows
from minimize.stores import Location, absolute_location, is_within, parse_output_location
from minimize.text import count_noun, similar_words

TENANT_COLUMN: Final = "tenant_id"
REGION_COLUMN: Final = "region"


@dataclass(frozen=True, slots=True)
class TenantAttributes:
    """The attributes of each tenant, by its canonical form, and the digest of the file."""

    attributes: Mapping[str, Mapping[str, str]]
    digest: str

    def values_of(self, attribute: str) -> Mapping[str, str]:
        """The tenants for which an attribute is set, with its value."""
        values = ((tenant, attributes.get(attribute, "")) for tenant, attributes in self.attributes.items())
        return {tenant: value for tenant, value in values if value}


def load_tenants(file: Path) -> TenantAttributes:
    """The tenants of a file. Raises PolicyError with every fault, by line and without values."""
    try:
        content = file.read_bytes()
    except OSError as error:
        reason, hint = describe_os_error(error)
    else:
        return _parse_tenants(str(file), content)
    raise PolicyError(
        "the file of tenants cannot be read", findings=[Finding("C010", reason, hint=hint, file=str(file))]
    )


@lru_cache(maxsize=4)
def _parse_tenants(file: str, content: bytes) -> TenantAttributes:
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    header = [name.strip() for name in rows[0]] if rows else []
    if TENANT_COLUMN not in header or len(set(header)) != len(header):
        fault = "the file is not CSV in UTF-8 whose header names `tenant_id` and each column once"
        raise PolicyError("the file of tenants cannot be read", findings=[Finding("C010", fault, file=file, line=1)])
    attributes: dict[str, dict[str, str]] = {}
    folded: set[str] = set()
    faults: list[Finding] = []
    for line, row in enumerate(rows[1:], 2):
        if not row:
            continue
        values = dict(zip(header, (value.strip() for value in row), strict=False))
        tenant = canonical_text(values.pop(TENANT_COLUMN, ""))
        if not tenant or len(row) != len(header):
            faults.append(Finding("C011", "the row has no tenant, or not one value per column", file=file, line=line))
        elif canonical_text(tenant, fold=True) in folded:
            faults.append(Finding("C011", "the tenant is listed twice", file=file, line=line))
        else:
            folded.add(canonical_text(tenant, fold=True))
            attributes[tenant] = values
    if faults:
        raise PolicyError("the file of tenants has faults", findings=faults)
    return TenantAttributes(MappingProxyType(attributes), sha256_text(content))


@dataclass(frozen=True)
class OutputRegion:
    """One region.

    name      the region, as `regions:` names it
    root      the folder below which all outputs of the region are
    tenants   the tenants of the region, in canonical form
    assigned  the tenants of all regions
    digest    the digest of the file of tenants
    """

    name: str
    root: Location
    tenants: frozenset[str] = field(repr=False)
    assigned: frozenset[str] = field(repr=False)
    digest: str

    def own_mask(self, tenants: pa.Array, *, fold: bool) -> Bools:
        """Per record, whether its tenant belongs to the region; false for nulls."""
        return codes_of(tenants, self._own_codes[fold], fold=fold) >= 0

    def assigned_mask(self, tenants: pa.Array, *, fold: bool) -> Bools:
        """Per record, whether its tenant belongs to any region; false for nulls."""
        return codes_of(tenants, self._assigned_codes[fold], fold=fold) >= 0

    @cached_property
    def _own_codes(self) -> Mapping[bool, Mapping[str, int]]:
        return _codes_by_fold(self.tenants)

    @cached_property
    def _assigned_codes(self) -> Mapping[bool, Mapping[str, int]]:
        return _codes_by_fold(self.assigned)


def _codes_by_fold(names: Collection[str]) -> Mapping[bool, Mapping[str, int]]:
    """A code for each name; under true, with names that ignore upper and lower case."""
    return {fold: {canonical_text(name, fold=fold): code for code, name in enumerate(names)} for fold in (False, True)}


def load_regions(config: Config) -> Mapping[str, OutputRegion]:
    """The regions of a configuration, by name; empty if it has none. Raises PolicyError with faults, and ConfigurationError for a
    configuration that cannot be read."""
    if not config.checked("regions", ConfigurationError).regions:
        return {}
    named = config.checked("tenants", ConfigurationError).tenants
    if named is None:
        hint = "Write `tenants: FILE`, a CSV file with the columns tenant_id and region."
        missing = Finding("C010", "`regions:` needs the tenants of each region", hint=hint, file=str(config.path))
        raise PolicyError("the regions have faults", findings=[missing])
    file = config.folder / Path(named).expanduser()
    tenants = load_tenants(file)
    roots = {
        name: absolute_location(parse_output_location(text, config.folder)) for name, text in config.regions.items()
    }
    by_tenant = tenants.values_of(REGION_COLUMN)
    faults = [*_root_faults(roots, config), *_region_faults(by_tenant, roots, file)]
    if faults:
        raise PolicyError("the regions have faults", findings=faults)
    assigned = frozenset(by_tenant)
    return {
        name: OutputRegion(
            name=name,
            root=Path(os.path.normpath(root)) if isinstance(root, Path) else root,
            tenants=frozenset(tenant for tenant, region in by_tenant.items() if region == name),
            assigned=assigned,
            digest=tenants.digest,
        )
        for name, root in roots.items()
    }


def _root_faults(roots: Mapping[str, Location], config: Config) -> Iterator[Finding]:
    for (first, first_root), (second, second_root) in combinations(roots.items(), 2):
        if is_within(first_root, second_root) or is_within(second_root, first_root):
            message = f"the regions {first} and {second} have the same root, or one root contains the other"
            yield Finding("C013", message, hint="Give each region its own root.", file=str(config.path))


def _region_faults(by_tenant: Mapping[str, str], roots: Mapping[str, Location], file: Path) -> Iterator[Finding]:
    unknown = sum(region not in roots for region in by_tenant.values())
    if unknown:
        message = f"`regions:` does not name the region of {count_noun(unknown, 'tenant')}"
        hint = "Add the region to `regions:`, or leave the region empty: then the rows of the tenant are quarantined."
        yield Finding("C012", message, hint=hint, file=str(file), field=REGION_COLUMN)


@dataclass(frozen=True, slots=True)
class UnknownTenant:
    """A tenant that is missing from the searched place (in words), and similar names that may be disclosed."""

    tenant: str
    where: str
    near: tuple[str, ...] = ()

    def __str__(self) -> str:
        hint = f"Did you mean {' or '.join(self.near)}?" if self.near else "Check the spelling."
        return f"the tenant {self.tenant} is not in {self.where}. {hint}"


def find_unknown_tenant(tenant: str, rows: SettingsRows | None, config: Config) -> UnknownTenant | None:
    """The tenant, if there are settings and none of their rows names it.

    Takes the configuration. Similar names come from a file, which is the caller's own, or from
    a ledger without an access file, where every account may see all tenants.
    """
    if rows is None:
        return None
    of_ledger, known = isinstance(rows, LedgerRows), settings_tenants(rows)
    where = "the settings of the ledger" if of_ledger else f"the settings {rows.file or ''}".rstrip()
    return unknown_among(tenant, known, where, frozenset() if of_ledger and config.has_access_file else known)


def unknown_among(tenant: str, tenants: frozenset[str], where: str, names: frozenset[str]) -> UnknownTenant | None:
    """The tenant, if it is not among the known ones; `names` are the names that may be disclosed."""
    return None if canonical_text(tenant) in tenants else UnknownTenant(tenant, where, similar_tenants(tenant, names))


def settings_tenants(rows: SettingsRows) -> frozenset[str]:
    """The tenants that settings name, at any time."""
    return frozenset(pc.unique(rows.table["tenant_id"].cast(pa.string())).to_pylist())


def similar_tenants(tenant: str, names: Iterable[str]) -> tuple[str, ...]:
    """The tenants with the most similar names."""
    return tuple(similar_words(tenant, names, most=3, cutoff=0.75))


def unknown_tenant_json(unknown: UnknownTenant | None) -> dict[str, Any]:
    """The JSON keys for an answer about a tenant: whether the tenant is known, and similar names if it is not."""
    return {"tenant_known": unknown is None, "tenants_like_it": [] if unknown is None else list(unknown.near)}
