"""Tenants that settings do not name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from minimize.config_search import load_config
from minimize.settings import SETTINGS_SCHEMA, SettingsRows
from minimize.settings.tenants import find_unknown_tenant, unknown_tenant_json
from minimize.settings.tokenized import LedgerRows

ON = {"setting": "location", "value": "on", "holder": "admin"}
SINCE = {"valid_from": datetime(2026, 11, 1, tzinfo=UTC), "recorded_at": datetime(2026, 11, 1, tzinfo=UTC)}
TABLE = pa.Table.from_pylist(
    [{"tenant_id": tenant, **ON, **SINCE} for tenant in ("contoso", "fabrikam")], SETTINGS_SCHEMA
)
IN_FILE, IN_LEDGER = SettingsRows(TABLE, file="settings.csv"), LedgerRows(TABLE, file="ledger.db")


def guarded(folder: Path) -> Path:
    """A project with an access file."""
    (folder / "minimize.yaml").write_text("access: access.yaml\n")
    return folder


@pytest.mark.parametrize("rows", [IN_FILE, IN_LEDGER, None])
def test_a_tenant_named_by_settings_is_known_and_without_settings_no_tenant_is_unknown(
    rows: SettingsRows | None, tmp_path: Path
) -> None:
    assert find_unknown_tenant("contoso", rows, load_config(tmp_path)) is None
    assert unknown_tenant_json(None) == {"tenant_known": True, "tenants_like_it": []}


def test_a_misspelled_tenant_is_reported_with_similar_names(tmp_path: Path) -> None:
    found = find_unknown_tenant("Contosso", IN_FILE, load_config(tmp_path))
    assert str(found) == "the tenant Contosso is not in the settings settings.csv. Did you mean contoso?"
    assert unknown_tenant_json(found) == {"tenant_known": False, "tenants_like_it": ["contoso"]}


def test_without_names_like_it_it_asks_how_it_is_written(tmp_path: Path) -> None:
    told = "the tenant west is not in the settings settings.csv. Check the spelling."
    assert str(find_unknown_tenant("west", IN_FILE, load_config(tmp_path))) == told


def test_names_of_the_ledger_are_suggested_if_every_account_may_see_all_tenants(tmp_path: Path) -> None:
    found = find_unknown_tenant("contosso", IN_LEDGER, load_config(tmp_path))
    assert str(found) == "the tenant contosso is not in the settings of the ledger. Did you mean contoso?"


def test_names_of_the_ledger_are_not_suggested_under_an_access_file(tmp_path: Path) -> None:
    found = find_unknown_tenant("contosso", IN_LEDGER, load_config(guarded(tmp_path)))
    assert str(found) == "the tenant contosso is not in the settings of the ledger. Check the spelling."


def test_names_of_the_callers_own_file_are_suggested_under_an_access_file(tmp_path: Path) -> None:
    found = find_unknown_tenant("contosso", IN_FILE, load_config(guarded(tmp_path)))
    assert unknown_tenant_json(found)["tenants_like_it"] == ["contoso"]
