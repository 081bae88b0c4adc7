from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from minimize.config_search import load_config
from minimize.forms.yaml_nodes import FaultList
from minimize.policy.model import PURPOSES, check_purpose, configured_purposes, is_refused_purpose

Write = Callable[[str, str], Path]


@pytest.mark.parametrize(
    "purpose",
    [
        "profiling", "user_profiling", "profile", "advertising", "advertisement", "ads", "targeted-ads", "AdTargeting",
        "marketing", "direct_marketing", "remarketing", "sale", "sales", "resale", "data_sale", "sold", "selling",
        "targeting", "monetization", "cross-sell", "Data Broker", "promotions", "SALE", "adsMeasurement",
        "lead_generation", "sponsored_content", "audience_building", "customer_scoring", "promo",
    ],
)  # fmt: skip
def test_profiling_advertising_marketing_and_sale_are_refused_by_any_word(purpose: str) -> None:
    assert is_refused_purpose(purpose)


@pytest.mark.parametrize(
    "purpose", [*PURPOSES, "capacity_planning", "fraud_prevention", "wholesome", "administration", "uploads"]
)
def test_honest_words_are_not_refused(purpose: str) -> None:
    assert not is_refused_purpose(purpose)


def test_a_purpose_of_the_configuration_is_known() -> None:
    faults = FaultList()
    assert check_purpose("capacity_planning", ["capacity_planning"], faults, 1)
    assert faults.found == []


def test_an_unknown_purpose_is_a_fault_with_a_suggestion() -> None:
    faults = FaultList()
    assert not check_purpose("custmer_support", [], faults, 7)
    assert [(f.code, f.line, f.hint) for f in faults.found] == [("P008", 7, "Did you mean `customer_support`?")]


def test_the_hint_for_an_unknown_purpose_lists_the_known_ones_and_how_to_add_it() -> None:
    faults = FaultList()
    assert not check_purpose("analysis", ["capacity_planning"], faults, 7)
    hint = str(faults.found[0].hint)
    assert all(purpose in hint for purpose in (*PURPOSES[:3], "capacity_planning"))
    assert "add it under `purposes:` in minimize.yaml" in hint


def test_a_configuration_cannot_add_a_refused_purpose(write: Write, tmp_path: Path) -> None:
    write("minimize.yaml", "purposes: [capacity_planning, marketing]\n")
    faults = FaultList()
    assert configured_purposes(load_config(tmp_path), faults) == ("capacity_planning",)
    assert [(f.code, f.file) for f in faults.found] == [("P009", str(tmp_path / "minimize.yaml"))]


def test_the_nearest_configuration_file_upwards_counts(write: Write, tmp_path: Path) -> None:
    write("minimize.yaml", "purposes: [far]\n")
    write("a/minimize.yaml", "purposes: [near]\n")
    write("a/b/policy.yaml", "")
    assert configured_purposes(load_config(tmp_path / "a" / "b"), FaultList()) == ("near",)


def test_the_current_folder_is_not_searched(
    write: Write, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("pipelines/minimize.yaml", "purposes: [house]\n")
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert load_config(elsewhere).path is None


def test_configured_purposes_that_are_no_list_are_a_fault(write: Write, tmp_path: Path) -> None:
    write("minimize.yaml", "purposes: 3\n")
    faults = FaultList()
    assert configured_purposes(load_config(tmp_path), faults) == ()
    assert [(f.code, f.line) for f in faults.found] == [("P006", 1)]


def test_a_configuration_file_without_purposes_adds_none(write: Write, tmp_path: Path) -> None:
    write("minimize.yaml", "ledger: ledger.db\n")
    faults = FaultList()
    assert (configured_purposes(load_config(tmp_path), faults), faults.found) == ((), [])


@pytest.mark.parametrize("content", [b"\xff", b"purposes: ["])
def test_a_configuration_file_that_cannot_be_read_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "minimize.yaml").write_bytes(content)
    faults = FaultList()
    assert configured_purposes(load_config(tmp_path), faults) == ()
    assert [(f.code, f.file) for f in faults.found] == [("P001", str(tmp_path / "minimize.yaml"))]


@pytest.mark.parametrize(
    ("purpose", "offered"), [("curiosity", False), ("analysis", False), ("quality_and_securty", True)]
)
def test_the_purpose_of_the_on_premises_product_is_offered_only_for_a_similar_word(purpose: str, offered: bool) -> None:
    faults = FaultList()
    assert not check_purpose(purpose, (), faults, 1)
    assert ("quality_and_security" in faults.found[0].hint) is offered
    assert offered or "customer_support, operations, service_maintenance" in faults.found[0].hint
