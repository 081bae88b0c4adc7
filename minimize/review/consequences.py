"""What a change that weakens protection means for the people in the data, and what a reviewer does about it, by code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Consequence(NamedTuple):
    """What a weakening change can mean, and what to do before it is merged."""

    meaning: str
    action: str


_NEED: Final = "Ask the author which task needs it. If a coarser form is enough, request that."
_RECIPIENT: Final = "Ask the privacy officer. Tenants may have to authorize the function again."
_ACCESS: Final = "Ask the privacy officer, and check who holds the role with `minimize access show`."

CONSEQUENCES: Final[Mapping[str, Consequence]] = MappingProxyType(
    {
        "J001": Consequence(
            "A whole file appears or disappears, with everything that it permits or forbids.", "Read it."
        ),
        "J002": Consequence(
            "The effect of this key on protection is not known, so it counts as weaker.", "Find out what it does."
        ),
        "J010": Consequence("A field that no output had can now be released.", _NEED),
        "J011": Consequence("The field's released values show more than before.", _NEED),
        "J012": Consequence(
            "The field is collected in more cases, for example without an opt-in.",
            "Check that people have been told, and that the default stays off.",
        ),
        "J013": Consequence("The field can be used for more purposes.", "Check the legal basis of each new purpose."),
        "J014": Consequence(
            "Values of another type pass, which the technique may treat differently.", "Run `minimize test`."
        ),
        "J015": Consequence(
            "Checks that depend on the role become weaker, for example for an identifier.",
            "Check that the values neither identify nor describe a person.",
        ),
        "J016": Consequence("Statistics see the field more finely than before.", _NEED),
        "J017": Consequence("A derived field shows more, or other, inputs.", "Check the role of each input."),
        "J020": Consequence(
            "Data is kept for longer, so a breach exposes more of it.", "Check the retention in the privacy notice."
        ),
        "J021": Consequence("The data can be used for more purposes.", "Check the legal basis of each new purpose."),
        "J022": Consequence(
            "More holders can turn an optional collection on, or its values are kept for longer.",
            "Check the text that people saw when they decided.",
        ),
        "J023": Consequence(
            "A level includes more fields than before.", "Check what tenants were told about the level."
        ),
        "J024": Consequence("Records with this content are no longer refused.", "Check that no source can send it."),
        "J025": Consequence(
            "Requests of data subjects, or counts of persons, may miss records.", "Run `minimize subject coverage`."
        ),
        "J026": Consequence("More records are collected.", "Check which people they are about."),
        "J027": Consequence("The approval does not cover this content.", "Approve it with `minimize policy approve`."),
        "J030": Consequence("The output serves another purpose.", "Check that people were told of this purpose."),
        "J031": Consequence(
            "The pipeline reads from, or writes to, another place.", "Check who can read the new location."
        ),
        "J032": Consequence("A new output publishes data.", "Read its fields with `minimize plan`."),
        "J033": Consequence("The output may contain data that identifies people more directly.", _NEED),
        "J034": Consequence(
            "Files that identify people can be read without a key.",
            "Keep `encrypt: identified` unless nobody can read them.",
        ),
        "J035": Consequence("More records pass the pipeline's condition.", "Check which people they are about."),
        "J036": Consequence("Groups are smaller, so they show more about each person.", "Run `minimize risk`."),
        "J037": Consequence("A table shows another statistic.", "Check that no single person's value can be seen."),
        "J038": Consequence(
            "Smaller groups are shown, or with less noise.",
            "Compare the minimum frequency with your organization's rule.",
        ),
        "J039": Consequence(
            "More unreadable records are accepted before a run warns or stops.", "Find out why records are quarantined."
        ),
        "J040": Consequence("A table is kept for longer.", "Check the retention in the privacy notice."),
        "J041": Consequence("Rarer combinations of values are published.", "Run `minimize risk` on the new output."),
        "J050": Consequence("A rule for all pipelines becomes weaker.", "Ask the owner of `minimize.yaml`."),
        "J060": Consequence("The recipient has another role, or is no longer listed as a processor.", _RECIPIENT),
        "J061": Consequence("The contract permits more, or for longer.", _RECIPIENT),
        "J062": Consequence("A recipient gets or gives data for another function or purpose.", _RECIPIENT),
        "J063": Consequence("The recipient gets another field, or a finer form of it.", _RECIPIENT),
        "J064": Consequence("The recipient may get data that identifies people more directly.", _RECIPIENT),
        "J065": Consequence("Tenants agreed to another text.", "Raise `text_version`, so that they are asked again."),
        "J070": Consequence("A role may do or see more.", _ACCESS),
        "J071": Consequence("More accounts have a role, or for more tenants.", _ACCESS),
        "J072": Consequence("Temporary access lasts longer, or one person may hold conflicting roles.", _ACCESS),
        "J073": Consequence("Other accounts act for a person or a group.", _ACCESS),
    }
)
"""Codes whose changes are always neutral have none."""
