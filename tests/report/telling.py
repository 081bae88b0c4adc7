"""Reports as tests ask for them."""

from __future__ import annotations

from typing import Any

from minimize.report import OutputReport
from minimize.report.context import ReportRequest
from minimize.report.facts import FieldFacts, ReportFacts
from minimize.report.output_report import report_of
from minimize.times import parse_time
from minimize.workspace import Workspace
from tests.project import AT, Project


def report(project: Project, **asked: Any) -> OutputReport:
    """The report without the permission check of the command, which refuses another ledger or keyring."""
    places: dict[str, Any] = {"keys": project.keys, "pipeline": project.folder}
    places |= {name: asked.pop(name) for name in ("keys", "pipeline", "ledger") if name in asked}
    at = parse_time(asked.pop("at", AT), "at")
    assert at is not None
    return report_of(Workspace(output=project.out, **places), ReportRequest(at=at, **asked))


def facts(project: Project, **asked: Any) -> ReportFacts:
    return report(project, **asked).facts


def field(project: Project, key: str, **asked: Any) -> FieldFacts:
    return next(each for each in facts(project, **asked).fields if each.key == key)
