from __future__ import annotations

from pathlib import Path

import pytest

from minimize.keys import new_keyring
from minimize.switching import House
from tests.governance.consent.factory import NOW
from tests.governance.recipients.factory import mapping, write


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A folder with the recipient `vendor`, keys, and no ledger yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann@contoso.example")
    for name in ("MINIMIZE_LEDGER", "MINIMIZE_KEYS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "minimize.yaml").write_text("ledger: ledger.db\n")
    write(tmp_path / "recipients", "vendor", mapping())
    new_keyring(tmp_path / "house.keys", now=NOW)
    return House(keys=tmp_path / "house.keys")
