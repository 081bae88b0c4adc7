"""Attacks that fixtures ask for: a pipeline that leaks fails its test, one that does not passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minimize.disclosure_risk.attacks import ATTACKS
from minimize.errors import ConfigurationError, PolicyError
from minimize.policy.fixture_forms import AttackLimits
from minimize.review.fixtures import FixtureResults, try_fixtures
from tests.commands import command
from tests.project import AT, DAY, Project, enter, event, new_project, without_none, write_lines, write_yaml

DEVICES = 60
LIMITS = {"singling_out": 0.05, "linkage": 0.1, "inference": 0.3}
ATTACKS_OF_FIXTURE: dict[str, Any] = {
    "quasi_identifiers": ["model", "site"],
    "sensitive": ["state"],
    "person": "device_id",
    "at_most": LIMITS,
}


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    project = new_project(tmp_path)
    plain = {"type": "string", "role": "quasi", "do": "keep"}
    project.policy({"model": plain, "site": plain, "state": {"type": "string", "role": "sensitive", "do": "keep"}})
    return project


def fixtures(project: Project, sites: int, name: str = "crowd", **attacks: Any) -> None:
    """A crowd of devices at so many sites, whose states their sites do not tell."""
    records = [
        event(
            number,
            device_id=f"device-{number}",
            tenant_id="north",
            model="A",
            site=f"secret-{number % sites}",
            state=("on", "on", "off")[number // 4 % 3],
            event_time=f"{DAY}T10:00:00Z",
        )
        for number in range(DEVICES)
    ]
    write_lines(project.folder / "tests" / f"{name}.pass.ndjson", records)
    write_yaml(project.folder / "tests" / "fixtures.yaml", {"attacks": without_none({**ATTACKS_OF_FIXTURE, **attacks})})


def tried(project: Project) -> FixtureResults:
    return try_fixtures(project.folder, now=AT)


def failed(results: FixtureResults) -> list[tuple[str, str | None]]:
    return [(failure.code, failure.field) for failure in results.failures]


def test_a_crowd_that_does_not_leak_passes(project: Project) -> None:
    fixtures(project, sites=4)
    results = tried(project)
    assert failed(results) == []
    assert [(attack.name, attack.attack.attempts) for attack in results.attacks] == [
        ("singling_out", DEVICES),
        ("linkage", DEVICES),
        ("inference", DEVICES),
    ]


def test_a_crowd_whose_sites_are_unique_fails(project: Project) -> None:
    fixtures(project, sites=DEVICES)
    results = tried(project)
    assert failed(results) == [("F007", name) for name in LIMITS]
    assert results.exit_code == 1
    first = results.failures[0]
    assert first.message == "the risk is 1.000 (0.940 to 1.000) over 60 data subjects, above the limit of 0.05"
    assert first.file.endswith("tests/fixtures.yaml")


def test_a_state_that_the_site_tells_only_about_the_target_fails(project: Project) -> None:
    fixtures(project, sites=DEVICES, at_most={"inference": 0.1})
    results = tried(project)
    assert failed(results) == [("F007", "inference")]
    assert "risk for state is" in results.failures[0].message


def test_results_are_the_same_with_other_keys(project: Project) -> None:
    fixtures(project, sites=7)
    assert tried(project).attacks == tried(project).attacks


def test_only_the_named_files_are_attacked(project: Project) -> None:
    fixtures(project, sites=4, records=["crowd"])
    write_lines(project.folder / "tests" / "other.pass.ndjson", [event(1, site="alone", state="on")])
    assert tried(project).attacks[0].attack.attempts == DEVICES
    fixtures(project, sites=4)
    assert tried(project).attacks[0].attack.attempts == DEVICES + 1
    fixtures(project, sites=4, records=["crwod"])
    with pytest.raises(ConfigurationError, match=r"names crwod\.pass\.ndjson, which does not exist"):
        tried(project)


def test_the_fields_come_from_the_policy_if_they_are_not_named(project: Project) -> None:
    fixtures(project, sites=4, quasi_identifiers=[], sensitive=[], person=None)
    assert [attack.sensitive for attack in tried(project).attacks] == [None, None, "state"]


def test_a_limit_of_something_that_cannot_be_attacked_fails(project: Project) -> None:
    fixtures(project, sites=4)
    write_lines(project.folder / "tests" / "crowd.pass.ndjson", [])
    assert failed(tried(project)) == [("F007", name) for name in LIMITS]
    project.policy({"site": {"type": "string", "role": "quasi", "do": "keep"}})
    fixtures(project, sites=4, quasi_identifiers=["site"], sensitive=[], at_most={"inference": 0.1})
    assert [failure.message for failure in tried(project).failures] == [
        "no field is sensitive, so nothing was attacked"
    ]


@pytest.mark.parametrize(
    ("attacks", "code"),
    [
        ({"at_most": {}}, "P018"),
        ({"at_most": {"singling_out": 5}}, "P006"),
        ({"at_most": {"singling": 0.5}}, "P004"),
        ({"atmost": {}}, "P004"),
    ],
)
def test_faults_of_the_file_have_codes(project: Project, attacks: dict[str, Any], code: str) -> None:
    fixtures(project, sites=4, **attacks)
    with pytest.raises(PolicyError) as caught:
        tried(project)
    assert code in {finding.code for finding in caught.value.findings}


def test_a_field_that_is_not_released_is_refused(project: Project) -> None:
    fixtures(project, sites=4, quasi_identifiers=["event_id"])
    with pytest.raises(ConfigurationError, match="event_id is not released"):
        tried(project)


def test_the_command_prints_the_attacks_and_no_value(project: Project) -> None:
    fixtures(project, sites=DEVICES)
    for arguments in (("test", "."), ("test", ".", "--json"), ("test", ".", "--show")):
        result = command(*arguments)
        assert result.code == 1
        assert "F007" in result.out
        assert "secret-" not in result.out + result.err
        assert "device-" not in result.out + result.err
    body = json.loads(command("test", ".", "--json").out)
    assert [attack["name"] for attack in body["attacks"]] == ["singling_out", "linkage", "inference"]


def test_every_attack_on_one_release_can_be_limited() -> None:
    assert set(AttackLimits.model_fields) == {name for name, kind in ATTACKS.items() if not kind.compares_releases}
