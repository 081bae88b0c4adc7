""""""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minimize.interop import fideslang
from minimize.interop.fideslang import PSEUDONYM, SUBJECTS, data_category, data_use
from minimize.plan.columns import ColumnMeaning
from minimize.policy.model import PURPOSES, Role

KEYS = json.loads((Path(__file__).parent / "data" / "fideslang-3.1.4.taxonomy.json").read_text())


def meaning(role: Role = "plain", leaves: str = "everything", *techniques: str) -> ColumnMeaning:
    return ColumnMeaning("", "", (), role, {"leaves": leaves, "techniques": list(techniques)})


@pytest.mark.parametrize(
    ("name", "said", "category"),
    [
        ("contactEmail", meaning(), "user.contact.email"),
        ("email", meaning("identifier", "linkable", "pseudonymize"), PSEUDONYM),
        ("latitude", meaning("quasi", "nothing", "round"), "user.location.imprecise"),
        ("latitude", meaning("quasi"), "user.location.precise"),
        ("thing", meaning("identifier"), "user.unique_id"),
        ("thing", meaning("free_text"), "user.content.private"),
        ("thing", meaning(), "user.telemetry"),
        ("email", None, "system.operations"),
    ],
)
def test_a_column_gets_the_category_of_its_name_role_and_form(
    name: str, said: ColumnMeaning | None, category: str
) -> None:
    assert data_category(name, said, aggregated=False) == category


def test_counts_of_groups_are_of_operations() -> None:
    assert data_category("email", meaning(), aggregated=True) == "system.operations"


def test_every_word_is_one_of_the_official_taxonomy() -> None:
    words = {
        *fideslang._BY_NAME.values(),
        *fideslang._BY_ROLE.values(),
        PSEUDONYM,
        fideslang.TELEMETRY,
        fideslang.OPERATIONS,
    }
    assert words <= set(KEYS["data_category"])
    assert {data_use(purpose) for purpose in (*PURPOSES, "a house's own")} <= set(KEYS["data_use"])
    assert set(SUBJECTS) <= set(KEYS["data_subject"])
