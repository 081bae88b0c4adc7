from __future__ import annotations

from pathlib import Path

import pytest

from minimize.switching import House
from tests.project import write_keyring, write_yaml
from tests.world import vendor_file


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A folder with the recipient `vendor`, keys, and no ledger yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann@contoso.example")
    for name in ("MINIMIZE_LEDGER", "MINIMIZE_KEYS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "minimize.yaml").write_text("ledger: ledger.db\n")
    write_yaml(tmp_path / "recipients" / "vendor.yaml", vendor_file())
    write_keyring(tmp_path / "test.keys", ())
    return House(keys=tmp_path / "test.keys")
