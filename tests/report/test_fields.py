from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from minimize.policy.condition import FieldEquals
from minimize.policy.describe import gate_texts
from minimize.policy.model import Field, FieldCase
from minimize.policy.plain_words import REPORT_WORDS
from minimize.report.fields import is_one_to_one
from minimize.techniques import TechniqueStep
from minimize.techniques.bin import Bin
from minimize.techniques.clip import Clip
from minimize.techniques.keep import Keep
from minimize.techniques.mask import Mask
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.techniques.truncate_time import TruncateTime
from tests.project import Project, events
from tests.report.telling import facts, field


def test_a_pseudonym_that_rotates_does_not_keep_as_many_apart() -> None:
    assert is_one_to_one((Pseudonymize(key="k"),))
    assert not is_one_to_one((Pseudonymize(key="k", rotate="day"),))
    assert not is_one_to_one("drop")


def test_a_dropped_field_is_shown_as_dropped(project: Project) -> None:
    project.records(events(60))
    project.run()
    found = field(project, "event_id")
    assert found.is_dropped
    assert (found.form, found.values) == ("dropped", None)


def test_a_field_for_another_purpose_names_it(project: Project) -> None:
    project.policy({"model": {"type": "string", "do": "keep", "purposes": ["customer_support"]}})
    project.pipeline(aggregates=None)
    project.records(events(60))
    project.run()
    assert field(project, "model").form == "dropped, only for customer_support"


def test_a_field_shows_its_values_and_why_values_were_dropped(project: Project) -> None:
    project.records(events(60))
    project.run()
    found = field(project, "latitude")
    assert str(found.values) == "60"
    assert {words: str(count) for words, count in found.dropped.items()} == {"not collected": "30"}
    assert found.conditions == ("feature location is on",)


def test_remaining_distinct_values_are_counted_and_rounded(project: Project) -> None:
    project.records(events(60))
    project.run()
    assert str(field(project, "device_id").after) == "20"  # 11 devices, each in two tenants
    assert str(field(project, "tenant_id").after) == "fewer than 5"


def test_an_injective_technique_keeps_the_number_of_distinct_values(project: Project) -> None:
    project.records(events(60))
    project.run()
    found = field(project, "device_id")
    assert found.before == found.after


def test_figures_missing_from_receipts_are_unknown(project: Project) -> None:
    project.records(events(60))
    project.run()
    found = field(project, "battery")
    assert found.before is None


def test_encrypted_columns_are_not_shown_without_their_key_and_open_ones_are(project: Project) -> None:
    project.pipeline(records={"must_be": "pseudonymized", "encrypt": "by_category"})
    project.records(events(60))
    project.run()
    with_key = field(project, "device_id")
    without = field(project, "device_id", keys=None)
    assert str(with_key.after) == "20"
    assert without.after is None
    assert without.after_how == "files are encrypted, and the key is not available"
    assert str(without.values) == "60"


@pytest.mark.parametrize(
    ("do", "is_unchanged"),
    [
        ("keep", True),
        ({"map": {"values": {"A": "A", "B": "B", "C": "C"}}}, True),
        ({"map": {"values": {"A": "unchanged", "B": "B", "C": "C"}}}, False),
    ],
)
def test_whether_values_are_unchanged_is_a_fact_and_not_read_from_the_text(
    project: Project, do: Any, is_unchanged: bool
) -> None:
    project.policy({"model": {"type": "string", "do": do}})
    project.pipeline(aggregates=None)
    project.records(events(60))
    project.run()
    assert field(project, "model").is_unchanged is is_unchanged


def test_undeclared_fields_are_listed(project: Project) -> None:
    project.records([{**event, "extra": 1} for event in events(60)])
    project.run()
    assert {name: str(count) for name, count in facts(project).undeclared.items()} == {"/extra": "60"}


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            Pseudonymize(key="k", per="tenant_id", rotate="day"),
            "replaced by a code (pseudonym) that only a secret key can link to the value, different for each `tenant_id`, "
            "changed every day",
        ),
        (Mask(keep_first=2), "only the first 2 characters"),
        (Bin(width=Decimal(10)), "only the range that it is in, in steps of 10"),
        (Bin(edges=(Decimal(1), Decimal(1_000_000))), "only the range that it is in, with limits at 1 / 1,000,000"),
        (Clip(min=Decimal(0), max=Decimal(20)), "values below 0 or above 20 are replaced by this limit"),
        (Clip(max=Decimal("0.5")), "values above 0.5 are replaced by this limit"),
        (TruncateTime(to="week", zone="Europe/Paris"), "cut to the week in Europe/Paris"),
    ],
)
def test_parameters_are_in_the_words(step: TechniqueStep, said: str) -> None:
    assert step.phrase() == said


def test_cases_are_shown_with_their_conditions() -> None:
    field = Field(
        key="phone",
        type="string",
        cases=(FieldCase(when=FieldEquals("owner", ("personal",)), do=(Mask(keep_last=4),)),),
        otherwise=(Keep(),),
    )
    assert REPORT_WORDS.form(field) == "only the last 4 characters if owner is personal; otherwise unchanged"


def test_the_conditions_of_collection_are_listed() -> None:
    field = Field(key="x", type="string", feature="usage", level="full", collect_if=FieldEquals("owner", ("us",)))
    assert tuple(gate_texts(field)) == ("feature usage is on", "level is full or higher", "owner is us")
