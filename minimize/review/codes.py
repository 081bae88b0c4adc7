"""Stable codes of graded changes (J) and of failed fixtures (F)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "J001": "a file that came or went",
        "J010": "a field that came or went",
        "J011": "the form of a field: technique, parameters, cases, dropped or kept",
        "J012": "the gate of a field: feature, level, `collect_if`",
        "J013": "the purposes of a field",
        "J014": "the type of a field",
        "J015": "the role of a field",
        "J016": "what aggregates see of a field",
        "J017": "the fields that another is made from",
        "J020": "the retention of a policy",
        "J021": "the purposes of a policy",
        "J022": "a feature: that it is there, who may turn it on, how long its values stay",
        "J023": "the levels of a policy",
        "J024": "what must not arrive",
        "J025": "which fields are tenant, subject, time, record",
        "J026": "when a whole record is collected",
        "J027": "the approval of a policy",
        "J029": "words, names and versions, which change nothing of what leaves",
        "J030": "the purpose of a pipeline",
        "J031": "where a pipeline reads and writes, who sends its records, and whose settings count",
        "J032": "an output that came or went",
        "J033": "the most that an output may be",
        "J034": "encryption at rest",
        "J035": "which records are written, and of which duplicates",
        "J036": "the groups of an aggregate",
        "J037": "the measures of an aggregate",
        "J038": "the suppression and rounding of an aggregate",
        "J039": "how much may be in quarantine",
        "J040": "the retention of an aggregate",
        "J050": "what the house says: purposes, approval, encryption, places",
        "J060": "who a recipient is to us, and the list of subprocessors",
        "J061": "the contract with a recipient",
        "J062": "a function of a recipient: that it is there, its purpose and direction",
        "J063": "a field that goes to a recipient, or its form",
        "J064": "the most that goes to a recipient may be",
        "J065": "the text that tenants agree to",
        "J070": "a role: what it allows and denies, and its views",
        "J071": "who has a role, and where",
        "J072": "how long grants last, and which roles conflict",
        "J073": "which accounts are one person's, and who is in a group",
        "F001": "a record of a fixture does not leave, and must",
        "F002": "a record of a fixture leaves, and must not",
        "F003": "a record of a fixture does not leave, for another reason than it says",
        "F004": "more or fewer rows leave than a fixture expects",
        "F005": "a column that a fixture does not expect, or that it expects and is not there",
        "F006": "another value than a fixture expects",
    }
)
