"""What is added from outside goes through everything else: one class, one row, and, for a technique, one rule of verification.

A technique is added here. A measure and a source format have files of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, cast

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import Field

import minimize
from minimize.arrow.pointers import Pointer
from minimize.drafting.proposals import FieldEvidence, treatment_for
from minimize.errors import Finding, PolicyError, RefusedError
from minimize.interop.convert import file_schema
from minimize.plan.model import least_revealing, released_column_category, step_residual
from minimize.policy.fields import compare_coarseness
from minimize.policy.plain_words import REPORT_WORDS
from minimize.review.changes import chain_grade
from minimize.runs.inspection import plan_for
from minimize.techniques import TECHNIQUES, Context, Family, Residual, Technique, TechniqueResult, published_techniques
from minimize.techniques.base import apply_per_distinct
from minimize.techniques.parameters import LOWER_TIGHTENS
from minimize.text import Registry
from minimize.verification import check
from minimize.verification.rules import RULES, ColumnContext, TechniqueRule, ValueRule
from tests.project import Project, events
from tests.report.telling import field


class KeepDigits(Technique):
    """The first significant digits of a number; the others become zero. A number with few digits stays as it is."""

    name: ClassVar[str] = "keep_digits"
    takes: ClassVar[tuple[Family, ...]] = ("integer", "double")
    residual: ClassVar[Residual] = "guessable"
    source: ClassVar[str] = "IEEE 754-2019"
    about: ClassVar[str] = "the first significant digits of a number"
    proposed_for: ClassVar[Mapping[str, str]] = {"speed": "{digits: 2}"}

    digits: Annotated[int, LOWER_TIGHTENS] = Field(ge=1, le=15)

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The rounded numbers."""
        kind = int if pa.types.is_integer(values.type) else float
        return apply_per_distinct(values, lambda value: kind(float(f"{value:.{self.digits}g}")), values.type)


class Silent(Technique):
    """A technique that states nothing but what it must, and publishes the value."""

    name: ClassVar[str] = "silent"
    takes: ClassVar[tuple[Family, ...]] = ("string", "integer", "double")
    source: ClassVar[str] = "—"
    about: ClassVar[str] = "the value"

    strength: int = 1

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The values."""
        return TechniqueResult(values)


class Unkeyed(Silent):
    """A technique that states that its result can only be linked, and uses no key."""

    name: ClassVar[str] = "unkeyed"
    residual: ClassVar[Residual] = "linkable"


def significant_numbers(parameters: Mapping[str, Any], place: ColumnContext) -> ValueRule:
    """Numbers with no more digits than the technique keeps."""
    return lambda value: len(Decimal(str(value)).normalize().as_tuple().digits) <= int(parameters["digits"])


@pytest.fixture(autouse=True)
def _techniques(monkeypatch: pytest.MonkeyPatch) -> None:
    """The techniques, each a module of the folder and a row of its table."""
    rows = cast("Registry[Any]", TECHNIQUES)._rows
    for kind in (KeepDigits, Silent, Unkeyed):
        module = ModuleType(f"minimize.techniques.{kind.name}")
        setattr(module, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(rows, kind.name, f"{kind.name}.{kind.__name__}")


@pytest.fixture
def _rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "keep_digits", TechniqueRule(significant_numbers, lone="digits"))


def with_technique(project: Project, role: str = "plain", do: Any = None, **more: Any) -> None:
    """A project whose `storage` goes through the technique, with records."""
    storage = {"type": "integer", "role": role, "do": do or {"keep_digits": 1}, **more}
    project.policy({"storage": storage})
    project.pipeline(aggregates=None)
    project.records(events(60))


def codes(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings if finding.severity == "error"}


@pytest.mark.parametrize("step", [KeepDigits(digits=2), Silent(), Unkeyed()], ids=lambda step: step.name)
def test_an_identifier_stays_identified(step: Technique) -> None:
    residual = least_revealing([step_residual(step, ["identifier"])])
    assert released_column_category("identifier", residual) == "identified"


@pytest.mark.usefixtures("_rule")
def test_a_plan_refuses_to_publish_an_identifier_as_pseudonymized(project: Project) -> None:
    with_technique(project, role="identifier")
    with pytest.raises(RefusedError):
        plan_for(project.folder)


def test_without_a_rule_of_verification_lint_plan_and_run_refuse(project: Project) -> None:
    with_technique(project)
    assert codes(minimize.lint(project.folder, keys=project.keys)) == {"P124"}
    with pytest.raises(PolicyError) as planned:
        plan_for(project.folder)
    assert [finding.field for finding in planned.value.findings] == ["storage"]
    with pytest.raises(PolicyError):
        project.run()
    assert project.files() == set()


def test_without_a_rule_a_technique_for_aggregates_is_refused_too(project: Project) -> None:
    with_technique(project, do="drop", in_aggregates={"keep_digits": 1})
    with pytest.raises(PolicyError) as planned:
        plan_for(project.folder)
    assert [finding.code for finding in planned.value.findings] == ["P124"]


@pytest.mark.usefixtures("_rule")
def test_with_a_rule_its_output_is_verified(project: Project) -> None:
    with_technique(project)
    assert codes(minimize.lint(project.folder, keys=project.keys)) == set()
    project.run()
    assert {row["storage"] for row in project.rows()} <= {*range(10), *range(10, 101, 10), 200}
    assert codes([*check(project.out, keys=project.keys)]) == set()


def test_a_value_of_another_form_is_found(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "keep_digits", TechniqueRule(significant_numbers, lone="digits"))
    monkeypatch.setattr(KeepDigits, "apply", Silent.apply)
    with_technique(project)
    project.run()
    assert "V030" in codes([*check(project.out, keys=project.keys)])


@pytest.mark.parametrize("do", [{"keep_digits": 1}, [{"keep_digits": 1}, {"round": 10}]])
def test_an_output_is_refused_when_the_rule_is_gone(project: Project, monkeypatch: pytest.MonkeyPatch, do: Any) -> None:
    monkeypatch.setitem(RULES, "keep_digits", TechniqueRule(significant_numbers, lone="digits"))
    with_technique(project, do=do)
    project.run()
    monkeypatch.delitem(RULES, "keep_digits")
    assert "V034" in codes([*check(project.out, keys=project.keys)])


def test_an_aggregate_is_refused_when_the_rule_is_gone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "keep_digits", TechniqueRule(significant_numbers, lone="digits"))
    battery = {"type": "double", "do": "drop", "in_aggregates": {"keep_digits": 1}}
    project.policy({"battery": battery})
    project.records(events(60))
    project.run()
    monkeypatch.delitem(RULES, "keep_digits")
    assert "V034" in codes([*check(project.out, keys=project.keys)])


def test_a_change_is_graded_by_the_order_of_the_parameter() -> None:
    two, three = KeepDigits(digits=2), KeepDigits(digits=3)
    assert (chain_grade((three,), (two,)), chain_grade((two,), (three,))) == ("tightens", "loosens")


def test_a_parameter_without_an_order_loosens() -> None:
    weak, strong = Silent(strength=1), Silent(strength=2)
    assert (chain_grade((weak,), (strong,)), chain_grade((strong,), (weak,))) == ("loosens", "loosens")


def test_a_coarser_form_is_made_from_the_source_unless_the_class_states_otherwise() -> None:
    assert compare_coarseness(KeepDigits(digits=3), KeepDigits(digits=2)) is None


@pytest.mark.usefixtures("_rule")
def test_the_report_has_its_phrase(project: Project) -> None:
    assert REPORT_WORDS.treatment((KeepDigits(digits=2),)) == "the first significant digits of a number"
    with_technique(project)
    project.run()
    assert field(project, "storage").form == "the first significant digits of a number"


@pytest.mark.usefixtures("_rule")
def test_columns_name_it_and_those_who_read_them_find_it(project: Project) -> None:
    with_technique(project)
    project.run()
    (file,) = minimize.files(project.out)
    names = pq.read_schema(Path(file)).field("storage").metadata[b"minimize:technique"].decode()
    assert published_techniques(names) == [KeepDigits]


def test_the_schema_of_policies_has_it(project: Project) -> None:
    policy = {"policy": "p", "version": 1, "purposes": ["operations"]}
    given = {"type": "double", "do": {"keep_digits": {"digits": 2}}}
    jsonschema.validate({**policy, "fields": {"speed": given}}, file_schema("policy"))


def test_a_draft_proposes_it_for_its_kind() -> None:
    evidence = FieldEvidence(Pointer.parse("speed"), "double")
    assert treatment_for("speed", evidence) == "{keep_digits: {digits: 2}}"
