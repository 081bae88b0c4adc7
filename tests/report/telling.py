"""Reports as tests ask for them."""

from __future__ import annotations

from typing import Any

from minimize.report import OutputReport, create_report
from minimize.report.facts import FieldFacts, ReportFacts
from tests.project import AT, Project


def report(project: Project, **asked: Any) -> OutputReport:
    return create_report(project.out, **{"at": AT, "keys": project.keys, "pipeline": project.folder, **asked})


def facts(project: Project, **asked: Any) -> ReportFacts:
    return report(project, **asked).facts


def field(project: Project, key: str, **asked: Any) -> FieldFacts:
    return next(each for each in facts(project, **asked).fields if each.key == key)
