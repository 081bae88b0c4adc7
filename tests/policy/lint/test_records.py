from __future__ import annotations

from collections.abc import Callable

from minimize.errors import Finding

LintOf = Callable[..., list[Finding]]
FIELDS = """\
subject: device
fields:
  device: {type: string, role: identifier, do: DO}
  os: {type: string, do: keep}
"""


def codes(found: list[Finding]) -> list[str]:
    return [finding.code for finding in found if finding.code == "L070"]


def test_records_whose_subjects_are_found_only_by_reading_everything(pipeline_lint_of: LintOf) -> None:
    held, dropped = FIELDS.replace("DO", "{pseudonymize: {key: device}}"), FIELDS.replace("DO", "drop")
    assert codes(pipeline_lint_of("records: {index: false}\n", held)) == ["L070"]
    assert codes(pipeline_lint_of("records: {index: true}\n", held)) == []
    assert codes(pipeline_lint_of("records: {}\n", held)) == []
    assert codes(pipeline_lint_of("records: {index: false}\n", dropped)) == []
