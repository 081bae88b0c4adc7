"""The architecture page: its packages are those of the contracts, in their order, and its files and functions exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    lines = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]


def layer_of_package() -> dict[str, int]:
    layers = next(each["layers"] for each in CONTRACTS if each.get("containers") == ["minimize"])
    return {name.strip(): number for number, layer in enumerate(layers) for name in layer.split("|")}


def test_every_package_is_on_the_page_and_no_other() -> None:
    named = [name for first, *_ in rows("Packages") for name in re.findall(r"`(\w+)`", first)]
    assert sorted(named) == sorted(layer_of_package().keys() - {"__main__"})


def test_no_package_is_in_a_row_above_a_layer_that_imports_it() -> None:
    layers = layer_of_package()
    numbers = [[layers[name] for name in re.findall(r"`(\w+)`", first)] for first, *_ in rows("Packages")]
    flat = [number for row in numbers for number in row]
    assert flat == sorted(flat)


def test_every_row_describes_its_packages() -> None:
    assert [first for first, *rest in rows("Packages") if not rest] == []


def test_files_and_their_functions_exist() -> None:
    places = [
        (name, ROOT / "minimize" / file.removeprefix("minimize/"))
        for name, file in re.findall(r"`(\w+)` \((?:in )?`([\w/]+\.py)`\)", PAGE)
    ]
    assert len(places) > 5
    missing = [
        name
        for name, file in places
        if not re.search(rf"^(def|class) {name}\b", file.read_text(encoding="utf-8"), re.M)
    ]
    assert missing == []
    paths = re.findall(r"`((?:minimize|tests)/[\w/]+\.py)`", PAGE)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_prohibitions_are_contracts() -> None:
    names = {each["name"] for each in CONTRACTS}
    assert {
        "Output knows no source and no ledger",
        "Policies know no data",
        "Readers change nothing",
        "Surroundings are found in one place",
        "Permission is asked in one place",
        "Verification shares no code with what it checks",
        "The command line is a thin skin",
        "The ledger alone knows its database",
    } <= names
