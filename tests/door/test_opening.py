"""The door in a process that holds the keys: found by itself, and no wider than over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import ConfigurationError, KeyringError, MinimizeError, OutputError, RefusedError
from minimize.server.service import find_datasets
from tests.door.home import PURPOSE, ROWS, Home, changes_of


@pytest.mark.parametrize("by_pipeline", [True, False])
def test_it_finds_what_it_needs_and_tells_of_who_acts(home: Home, by_pipeline: bool) -> None:
    home.acts("nora")
    path = home.folder if by_pipeline else home.project.out
    with minimize.open(path, keys=home.project.keys, clock=home.time) as door:
        assert door.read(purpose=PURPOSE).num_rows == ROWS // 2
        assert door.read("checkins/per_tenant", purpose=PURPOSE).num_rows == 1
        assert sum(batch.num_rows for batch in door.batches(columns=["model"], purpose=PURPOSE)) == ROWS // 2
        with pytest.raises(RefusedError):
            door.read(columns=["owner"], purpose=PURPOSE)
    assert [each["actor"]["user"] for each in home.told()] == ["nora"] * 4
    assert [changes_of(each).get("rows") for each in home.told()] == [60, 1, 60, None]


def test_the_configuration_may_name_the_access_file_beside_what_it_demands(home: Home) -> None:
    (home.folder / "minimize.yaml").write_text("access: {file: access.yaml, encrypt: by_category}\nledger: ledger.db\n")
    with minimize.open(home.project.out, keys=home.project.keys, user="ann") as door:
        assert door.read(purpose=PURPOSE).num_rows == ROWS


def test_an_account_may_be_named(home: Home) -> None:
    with minimize.open(home.project.out, keys=home.project.keys, user="nobody") as door, pytest.raises(RefusedError):
        door.read(purpose=PURPOSE)


def test_without_keys_or_rules_nothing_is_opened(home: Home, tmp_path: Path) -> None:
    def opened(**words: Any) -> MinimizeError:
        with pytest.raises(MinimizeError) as error:
            minimize.open(home.project.out, **words)
        return error.value

    assert isinstance(opened(), KeyringError)
    assert isinstance(opened(keys=home.project.keys, access=tmp_path / "none.yaml"), ConfigurationError)
    (home.folder / "minimize.yaml").write_text("ledger: ledger.db\n")
    assert "access file" in opened(keys=home.project.keys).message


def test_a_dataset_is_found_by_its_pipelines_name_and_has_it_alone(home: Home, tmp_path: Path) -> None:
    assert [*find_datasets([home.folder, home.project.out])] == ["checkins"]
    with pytest.raises(OutputError):
        find_datasets([tmp_path / "none"])
    with pytest.raises(ConfigurationError, match="no dataset"):
        find_datasets([])
    home.project.run(output=tmp_path / "second", date="2026-11-24")
    with pytest.raises(ConfigurationError, match="two outputs"):
        find_datasets([home.project.out, tmp_path / "second"])
