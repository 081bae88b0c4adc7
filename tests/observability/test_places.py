from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minimize.errors import ConfigurationError
from minimize.observability.destinations import Destinations, find_destinations


def found(folder: Path, **more: Any) -> Destinations:
    given: dict[str, Any] = {"environ": {}} | more
    return find_destinations(folder, folder / "out", "fleet", **given)


def test_lineage_stands_beside_the_output_and_metrics_nowhere_by_default(tmp_path: Path) -> None:
    assert found(tmp_path) == Destinations(tmp_path / "_out.lineage.ndjson", None)


def test_what_is_given_goes_before_the_environment_and_that_before_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("lineage: told/organization.ndjson\nmetrics: told\n")
    env = {"MINIMIZE_LINEAGE": "/env.ndjson", "MINIMIZE_METRICS": "/env.prom"}
    told = tmp_path / "told"
    assert found(tmp_path) == Destinations(told / "organization.ndjson", told / "minimize_fleet.prom")
    assert found(tmp_path, environ=env) == Destinations(Path("/env.ndjson"), Path("/env.prom"))
    given = found(tmp_path, environ=env, lineage=tmp_path / "a", metrics="m")
    assert given == Destinations(tmp_path / "a", Path("m/minimize_fleet.prom"))


def test_a_folder_stands_for_a_file_in_it(tmp_path: Path) -> None:
    assert found(tmp_path, lineage=tmp_path).lineage == tmp_path / "lineage.ndjson"


@pytest.mark.parametrize("word", ["off", "OFF", "false", "no"])
def test_off_turns_both_off(tmp_path: Path, word: str) -> None:
    assert found(tmp_path, lineage=word, metrics=word) == Destinations(None, None)
    (tmp_path / "minimize.yaml").write_text(f'lineage: "{word}"\n')
    assert found(tmp_path).lineage is None


def test_openlineage_can_be_disabled_as_elsewhere(tmp_path: Path) -> None:
    assert found(tmp_path, environ={"OPENLINEAGE_DISABLED": "true"}).lineage is None


def test_what_is_no_path_is_a_fault_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("metrics: [a, b]\n")
    with pytest.raises(ConfigurationError, match="`metrics:` cannot be read"):
        found(tmp_path)
