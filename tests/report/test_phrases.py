from __future__ import annotations

from decimal import Decimal

import pytest

from minimize.policy.condition import FieldEquals
from minimize.policy.model import Field, FieldCase
from minimize.report.fields import _PHRASES, collection_conditions, field_phrase, step_phrase
from minimize.techniques import TECHNIQUES, TechniqueStep
from minimize.techniques.bin import Bin
from minimize.techniques.clip import Clip
from minimize.techniques.keep import Keep
from minimize.techniques.mask import Mask
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.techniques.truncate_time import TruncateTime


def test_every_technique_has_its_sentence() -> None:
    assert _PHRASES.keys() >= TECHNIQUES.keys() - {"drop"}


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            Pseudonymize(key="k", per="tenant_id", rotate="day"),
            "a keyed pseudonym in its place, other for each tenant_id, new each day",
        ),
        (Mask(keep_first=2), "masked but for the first 2 characters"),
        (Bin(width=Decimal(10)), "the interval of width 10 that it lies in"),
        (Bin(edges=(Decimal(1), Decimal(1_000_000))), "the interval that it lies in, of those cut at 1, 1,000,000"),
        (Clip(min=Decimal(0), max=Decimal(20)), "what lies below 0 or above 20 takes the bound"),
        (Clip(max=Decimal("0.5")), "what lies above 0.5 takes the bound"),
        (TruncateTime(to="week", zone="Europe/Paris"), "cut to the week in Europe/Paris"),
    ],
)
def test_parameters_are_in_the_words(step: TechniqueStep, said: str) -> None:
    assert step_phrase(step) == said


def test_cases_are_told_with_their_conditions() -> None:
    field = Field(
        key="phone",
        type="string",
        cases=(FieldCase(when=FieldEquals("owner", ("personal",)), do=(Mask(keep_last=4),)),),
        otherwise=(Keep(),),
    )
    assert field_phrase(field) == "masked but for the last 4 characters where owner is personal; otherwise as it came"


def test_what_must_hold_for_a_value_is_told() -> None:
    field = Field(key="x", type="string", feature="usage", level="full", collect_if=FieldEquals("owner", ("us",)))
    assert collection_conditions(field) == ("feature usage is on", "level is full or higher", "owner is us")
