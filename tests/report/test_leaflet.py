"""The leaflet of a dataset: every declared field once, in the group that the enforced plans put it."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.pages import html_page, markdown_page
from minimize.plan import Plan, bind, request
from minimize.policy.load import load_pipeline
from minimize.report.leaflet import Leaflet, LeafletEntry, create_leaflet
from minimize.sources import declared_schema
from tests.cli.conftest import _command, _project
from tests.commands import Command
from tests.project import AT, Project, event, events

__all__ = ["_command", "_project"]

PIPELINES = Path(__file__).parents[2] / "pipelines"
SHIPPED = sorted(path.parent.name for path in PIPELINES.glob("*/pipeline.yaml"))
DAY = AT.date()


def plans(name: str) -> tuple[Plan, list[Plan]]:
    """The plan that the pipeline enforces, and one for each purpose of its policy."""
    job = load_pipeline(PIPELINES / name)
    source = declared_schema(request(job.policy, job.purpose, job))
    own = bind(job.policy, source, purpose=job.purpose, pipeline=job)
    purposes = job.policy.purposes
    return own, [bind(job.policy, declared_schema(request(job.policy, each)), purpose=each) for each in purposes]


def entry(leaflet: Leaflet, key: str) -> tuple[str, LeafletEntry]:
    groups = {"can": leaflet.can_see, "might": leaflet.might_see, "cannot": leaflet.cannot_see}
    (found,) = [(name, each) for name, entries in groups.items() for each in entries if each.field == key]
    return found


@pytest.mark.parametrize("name", SHIPPED)
def test_every_declared_field_is_described_in_the_group_of_its_plan(name: str) -> None:
    leaflet = create_leaflet(PIPELINES / name, DAY)
    own, every = plans(name)
    groups = (leaflet.can_see, leaflet.might_see, leaflet.cannot_see)
    keys = [each.field for group in groups for each in group]
    assert sorted(keys) == sorted(own.fields)
    for each in (each for group in groups for each in group):
        assert own.fields[each.field].field.about in each.text
        assert "_" not in each.form + "".join(each.conditions)
    for each in leaflet.can_see:
        assert own.to_json()["fields"][each.field]["action"] in ("keep", "transform")
        assert not own.fields[each.field].field.cases
        assert not leaflet.whole
        assert each.form
    for each in leaflet.cannot_see:
        assert all(plan.to_json()["fields"][each.field]["action"] == "drop" for plan in every)
        assert not each.form
    for each in leaflet.might_see:
        assert any(plan.to_json()["fields"][each.field]["action"] != "drop" for plan in every)
        assert each.conditions or leaflet.whole


def test_a_masked_field_describes_what_remains_in_each_case() -> None:
    group, phone = entry(create_leaflet(PIPELINES / "device_support", DAY), "phone_number")
    assert group == "might"
    assert phone.conditions == ("It depends on the record, as the form says",)
    assert "nothing if “Type of device” is “android dedicated”" in phone.form
    assert "only the last 4 characters if “Owner” is “personal”; otherwise nothing" in phone.form


def test_a_field_of_another_purpose_might_be_seen() -> None:
    group, phone = entry(create_leaflet(PIPELINES / "device_telemetry", DAY), "phone_number")
    assert group == "might"
    assert phone.conditions[0] == "The data is used for another purpose: “customer support”"


def test_an_optional_field_names_its_switch_and_its_own_retention() -> None:
    group, position = entry(create_leaflet(PIPELINES / "device_support", DAY), "position")
    assert group == "might"
    assert position.conditions[0].startswith("The optional collection “location” is on, for the organization and for")
    assert position.form.startswith("only the centre of an area that is at least 300 metres wide")
    assert position.retention == "1 day"


def test_a_dropped_field_describes_where_it_is_still_visible() -> None:
    leaflet = create_leaflet(PIPELINES / "device_support", DAY)
    assert entry(leaflet, "latitude")[1].note == "only in a coarser form, as part of “Position of a lost device”"
    assert (
        entry(leaflet, "/apps/*/managed")[1].note
        == "it decides what is seen of “Name of an application”, “Version of an application”"
    )
    assert "camera roll" in leaflet.forbidden


def test_a_received_dataset_depends_on_consent_and_a_sent_one_names_the_recipient() -> None:
    received = create_leaflet(PIPELINES / "jamf_compliance", DAY)
    assert not received.can_see
    assert any("has agreed to receive it from jamf" in each for each in received.whole)
    sent = create_leaflet(PIPELINES / "apple_device_enrollment", DAY)
    assert "apple (device_enrollment)" in entry(sent, "serial_number")[1].recipients
    assert any(each.startswith("apple (device_enrollment), for operations") for each in sent.sharing)
    token = entry(sent, "server_token")
    assert token[0] == "cannot"
    assert token[1].note == "passed on to apple (device_enrollment) without being stored"


def test_the_first_level_is_no_condition_and_a_condition_of_all_records_is_one_of_each(project: Project) -> None:
    project.policy({"model": {"type": "string", "do": "keep", "level": "low"}}, levels=["low", "high"])
    assert entry(create_leaflet(project.folder, DAY), "model")[0] == "can"
    fields = {"model": {"type": "string", "do": "keep"}}
    project.policy(fields, levels=["low", "high"], records={"level": "high"})
    found = create_leaflet(project.folder, DAY)
    assert entry(found, "model")[0] == "might"
    assert found.whole == ("The level of collection is “high” or higher",)


def test_the_conditions_of_a_derived_field_are_those_of_its_inputs_too(project: Project) -> None:
    cell = {"from": ["latitude", "longitude"], "role": "quasi", "do": {"grid": {"metres": 300}}}
    fields = {
        "latitude": {"type": "double", "role": "quasi", "do": "drop", "feature": "location"},
        "longitude": {"type": "double", "role": "quasi", "do": "drop"},
        "cell": cell,
    }
    project.policy(fields)
    project.pipeline(records={"must_be": "identified"})
    group, found = entry(create_leaflet(project.folder, DAY), "cell")
    assert group == "might"
    assert found.conditions == ("The optional collection “location” is on",)
    assert found.retention == "1 day"


def test_a_field_used_in_statistics_only_is_described_as_such(project: Project) -> None:
    clip = {"clip": {"min": 0, "max": 100}}
    project.policy({"battery": {"type": "double", "do": "drop", "in_aggregates": clip}})
    measures = {"level": {"mean": "battery"}}
    project.pipeline(aggregates={"by_tenant": {"group_by": {"tenant_id": "tenant_id"}, "measures": measures}})
    group, battery = entry(create_leaflet(project.folder, DAY), "battery")
    assert group == "can"
    assert battery.form.startswith("only in statistics about groups: values below 0 or above 100")


def test_the_command_prints_the_leaflet_or_writes_a_page(project: Project, command: Command) -> None:
    project.records([*events(30), event(31, model="canary-4711", device_id="canary-0815")])
    project.run(at=AT)
    printed = command("leaflet", project.folder)
    assert printed.out.startswith("# What your organization can see: ")
    assert set(command("leaflet", project.folder, "--json").json) >= {"can_see", "might_see", "cannot_see", "forbidden"}
    assert command("leaflet", project.folder, "--html", "leaflet.html").out == "wrote leaflet.html\n"
    page = (project.folder / "leaflet.html").read_text(encoding="utf-8")
    assert "Your organization cannot see" in page
    assert "canary" not in page + printed.out


def test_fields_have_the_names_that_people_use_and_bytes_are_sizes() -> None:
    leaflet = create_leaflet(PIPELINES / "device_telemetry", DAY)
    storage = entry(leaflet, "/hardware/total_storage_bytes")[1]
    assert storage.name == "Size of the storage"
    assert storage.form == "only the range that it is in, with limits at 64 GB / 128 GB / 256 GB / 512 GB"
    assert "bytes" not in storage.text
    assert entry(leaflet, "event_time")[1].form == "cut to the hour"
    apps = entry(leaflet, "/apps/*/name")[1]
    assert apps.conditions[0].startswith("Either both “Owner” is “corporate” and “Type of device” is one of ")


def test_a_notice_has_what_art_13_asks_for_and_says_what_is_missing(project: Project) -> None:
    shipped = create_leaflet(PIPELINES / "device_telemetry", DAY)
    text = markdown_page(shipped.document)
    for term in ("Purpose", "Legal basis", "Kept for", "Source", "Recipients", "Controller", "Data protection officer"):
        assert f"- **{term}:**" in text
    assert "## Your rights" in text
    assert "supervisory authority" in text
    assert text.splitlines()[2].startswith("**✓ 26 items can be seen")
    bare = markdown_page(create_leaflet(project.folder, DAY).document)
    assert bare.splitlines()[2].startswith("**! Before you publish this notice: controller not stated")


def test_500_fields_and_names_with_markup_stay_readable_and_safe(project: Project) -> None:
    fields = {
        f"field_{number}": {"type": "integer", "do": "keep", "label": f"<b>{number}</b>"} for number in range(500)
    }
    project.policy(fields)
    page = html_page(create_leaflet(project.folder, DAY).document)
    assert "<b>" not in page
    assert page.count("&lt;b&gt;1&lt;/b&gt;") == 2, "once at a glance, and once in the folded table"
    assert "more</li>" in page
