"""Reports as tests ask for them."""

from __future__ import annotations

from typing import Any

from minimize.report import Report, report_of
from minimize.report.facts import Facts, FieldFacts
from tests.job.house import AT, House


def report(house: House, **asked: Any) -> Report:
    return report_of(house.out, **{"at": AT, "keys": house.keys, "pipeline": house.folder, **asked})


def facts(house: House, **asked: Any) -> Facts:
    return report(house, **asked).facts


def field(house: House, key: str, **asked: Any) -> FieldFacts:
    return next(each for each in facts(house, **asked).fields if each.key == key)
